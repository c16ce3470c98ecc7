"""Images, labels, pixel sizes, and the normalisation of raw values to network input."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
