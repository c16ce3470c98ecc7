"""Objects of another size than those a model knows: by which factor to enlarge an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.units import um_per_px

if TYPE_CHECKING:
    from napari_unet.core.images.image import Image
    from napari_unet.core.models.model import ModelInfo

__all__ = ["pixel_size_note", "scale_for_diameter", "scale_for_pixel_size"]

SAME_SIZE = 1.2
"""Pixel sizes that differ by less than this factor count as the same."""


def scale_for_diameter(info: ModelInfo, diameter_px: float) -> float:
    """Give the scale at which objects of a diameter have the size that a model knows.

    Raises
    ------
    SettingsError
        When the diameter is no positive number, or the model does not know its own.
    """
    if not 0 < diameter_px < float("inf"):
        raise SettingsError(
            f"Diameter {diameter_px:g} px: expected a positive number, the typical width of an "
            "object in pixels."
        )
    if info.object_diameter_px is None:
        raise SettingsError(
            f"The model '{info.name}' does not say how large its objects were. Give a scale "
            "instead (2 shows the image to the network at twice its size)."
        )
    return info.object_diameter_px / diameter_px


def scale_for_pixel_size(info: ModelInfo, image: Image) -> float | None:
    """Give the scale at which an image has a model's pixel size; None where one is not known."""
    known = None if image.pixel_size is None else um_per_px(image.pixel_size)
    if known is None or info.pixel_size_um is None:
        return None
    (y, x), (model_y, model_x) = known[-2:], info.pixel_size_um
    return float((y / model_y * x / model_x) ** 0.5)


def pixel_size_note(info: ModelInfo, image: Image, scale: float = 1.0) -> str:
    """Say in a sentence where pixel sizes differ by more than 20 %; empty where they do not.

    Parameters
    ----------
    info
        The model.
    image
        The image, with its own pixel size.
    scale
        By which factor it is to be enlarged.
    """
    fitting = scale_for_pixel_size(info, image)
    if fitting is None or 1 / SAME_SIZE <= fitting / scale <= SAME_SIZE:
        return ""
    sizes = um_per_px(image.pixel_size) if image.pixel_size else None
    assert sizes is not None
    assert info.pixel_size_um is not None
    at = "" if scale == 1 else f" at scale {scale:.3g}"
    how = "larger" if fitting < scale else "smaller"
    factor = max(fitting / scale, scale / fitting)
    return (
        f"'{image.name}' has pixels of {sizes[-1]:.3g} µm, the model '{info.name}' was trained on "
        f"{info.pixel_size_um[-1]:.3g} µm:{at} the same object looks {factor:.2g} times {how} than "
        f"it knows it. A scale of {fitting:.3g} fits."
    )
