"""What makes a score kinder than it should be: images seen in training, copied labels."""

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
"""What an image was to a model; ``"both"``: one part trained it, another validated it."""

_LEAST_AREA_PX = 30
_LEAST_OBJECTS = 3
_LEAST_SHARE = 0.1
"""A network's objects equal hand-drawn ones pixel by pixel about once in a thousand (measured on
nuclei of 30 pixels and more); every tenth is no accident."""


def seen_by(info: ModelInfo, image: Image) -> Seen:
    """Return how a model used an image.

    Images are recognised by their pixels: the same image, one that holds a plane of the images
    that the model saw, or a plane of one of these.

    Parameters
    ----------
    info
        Header of the model.
    image
        Image as it was predicted.
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
        What was found.
    model
        The model's file; None, or one that is no longer there: nothing is added.
    images
        The images that it predicted.
    """
    from napari_unet.core.models.model_file import read_info

    if model is None or not model.exists():
        return report
    note = training_note(read_info(model), images)
    return replace(report, notes=(note, *report.notes)) if note else report


def training_note(info: ModelInfo, images: Iterable[Image]) -> str:
    """Describe in a sentence which scored images a model was trained on; empty if none."""
    roles = [seen_by(info, image) for image in images]
    trained = sum(role in ("training", "both") for role in roles)
    validated = roles.count("validation")
    several = f"{trained or validated} of these {len(roles)} images"
    which = "this image" if len(roles) == 1 else several
    if trained:
        part = "a part of " if roles == ["both"] else ""
        return (
            f"The model '{info.name}' was trained on {part}{which}: the scores say little about "
            "new images."
        )
    if validated:
        return (
            f"The model '{info.name}' was validated on {which}: its best state was chosen with "
            "it, so the scores are a little too good for new images."
        )
    return ""


@dataclass
class CopyCheck:
    """Count the true objects that are in the prediction, too, pixel by pixel.

    Parameters
    ----------
    objects
        True objects of 30 pixels and more so far.
    identical
        Those of them that a prediction equals.
    predicted
        Predicted objects of that size so far.
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
        """Look at an image.

        Parameters
        ----------
        prediction, truth
            Labels of one shape, axes YX or ZYX.
        annotated
            Mask of what is scored; None: everything.
        connected
            The labels are classes: take each connected part of a class for an object.
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
        """Warn in a sentence if one seems to be copied from the other; else return nothing."""
        if not self.identical:
            return ""
        if self.identical == self.objects == self.predicted:
            return (
                f"Prediction and truth are the same, pixel by pixel ({self.objects} object(s)): "
                "one was copied from the other, and the scores say nothing about the model."
            )
        if self.identical < max(_LEAST_OBJECTS, _LEAST_SHARE * self.objects):
            return ""
        return (
            f"{self.identical} of {self.objects} true objects are the same in the prediction, "
            "pixel by pixel: the truth seems to be a corrected copy of it, and the scores flatter "
            "the model."
        )
