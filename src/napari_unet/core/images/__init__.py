"""What an image, its labels and its pixel size are, and how raw values become network input."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
