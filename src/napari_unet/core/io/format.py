"""What a file format is: its suffixes, how it is read and written, and what it can hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_unet.core.io.raw_image import RawImage

__all__ = ["Format", "ReadOptions", "Reader", "Writer"]


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file; a format ignores what it has no use for.

    Parameters
    ----------
    lazy
        Leave the pixels on disk: memory-map them, or wrap them in dask.
    indices
        Return the numbers of a palette picture (labels) instead of its colours.

    Examples
    --------
    >>> from napari_unet.core.io import ReadOptions
    >>> ReadOptions(lazy=True)
    ReadOptions(lazy=True, indices=False)
    """

    lazy: bool = False
    indices: bool = False


Reader = Callable[[Path, ReadOptions], RawImage]
"""Reads a file; any error it raises becomes an `ImageError` that says the file is damaged."""

Writer = Callable[[Path, RawImage], None]
"""Writes a file; the axes are one letter of ``"TZCYX"`` each, in that order, colours in C."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Parameters
    ----------
    name
        What messages call it, for example ``"TIFF"``.
    suffixes
        Its suffixes in lower case, each with its dot; the usual one first.
    read, write
        Functions that read and write a file; `write` is None if the format is only read.
    folder_markers
        Names of files of which every folder of this format has at least one; empty if an image of
        this format is a file.
    names_axes
        Whether its files usually name their axes or know their pixel size, so that it pays to open
        one to find out.
    planes_only
        Whether a file holds a single plane.
    largest_label
        The largest label that a file holds.
    requires
        The optional package to install for it, as pip calls it; None if nothing else is needed.

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
