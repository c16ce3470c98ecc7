"""Tasks: the meaning of labels, with the targets, loss and decoding that follow from it."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
