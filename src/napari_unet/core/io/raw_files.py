"""Reading and writing of files by their format, with errors that explain what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_unet.core.errors import ImageError, StorageError
from napari_unet.core.images.image import PixelSize
from napari_unet.core.images.units import to_um
from napari_unet.core.io.format import Format, ReadOptions
from napari_unet.core.io.formats import (
    format_names,
    format_of,
    format_of_name,
    join_words,
    writable_suffixes,
)
from napari_unet.core.io.raw_image import RawImage
from napari_unet.core.system.atomic_files import atomic_path, exists

__all__ = ["read_raw", "reading", "write_array"]


@contextmanager
def reading(source: Path) -> Iterator[None]:
    """Raise an `ImageError` if the system refuses to read a file or to list a folder."""
    try:
        yield
    except OSError as error:
        raise ImageError(
            f"'{error.filename or source}' cannot be read: {error.strerror or error}. Check the "
            "name, or ask its owner for permission."
        ) from error


def read_raw(path: Path, options: ReadOptions) -> RawImage:
    """Read the pixels and metadata of a file.

    Raises
    ------
    ImageError
        If the file is missing, empty, damaged, of an unknown format, or needs a package that is
        not installed.
    """
    found = None
    try:
        found = _readable_format(path)
        return found.read(path, options)
    except (ImageError, MemoryError):
        raise
    except PermissionError as error:
        raise ImageError(f"'{path}' is not readable. Ask its owner for permission.") from error
    except Exception as error:  # every library fails in its own way on a damaged file
        if missing := _missing_package(path, found, error):
            raise ImageError(missing) from error
        raise ImageError(
            f"'{path.name}' cannot be read: it is damaged, truncated or has the wrong suffix "
            f"({_first_line(error)}). Copy it again, or save it again as TIFF."
        ) from error


def _readable_format(path: Path) -> Format:
    if not exists(path):
        raise ImageError(f"There is no file '{path}'. Check the name and the folder.")
    found = format_of(path)
    if path.is_dir():
        if found is None:
            raise ImageError(f"'{path}' is a folder: expected an image file, {format_names()}.")
        return found
    if path.stat().st_size == 0:
        raise ImageError(f"'{path.name}' is empty (0 bytes). Copy or save it again.")
    if found is None or found.is_folder:
        raise ImageError(
            f"'{path.name}' has no image format that can be read: expected {format_names()}. "
            "Open it in Fiji and save it as TIFF."
        )
    return found


def _missing_package(path: Path, format: Format | None, error: Exception) -> str:
    """Describe which package is missing to read a file; empty if that is not the cause."""
    if "imagecodecs" in str(error):
        return (
            f"'{path.name}' is compressed in a way that needs the package imagecodecs. "
            "Install it (pip install imagecodecs), or save the image uncompressed."
        )
    if format is not None and format.requires and isinstance(error, ImportError):
        return (
            f"'{path.name}' is a {format.name} file, which needs the package {format.requires}. "
            f"Install it (pip install {format.requires}), or save the image as TIFF."
        )
    return ""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def write_array(
    path: Path,
    data: Any,
    axes: str,
    pixel_size: PixelSize | None = None,
    channel_names: Sequence[str] | None = None,
    *,
    rgb: bool = False,
) -> None:
    """Write an array unchanged and atomically.

    Parameters
    ----------
    path
        Path with the suffix of a format that can be written.
    data
        Array; zarr and dask arrays are copied into a Zarr chunk by chunk.
    axes
        One letter of ``"TZCYX"`` per axis, in that order.
    pixel_size, channel_names
        Pixel size and channel names, written if the format stores them.
    rgb
        Whether the channels are red, green and blue.

    Raises
    ------
    StorageError
        If the file cannot be written, or the format cannot hold such an array.
    """
    found = format_of_name(path.name)
    if found is None or found.write is None:
        raise StorageError(
            f"Cannot write '{path.name}': expected a name that ends in "
            f"{join_words(writable_suffixes())}."
        )
    names = None if channel_names is None else tuple(channel_names)
    raw = RawImage(data, axes, _spacing_um(pixel_size), names, rgb, name=path.stem)
    with atomic_path(path, folder_markers=found.folder_markers) as temporary:
        found.write(temporary, raw)


def _spacing_um(pixel_size: PixelSize | None) -> dict[str, float]:
    if pixel_size is None:
        return {}
    sizes = [to_um(s, pixel_size.unit) for s in pixel_size.spacing]
    axes = "ZYX"[-len(sizes) :]
    return {a: s for a, s in zip(axes, sizes, strict=True) if s is not None}
