"""Definition of a file format: its suffixes, reader, writer and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_unet.core.io.raw_image import RawImage

__all__ = ["Format", "ReadOptions", "Reader", "Writer"]


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a file; a format ignores those that do not apply to it.

    Parameters
    ----------
    lazy
        Leave the pixels on disk: memory-map them, or wrap them in dask.
    indices
        Return the indices of a palette picture (labels) instead of its colours.

    Examples
    --------
    >>> from napari_unet.core.io import ReadOptions
    >>> ReadOptions(lazy=True)
    ReadOptions(lazy=True, indices=False)
    """

    lazy: bool = False
    indices: bool = False


Reader = Callable[[Path, ReadOptions], RawImage]
"""Function that reads a file; any error it raises becomes an `ImageError` about a damaged file."""

Writer = Callable[[Path, RawImage], None]
"""Function that writes a file; axes are letters of ``"TZCYX"``, in that order, with colours in
C."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Parameters
    ----------
    name
        Name in messages, for example ``"TIFF"``.
    suffixes
        Suffixes in lower case, with the leading dot; the usual one first.
    read, write
        Functions that read and write a file; `write` is None if the format is only read.
    folder_markers
        Names of files, at least one of which is in every folder of this format; empty if an image
        of this format is a file.
    names_axes
        Whether files usually store their axes or pixel size, so that it is worth opening one to
        check.
    planes_only
        Whether a file holds a single plane.
    largest_label
        Largest label that a file can hold.
    requires
        Name of the optional package that it needs, as for pip; None if it needs none.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet.core.io import Format, RawImage
    >>> def read(path, options):
    ...     return RawImage(np.loadtxt(path), axes="YX")
    >>> text = Format(name="text matrix", suffixes=(".matrix",), read=read)
    >>> text.is_folder
    False
    """

    name: str
    suffixes: tuple[str, ...]
    read: Reader
    write: Writer | None = None
    folder_markers: tuple[str, ...] = ()
    names_axes: bool = False
    planes_only: bool = False
    largest_label: int = 2**32 - 1
    requires: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether an image of this format is a folder."""
        return bool(self.folder_markers)

    def is_marked(self, folder: Path) -> bool:
        """Check whether a folder is an image of this format."""
        return any((folder / marker).is_file() for marker in self.folder_markers)
