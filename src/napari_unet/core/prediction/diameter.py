"""Choice of a scale from trials of the network at several scales, if no diameter is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.core.errors import SettingsError
from napari_unet.core.prediction.scale_trial import Trial

if TYPE_CHECKING:
    from napari_unet.core.models.model import ModelInfo

__all__ = ["LEAST_SHARE", "TRIAL_SCALES", "best_trial", "check_estimable", "fitting_scale"]

TRIAL_SCALES = (2.0, 1.0, 0.5, 0.25, 0.125)
"""At each scale a network recognises objects of at least half to twice its training size."""

KEPT_SMALLER, KEPT_LARGER = 2.0, 3.0
"""Objects that are smaller or larger by less than these factors are predicted at scale 1.

A network does well on the larger of its training objects: validation images of DSB2018 with nuclei
of 42 to 57 px, up to 2.7 times the median, lost up to a fifth of their hits if they were resized.
Synthetic nuclei of a third of the median lost a fifth if they were not resized.
"""

_LEAST_QUALITY, _LEAST_QUALITY_SHRUNK = 0.75, 0.85
"""Least quality of a trial; higher if the image was shrunk.

A shrunken image looks sharper than it is, so that blurred clouds far out of focus resemble nuclei.
Synthetic nuclei reach 0.88 or more; nuclei of DSB2018 enlarged three or four times 0.88, shrunk to
a third 0.77; clouds up to 0.83, smoothed noise and JPEG blocks up to 0.74.
"""
LEAST_SHARE = 0.3
"""Least explained area of a scale or contrast, as a share of the largest explained area."""


def check_estimable(info: ModelInfo) -> None:
    """Raise `SettingsError` if the diameter of a model's objects cannot be estimated."""
    if not info.task.judges_objects or info.unet.ndim != 2:
        what = "volumes" if info.unet.ndim != 2 else info.task.words.results
        raise SettingsError(
            f"The diameter can only be estimated with 2-D models of objects; the model "
            f"'{info.name}' predicts {what}. Set a scale (2 enlarges the image to twice its size "
            "for the network), or predict at the original scale."
        )


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Choose the trial that recognises objects best; None if none does."""
    good = [
        t
        for t in trials
        if len(t.area_px)
        and t.mean_quality >= (_LEAST_QUALITY_SHRUNK if t.scale < 1 else _LEAST_QUALITY)
    ]
    most = max((t.explained for t in good), default=0.0)
    good = [t for t in good if t.explained >= LEAST_SHARE * most]
    return max(good, key=lambda t: t.mean_quality, default=None)


def fitting_scale(info: ModelInfo, diameter_px: float | None) -> float:
    """Return the scale for objects of a diameter; 1 if they are about as large as in training."""
    from napari_unet.core.models.predict_options import LARGEST_SCALE
    from napari_unet.core.prediction.scale import scale_for_diameter

    if diameter_px is None:
        return 1.0
    scale = scale_for_diameter(info, diameter_px)
    if 1 / KEPT_LARGER <= scale <= KEPT_SMALLER:
        return 1.0
    return float(f"{np.clip(scale, 1 / LARGEST_SCALE, LARGEST_SCALE):.3g}")
