"""Reasons for scores that are too good: images used in training, and copied labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_unet.core.evaluation.report import Report
    from napari_unet.core.images.image import Image
    from napari_unet.core.models.model import ModelInfo

__all__ = ["CopyCheck", "Seen", "seen_by", "training_note", "with_training_note"]

Seen = Literal["training", "validation", "both", "unseen"]
"""Use of an image by a model; ``"both"``: a part for training, another part for validation."""

_LEAST_AREA_PX = 30
_LEAST_OBJECTS = 3
_LEAST_SHARE = 0.1
"""Share of identical objects that indicates a copy. A network's object equals a hand-drawn one
pixel by pixel about once in a thousand (measured on nuclei of 30 pixels and more)."""


def seen_by(info: ModelInfo, image: Image) -> Seen:
    """Return how a model used an image.

    Images are recognised by their pixels. An image counts as used if the model was trained or
    validated on the same image, on a plane of it, or on a stack that contains it.

    Parameters
    ----------
    info
        Header of the model.
    image
        The predicted image.
    """
    from napari_unet.core.images.fingerprint import image_hash, plane_hashes

    if not info.trained_on:
        return "unseen"
    whole = image_hash(image.data)
    planes = {*plane_hashes(image), whole[:16]}
    roles = {t.role for t in info.trained_on if t.sha256 == whole} or {
        t.role for t in info.trained_on if planes & {t.sha256[:16], *t.planes}
    }
    if not roles:
        return "unseen"
    return roles.pop() if len(roles) == 1 else "both"


def with_training_note(report: Report, model: Path | None, images: Iterable[Image]) -> Report:
    """Add a note to a report if the model was trained or validated on the images.

    Parameters
    ----------
    report
        Report of the evaluation.
    model
        Path of the model file; if it is None or no longer exists, no note is added.
    images
        The images that the model predicted.
    """
    from napari_unet.core.models.model_file import read_info

    if model is None or not model.exists():
        return report
    note = training_note(read_info(model), images)
    return replace(report, notes=(note, *report.notes)) if note else report


def training_note(info: ModelInfo, images: Iterable[Image]) -> str:
    """Describe in a sentence how many scored images a model was trained on; empty if none."""
    roles = [seen_by(info, image) for image in images]
    trained = sum(role in ("training", "both") for role in roles)
    validated = roles.count("validation")
    several = f"{trained or validated} of these {len(roles)} images"
    which = "this image" if len(roles) == 1 else several
    if trained:
        part = "part of " if roles == ["both"] else ""
        return (
            f"The model '{info.name}' was trained on {part}{which}, so expect lower scores on new "
            "images."
        )
    if validated:
        return (
            f"The model '{info.name}' was validated on {which}: its best state was chosen by these "
            "scores, so expect slightly lower scores on new images."
        )
    return ""


@dataclass
class CopyCheck:
    """Counts of true objects that are identical in the prediction, pixel by pixel.

    Parameters
    ----------
    objects
        Number of true objects of at least 30 pixels so far.
    identical
        Number of these that are identical to a predicted object.
    predicted
        Number of predicted objects of at least 30 pixels so far.
    """

    objects: int = 0
    identical: int = 0
    predicted: int = 0

    def add(
        self,
        prediction: NDArray[Any],
        truth: NDArray[Any],
        annotated: NDArray[np.bool_] | None = None,
        *,
        connected: bool = False,
        background: int = 0,
    ) -> None:
        """Count the objects of an image.

        Parameters
        ----------
        prediction, truth
            Labels of the same shape, axes YX or ZYX.
        annotated
            Mask of the scored area; None: everything.
        connected
            Whether labels are classes, so that each connected part of a class is an object.
        background
            Id of the background of classes.
        """
        from napari_unet.core.evaluation.object_matching import overlaps

        if connected:
            from skimage.measure import label

            prediction, truth = (label(a, background=background) for a in (prediction, truth))
        table = overlaps(prediction, truth, annotated=annotated)
        large = table.truth_area >= _LEAST_AREA_PX
        same = np.zeros(large.shape, bool)
        same[table.truth_index[table.iou == 1]] = True
        self.objects += int(large.sum())
        self.identical += int((large & same).sum())
        self.predicted += int((table.predicted_area >= _LEAST_AREA_PX).sum())

    def note(self) -> str:
        """Return a warning if one seems to be a copy of the other, otherwise an empty text."""
        if not self.identical:
            return ""
        if self.identical == self.objects == self.predicted:
            return (
                "Prediction and ground truth are the same, pixel by pixel "
                f"({self.objects} object(s)): one is a copy of the other, so the scores are "
                "meaningless."
            )
        if self.identical < max(_LEAST_OBJECTS, _LEAST_SHARE * self.objects):
            return ""
        return (
            f"{self.identical} of {self.objects} ground-truth objects are the same in the "
            "prediction, pixel by pixel: the ground truth seems to be a corrected copy of it, so "
            "the scores are too good."
        )
