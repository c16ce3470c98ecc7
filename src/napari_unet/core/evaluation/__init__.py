"""Compare predictions with ground truth, measure objects, and draw the comparison."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
