from .format import Format, ReadOptions
from .formats import register_format
from .image_files import read_image, read_labels, write_image, write_labels
from .raw_image import RawImage

__all__ = [
    "Format",
    "RawImage",
    "ReadOptions",
    "read_image",
    "read_labels",
    "register_format",
    "write_image",
    "write_labels",
]
