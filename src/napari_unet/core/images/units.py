"""Conversion of lengths from the units that image files use to micrometres."""

from __future__ import annotations

from napari_unet.core.images.image import PixelSize

__all__ = ["to_um", "um_per_px"]


def um_per_px(pixel_size: PixelSize) -> tuple[float, ...] | None:
    """Return the pixel size in µm, or None if its unit is not a unit of length."""
    sizes = [to_um(spacing, pixel_size.unit) for spacing in pixel_size.spacing]
    known = tuple(size for size in sizes if size is not None)
    return known if len(known) == len(sizes) else None


_UM_PER_UNIT = {
    "m": 1e6, "meter": 1e6, "metre": 1e6,
    "cm": 1e4, "centimeter": 1e4, "centimetre": 1e4,
    "mm": 1e3, "millimeter": 1e3, "millimetre": 1e3,
    "µm": 1.0, "um": 1.0, "micron": 1.0, "micrometer": 1.0, "micrometre": 1.0,
    "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3,
    "å": 1e-4, "angstrom": 1e-4,
    "in": 25_400.0, "inch": 25_400.0,
}  # fmt: skip


def to_um(value: float | None, unit: str | None) -> float | None:
    """Convert a length to micrometres; return None if the value or unit is not a length.

    The spellings of OME, ImageJ (which writes the letter µ as an escape sequence) and OME-NGFF are
    recognised, for example ``"µm"``, ``"micron"`` and ``"micrometer"``.
    """
    if value is None or unit is None:
        return None
    name = unit.strip().replace("\\u00B5", "µ").replace("\u03bc", "µ").lower()
    factor = _UM_PER_UNIT.get(name) or _UM_PER_UNIT.get(name.removesuffix("s"))
    if factor is None or not 0 < value < float("inf"):
        return None
    return value * factor
