"""Recognise an image by its pixels, whatever it is called and wherever it comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_unet.core.images.image import Image

__all__ = ["image_hash", "plane_hashes"]

_PLANE_DIGITS = 16
_ROWS = 1024
"""Rows of a plane that are read at once: an image may be larger than memory."""


def image_hash(data: Any) -> str:
    """SHA-256 of an image's raw pixels, shape and type, as hexadecimal digits.

    Parameters
    ----------
    data
        Array of any shape; dask arrays are read a few rows at a time.
    """
    shape = tuple(int(n) for n in data.shape)
    dtype = np.dtype(data.dtype).newbyteorder("<")  # whatever order a file has on disk
    digest = hashlib.sha256(f"{shape} {dtype.str}".encode())
    for part in _parts(data):
        digest.update(np.ascontiguousarray(part, dtype).tobytes())
    return digest.hexdigest()


def plane_hashes(image: Image) -> tuple[str, ...]:
    """Short hashes of every plane (YX) of an image, by which a part of it is recognised.

    Planes of one value are left out: they are the same in images that have nothing in common.

    Parameters
    ----------
    image
        Image with any axes; each channel of each plane counts for itself.

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
    """Cut an array along its first axis, in order."""
    step = _ROWS if len(data.shape) == 2 else 1
    if isinstance(data, np.ndarray) or len(data.shape) < 2:
        step = max(1, data.shape[0]) if data.shape else 1
    if not data.shape:
        yield np.asarray(data)
        return
    for start in range(0, data.shape[0], step):
        yield np.asarray(data[start : start + step])
