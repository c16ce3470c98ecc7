"""What the evaluation says beside its numbers: definitions, and what the numbers leave out."""

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
        "object_precision": "Precision of objects", "object_recall": "Recall of objects",
        "missed": "Missed", "invented": "Invented", "split": "Split", "merged": "Merged",
        "iou": "IoU", "dice": "Dice", "precision": "Precision of pixels",
        "recall": "Recall of pixels", "pixel_accuracy": "Pixel accuracy",
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
    "category": "What became of the object.",
    "in": "Whether it is in the truth or in the prediction.",
    "id": "Its label.",
    "IoU": "Intersection over union with the object that it overlaps most.",
    "area_px": "Its area in pixels.",
}
_HELP = {
    "hit": "True objects that a prediction matches.",
    "split": "True objects that lie in two or more predictions.",
    "merged": "True objects that share a prediction with another.",
    "wrong class": "Pixels of a class that were predicted as another class.",
}
_PIXEL_HELP = {
    "hit": "Pixels of a class that were predicted as it.",
    "missed": "Pixels of a class that were predicted as background.",
    "invented": "Background that was predicted as a class.",
}
TABS = {
    "Objects": "Every object, and what became of it: click a row to go there.",
    "Classes": "Pixel scores of each class.",
    "Thresholds": "Object scores against the threshold of intersection over union.",
    "Planes": "A row per image or plane: click one to go there.",
}


def definitions(kind: str) -> str:
    """Say what each score of that kind means."""
    from napari_unet.core.evaluation.report import DEFINITIONS

    return explained({name: DEFINITIONS[key] for key, name in _EXPLAINED[kind].items()})


def category_help(kind: str, categories: Iterable[str]) -> str:
    """Say what each colour of the error layer means, and what is counted."""
    from napari_unet.core.evaluation.report import DEFINITIONS

    texts = DEFINITIONS | _HELP
    numbers = "True objects, each counted once; the invented ones are not among them."
    if kind == "semantic":
        texts, numbers = texts | _PIXEL_HELP, "Pixels that the error layer shows in this colour."
    helped = {name.capitalize(): texts[name] for name in categories}
    return explained(helped | {"Numbers": numbers})


def score_help() -> dict[str, str]:
    """Definition of each column's score."""
    from napari_unet.core.evaluation.report import DEFINITIONS

    return {column: DEFINITIONS[key] for column, key in _COLUMNS.items()}


def left_out(report: Report) -> list[str]:
    """Say what the scores do not cover."""
    sentences = []
    if report.not_annotated:
        sentences.append(
            f"{report.not_annotated} plane(s) without any label in the truth were left out as not "
            "annotated."
        )
    if report.unmatched:
        listed = ", ".join(report.unmatched[:3]) + (", ..." if len(report.unmatched) > 3 else "")
        sentences.append(f"{len(report.unmatched)} file(s) have no partner: {listed}.")
    empty = sum(image.empty for image in report.images)
    if empty and len(report.images) > 1:
        sentences.append(
            f"{empty} image(s) hold nothing in truth and prediction: they have no score of their "
            "own and are left out of means by image."
        )
    return sentences


def explained(texts: Mapping[str, str]) -> str:
    """Set names in bold before what they mean, as HTML."""
    return "".join(f"<p style='margin:2px 0'><b>{k}</b>: {v}</p>" for k, v in texts.items())
