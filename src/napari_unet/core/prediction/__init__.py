"""Turn images into labels: one image in memory, any size block by block, or a folder of files."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
