from .image import Image, PixelSize
from .normalization import Normalization
from .pair import Pair

__all__ = [
    "Image",
    "Normalization",
    "Pair",
    "PixelSize",
]
