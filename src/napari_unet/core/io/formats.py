"""The table of file formats, and the file names that belong to each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_unet.core.errors import SettingsError
from napari_unet.core.io.format import Format
from napari_unet.core.io.numpy_files import NPY
from napari_unet.core.io.pictures import BMP, JPEG, PNG
from napari_unet.core.io.tiff import TIFF
from napari_unet.core.io.zarr import ZARR
from napari_unet.core.system.atomic_files import exists

__all__ = [
    "FORMATS",
    "bare_name",
    "format_names",
    "format_of",
    "format_of_name",
    "image_suffixes",
    "is_image_file",
    "is_image_folder",
    "join_words",
    "register_format",
    "writable_suffixes",
]

FORMATS: list[Format] = [TIFF, PNG, JPEG, BMP, NPY, ZARR]
"""Every format that can be read, in the order in which messages list them."""


def register_format(format: Format) -> None:
    """Add a format to the table of formats that are found, read and written.

    Register it in every process that reads such files.

    Raises
    ------
    SettingsError
        If one of its suffixes belongs to another format or is malformed.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet.core.io import Format, RawImage, register_format
    >>> def read(path, options):
    ...     return RawImage(np.loadtxt(path), axes="YX")
    >>> register_format(Format(name="example", suffixes=(".example",), read=read))

    ``FORMATS`` is a list, from which a format can be removed again:

    >>> from napari_unet.core.io.formats import FORMATS
    >>> FORMATS.pop().name
    'example'
    """
    for suffix in format.suffixes:
        if not suffix.startswith(".") or suffix != suffix.lower():
            raise SettingsError(
                f"The format {format.name} has the suffix {suffix!r}: expected lower case, with "
                "a leading dot, for example '.tif'."
            )
        for other in FORMATS:
            if suffix in other.suffixes:
                raise SettingsError(
                    f"The suffix {suffix!r} already belongs to the format {other.name}: remove "
                    f"that one from FORMATS first, or choose another suffix for {format.name}."
                )
    FORMATS.append(format)


def format_of(path: Path) -> Format | None:
    """Find the format of a file by its suffix, of a folder by what it contains; None if unknown."""
    if exists(path) and path.is_dir():
        return next((f for f in FORMATS if f.is_marked(path)), None)
    return format_of_name(path.name)


def format_of_name(name: str) -> Format | None:
    """Find the format that a file of this name would have; None if unknown."""
    suffix = _suffix(name)
    return next((f for f in FORMATS if suffix in f.suffixes), None)


def is_image_file(path: Path) -> bool:
    """Check whether a path looks like an image that can be read, by its name or its markers."""
    # `is_dir` raises if the parent folder is not readable, which callers report.
    return format_of(path) is not None and (exists(path) or not path.is_dir())


def is_image_folder(path: Path) -> bool:
    """Check whether a folder is itself an image, such as a Zarr."""
    return exists(path) and path.is_dir() and format_of(path) is not None


def image_suffixes() -> tuple[str, ...]:
    """Return the suffixes of all formats, in lower case."""
    return tuple(suffix for f in FORMATS for suffix in f.suffixes)


def writable_suffixes() -> tuple[str, ...]:
    """Return the usual suffix of each format that can be written."""
    return tuple(f.suffixes[0] for f in FORMATS if f.write is not None)


def format_names() -> str:
    """Return the names of all formats for a sentence, for example ``"TIFF, PNG or Zarr"``."""
    return join_words([f.name for f in FORMATS])


def join_words(words: Sequence[str]) -> str:
    """Join words with commas and a last "or"."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def bare_name(path: Path) -> str:
    """Return the name of a file without its suffix; `.ome.tif` and `.ome.zarr` count as one."""
    name = path.name[: len(path.name) - len(_suffix(path.name))]
    return name[:-4] if name.lower().endswith(".ome") else name


def _suffix(name: str) -> str:
    """Return the longest known suffix that a name ends with; empty if there is none."""
    lower = name.lower()
    fitting = [s for s in image_suffixes() if lower.endswith(s) and len(lower) > len(s)]
    return max(fitting, key=len, default="")
