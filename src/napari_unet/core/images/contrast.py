"""Contrast of objects in images and training data: bright on dark, or dark on bright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.images.pair import Pair

__all__ = ["Contrast", "ObjectContrast", "check_contrast", "intensity_skew", "object_contrast"]

Contrast = Literal["auto", "as-is", "inverted"]
"""Whether an image is inverted for the network: automatically, never or always."""

ObjectContrast = Literal["bright", "dark"]
"""Brightness of objects relative to their surroundings."""

_AGREEMENT = 0.95
"""Fraction of the training images that must agree on the contrast of their objects."""

_SAMPLES = 1 << 18
_LOW, _HIGH = 1.0, 99.8


def check_contrast(contrast: str) -> None:
    """Raise `SettingsError` if a contrast is not one of `Contrast`."""
    if contrast not in get_args(Contrast):
        raise SettingsError(
            f"Contrast {contrast!r}: expected auto (inverted if the image looks inverted), as-is "
            "or inverted."
        )


def object_contrast(pairs: Sequence[Pair]) -> ObjectContrast | None:
    """Determine whether objects are brighter or darker than their surroundings.

    Parameters
    ----------
    pairs
        Images with labels.

    Returns
    -------
    "bright", "dark" or None
        None if the images have several channels or do not agree.
    """
    if any(pair.image.channels != 1 for pair in pairs):
        return None
    brighter = []
    for pair in pairs:
        for plane in pair.planes():
            counts = np.ones(plane.labels.shape, bool)
            counts = counts if plane.annotated is None else np.asarray(plane.annotated, bool)
            inside, outside = counts & (plane.labels > 0), counts & (plane.labels == 0)
            if inside.any() and outside.any():
                values = plane.image[0]
                brighter.append(float(values[inside].mean()) > float(values[outside].mean()))
    if not brighter:
        return None
    share = float(np.mean(brighter))
    if share >= _AGREEMENT:
        return "bright"
    return "dark" if share <= 1 - _AGREEMENT else None


def intensity_skew(values: Any) -> float:
    """Measure whether most values are close to the darkest or to the brightest.

    Parameters
    ----------
    values
        Raw values, axes CYX or CZYX, of one channel.

    Returns
    -------
    float
        1 if most pixels are as dark as the darkest (few bright objects), -1 if most are as bright
        as the brightest (few dark objects), 0 in between and for a constant image. If objects cover
        more than half of the image, the sign is reversed.
    """
    every = int(max(1, np.prod(values.shape) / _SAMPLES) ** 0.5)
    sample = np.sort(np.asarray(values[..., ::every, ::every]), axis=None)
    ranks = (np.array([_LOW, 50.0, _HIGH]) / 100 * (sample.size - 1)).astype(np.intp)
    low, middle, high = sample[ranks].astype(np.float64)
    return float((high + low - 2 * middle) / (high - low)) if high > low else 0.0
