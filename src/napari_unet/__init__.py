"""A U-Net that trains, predicts and evaluates on your own images: headless, and in napari.

The public names, listed in ``__init__.pyi``, are imported when they are first used: ``import
napari_unet`` costs nothing, and napari, which imports the package to find its manifest, never
loads torch.
"""

import lazy_loader as lazy

from napari_unet.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
