"""Scale factors for images whose objects or pixels differ in size from the training images."""

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
    """Return the scale at which objects of a diameter have the size the model was trained on.

    Raises
    ------
    SettingsError
        If the diameter is not a positive number, or the object diameter of the model is unknown.
    """
    if not 0 < diameter_px < float("inf"):
        raise SettingsError(
            f"Diameter {diameter_px:g} px: expected a positive number, the typical width of an "
            "object in pixels."
        )
    if info.object_diameter_px is None:
        raise SettingsError(
            f"The object size in the training images of '{info.name}' is unknown. Set a scale "
            "instead (2 enlarges the image to twice its size for the network)."
        )
    return info.object_diameter_px / diameter_px


def scale_for_pixel_size(info: ModelInfo, image: Image) -> float | None:
    """Return the scale at which an image has the model's pixel size; None if either is unknown."""
    known = None if image.pixel_size is None else um_per_px(image.pixel_size)
    if known is None or info.pixel_size_um is None:
        return None
    (y, x), (model_y, model_x) = known[-2:], info.pixel_size_um
    return float((y / model_y * x / model_x) ** 0.5)


def pixel_size_note(info: ModelInfo, image: Image, scale: float = 1.0) -> str:
    """Describe a difference in pixel size of more than 20 %; empty if there is none.

    Parameters
    ----------
    info
        Header of the model.
    image
        The image, for its pixel size.
    scale
        Factor by which the image is to be enlarged.
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
        f"{info.pixel_size_um[-1]:.3g} µm:{at} objects appear {factor:.2g} times {how} than in its "
        f"training images. A scale of {fitting:.3g} fits."
    )
