"""The picture formats PNG, JPEG and BMP."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import ImageError, StorageError
from napari_unet.core.io.format import Format, ReadOptions
from napari_unet.core.io.raw_image import RawImage

if TYPE_CHECKING:
    from PIL.Image import Image as PictureFile

__all__ = ["BMP", "JPEG", "PNG"]


def _read(path: Path, options: ReadOptions) -> RawImage:
    """Read a picture.

    Returns
    -------
    RawImage
        Axes YX (bool, uint8, uint16, int32, float32) or YXS (uint8, 3 samples; transparency is
        dropped).

    Raises
    ------
    ImageError
        If the picture has more pixels or bits than can be read without loss.
    """
    from PIL import Image as PilImage

    if _would_lose_bits(path):
        raise ImageError(
            f"'{path.name}' is a 16-bit PNG with colour or transparency, which would be reduced "
            "to 8 bits: expected 8-bit colour or 16-bit grey. Save it as TIFF."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PilImage.DecompressionBombWarning)
            with PilImage.open(path) as picture:
                data = _picture_data(picture, options.indices)
    except PilImage.DecompressionBombError as error:
        raise ImageError(
            f"'{path.name}' has too many pixels for a picture file ({error}). Save it as TIFF."
        ) from error
    return RawImage(data, "YX" if data.ndim == 2 else "YXS", rgb=data.ndim == 3)


def _write_png(path: Path, image: RawImage) -> None:
    """Write a grey plane (uint8 or uint16) or a colour plane (uint8) as PNG.

    Raises
    ------
    StorageError
        If a PNG cannot hold the image.
    """
    from PIL import Image as PilImage

    data, axes = np.asarray(image.data), image.axes or ""
    data = np.moveaxis(data, axes.index("C"), -1) if image.rgb else data
    grey = data.ndim == 2 and data.dtype in (np.uint8, np.uint16)
    colour = data.ndim == 3 and data.shape[-1] == 3 and data.dtype == np.uint8
    if not grey and not colour:
        raise StorageError(
            f"A PNG cannot hold {data.dtype} of shape {data.shape}: expected one plane of uint8 or "
            "uint16, or 8-bit colour. Write it as '.tif'."
        )
    PilImage.fromarray(data).save(path, format="PNG")


def _picture_data(picture: PictureFile, indices: bool) -> NDArray[Any]:
    mode = picture.mode
    if mode == "P":
        mode = "L" if indices else _palette_mode(picture)
        picture = picture if indices else picture.convert(mode)
    elif mode in ("LA", "La"):
        picture = picture.getchannel(0)
    elif mode not in ("1", "L", "I", "F", "RGB") and not mode.startswith("I;16"):
        picture = picture.convert("RGB")
    data = np.asarray(picture)
    return np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("="))


def _palette_mode(picture: PictureFile) -> str:
    """Return "L" if every colour of the palette is grey, as in ImageJ's pictures, else "RGB"."""
    colours = np.array(picture.getpalette() or [], dtype=np.uint8).reshape(-1, 3)
    return "L" if (colours == colours[:, :1]).all() else "RGB"


def _would_lose_bits(path: Path) -> bool:
    """Check the header for a 16-bit PNG that Pillow would silently reduce to 8 bits."""
    with path.open("rb") as file:
        header = file.read(26)
    if len(header) < 26 or header[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    depth, colour_type = struct.unpack("BB", header[24:26])
    return bool(depth == 16 and colour_type != 0)


PNG = Format(
    name="PNG",
    suffixes=(".png",),
    read=_read,
    write=_write_png,
    planes_only=True,
    largest_label=65_535,
)
JPEG = Format(name="JPEG", suffixes=(".jpg", ".jpeg"), read=_read)
BMP = Format(name="BMP", suffixes=(".bmp",), read=_read)
