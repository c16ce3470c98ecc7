"""Training pairs from folders and arrays: matching, label checks, groups and splits."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
