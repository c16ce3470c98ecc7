from .image_files import read_image, read_labels, write_image, write_labels

__all__ = [
    "read_image",
    "read_labels",
    "write_image",
    "write_labels",
]
