"""Identification of an image by its pixels, independent of its name and location."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_unet.core.images.image import Image

__all__ = ["image_hash", "plane_hashes"]

_PLANE_DIGITS = 16
_ROWS = 1024
"""Rows of a plane that are read at once, because an image may be larger than memory."""


def image_hash(data: Any) -> str:
    """Return the SHA-256 of an image's raw pixels, shape and type, as hexadecimal digits.

    Parameters
    ----------
    data
        Array of any shape; dask arrays are read a few rows at a time.
    """
    shape = tuple(int(n) for n in data.shape)
    dtype = np.dtype(data.dtype).newbyteorder("<")  # independent of the byte order on disk
    digest = hashlib.sha256(f"{shape} {dtype.str}".encode())
    for part in _parts(data):
        digest.update(np.ascontiguousarray(part, dtype).tobytes())
    return digest.hexdigest()


def plane_hashes(image: Image) -> tuple[str, ...]:
    """Return short hashes of all planes (YX) of an image, to recognise parts of it.

    Constant planes are left out, because they are equal in unrelated images.

    Parameters
    ----------
    image
        Image with any axes; each channel of a plane is hashed separately.

    Returns
    -------
    tuple of str
        The first 16 digits of each plane's `image_hash`.
    """
    hashes = []
    for index in np.ndindex(image.shape[:-2]):
        plane = np.asarray(image.data[index])
        if (plane != plane.flat[0]).any():
            hashes.append(image_hash(plane)[:_PLANE_DIGITS])
    return tuple(hashes)


def _parts(data: Any) -> Iterator[Any]:
    """Yield the parts of an array along its first axis, in order."""
    step = _ROWS if len(data.shape) == 2 else 1
    if isinstance(data, np.ndarray) or len(data.shape) < 2:
        step = max(1, data.shape[0]) if data.shape else 1
    if not data.shape:
        yield np.asarray(data)
        return
    for start in range(0, data.shape[0], step):
        yield np.asarray(data[start : start + step])
