"""Predict labels of an image in memory, of images of any size, or of a folder of files."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
