"""What labels mean: targets, loss and decoding of each task; nothing else depends on it."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
