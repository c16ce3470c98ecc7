"""Reading and writing of image and label files; the only package that handles file formats."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
