"""The NumPy file format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_unet.core.errors import ImageError
from napari_unet.core.io.format import Format, ReadOptions
from napari_unet.core.io.raw_image import RawImage
from napari_unet.core.system.atomic_files import checked_file

__all__ = ["NPY"]


def _read(path: Path, options: ReadOptions) -> RawImage:
    """Read a NumPy file, memory-mapped if lazy. Pickled objects are never loaded.

    Raises
    ------
    ImageError
        If the file holds pickled Python objects.
    """
    try:
        return RawImage(np.load(path, mmap_mode="r" if options.lazy else None, allow_pickle=False))
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise
        raise ImageError(
            f"'{path.name}' holds pickled Python objects, which can run code when loaded: "
            "expected an array of numbers. Save only the array with numpy.save, or as TIFF."
        ) from error


def _write(path: Path, image: RawImage) -> None:
    with checked_file(path) as file:
        np.save(file, np.asarray(image.data), allow_pickle=False)


NPY = Format(name="NPY", suffixes=(".npy",), read=_read, write=_write)
