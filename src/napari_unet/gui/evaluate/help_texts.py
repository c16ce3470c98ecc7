"""Texts beside the scores: definitions, tooltips and notes on what the scores omit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unet.core.evaluation.report import Report

__all__ = [
    "OBJECT_HELP",
    "TABS",
    "category_help",
    "definitions",
    "explained",
    "left_out",
    "score_help",
]

_EXPLAINED = {
    "instances": {
        "ap": "AP", "mean_ap": "Mean AP", "f1": "F1", "pq": "PQ", "sq": "SQ",
        "object_precision": "Object precision", "object_recall": "Object recall",
        "missed": "Missed", "invented": "Invented", "split": "Split", "merged": "Merged",
        "iou": "IoU", "dice": "Dice", "precision": "Pixel precision",
        "recall": "Pixel recall", "pixel_accuracy": "Pixel accuracy",
        "pooled": "Pooled", "by_image": "By image",
    },
    "semantic": {
        "iou": "IoU", "dice": "Dice", "precision": "Precision", "recall": "Recall",
        "mean_iou": "Mean IoU", "pixel_accuracy": "Pixel accuracy", "foreground": "Foreground",
        "pooled": "Pooled", "by_image": "By image",
    },
}  # fmt: skip
_COLUMNS = {
    "AP": "ap", "F1": "f1", "PQ": "pq", "SQ": "sq", "prec.": "object_precision",
    "rec.": "object_recall", "IoU": "iou", "Dice": "dice", "precis.": "precision",
    "recall": "recall", "acc.": "pixel_accuracy",
}  # fmt: skip
OBJECT_HELP = {
    "plane": "Position in the stack.",
    "category": "Whether the object is a hit, missed, split, merged or invented.",
    "in": "Whether the object is in the ground truth or in the prediction.",
    "id": "Label of the object.",
    "IoU": "Intersection over union with the object it overlaps most.",
    "area_px": "Area of the object in pixels.",
}
_HELP = {
    "hit": "Ground-truth objects that a prediction matches.",
    "split": "Ground-truth objects that were predicted in two or more pieces.",
    "merged": "Ground-truth objects that were predicted as one object.",
    "wrong class": "Pixels of a class predicted as another class.",
}
_PIXEL_HELP = {
    "hit": "Pixels predicted as their own class.",
    "missed": "Pixels of a class predicted as background.",
    "invented": "Background pixels predicted as a class.",
}
TABS = {
    "Objects": "Every object with its match or error. Click a row to show the object.",
    "Classes": "Pixel scores of each class.",
    "Thresholds": "Object scores for every threshold of intersection over union.",
    "Planes": "One row per image or plane. Click a row to go there.",
}


def definitions(kind: str) -> str:
    """Return the definition of each score of this kind of labels as HTML."""
    from napari_unet.core.evaluation.report import DEFINITIONS

    return explained({name: DEFINITIONS[key] for key, name in _EXPLAINED[kind].items()})


def category_help(kind: str, categories: Iterable[str]) -> str:
    """Return the meaning of each colour of the error layer and of the numbers as HTML."""
    from napari_unet.core.evaluation.report import DEFINITIONS

    texts = DEFINITIONS | _HELP
    numbers = "Counts of ground-truth objects; for invented objects, of predicted ones."
    if kind == "semantic":
        texts, numbers = texts | _PIXEL_HELP, "Pixels that the error layer shows in this colour."
    helped = {name.capitalize(): texts[name] for name in categories}
    return explained(helped | {"Numbers": numbers})


def score_help() -> dict[str, str]:
    """Return the definition of the score in each column."""
    from napari_unet.core.evaluation.report import DEFINITIONS

    return {column: DEFINITIONS[key] for column, key in _COLUMNS.items()}


def left_out(report: Report) -> list[str]:
    """Return sentences on what the scores do not cover."""
    sentences = []
    if report.not_annotated:
        sentences.append(
            f"{report.not_annotated} plane(s) without ground-truth labels were left out as not "
            "annotated."
        )
    if report.unmatched:
        listed = ", ".join(report.unmatched[:3]) + (", ..." if len(report.unmatched) > 3 else "")
        sentences.append(f"{len(report.unmatched)} file(s) have no counterpart: {listed}.")
    empty = sum(image.empty for image in report.images)
    if empty and len(report.images) > 1:
        sentences.append(
            f"{empty} image(s) are empty in both ground truth and prediction: they have no score "
            "and are left out of means by image."
        )
    return sentences


def explained(texts: Mapping[str, str]) -> str:
    """Format names in bold, each followed by its explanation, as HTML."""
    return "".join(f"<p style='margin:2px 0'><b>{k}</b>: {v}</p>" for k, v in texts.items())
