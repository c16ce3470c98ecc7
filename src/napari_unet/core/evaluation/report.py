"""Report of an evaluation: scores per image and overall, and a definition of each score."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_unet.core.evaluation.metrics import PixelCounts, flat_names, pixel_summary
from napari_unet.core.evaluation.object_scores import ObjectScores, object_summary

__all__ = [
    "DEFINITIONS",
    "ImageScores",
    "Kind",
    "Report",
    "ScoreRow",
    "format_score",
    "write_report",
]

DEFINITIONS = {
    "by_image": "Mean of the scores of all images for which the score is defined.",
    "pooled": "Score of the counts summed over all images, so that large images weigh more.",
    "ap": "Average precision TP / (TP + FP + FN) of objects matched one to one at this "
    "intersection over union or more; not COCO's AP, which ranks by confidence.",
    "mean_ap": "Mean of AP over the thresholds of intersection over union.",
    "f1": "2 TP / (2 TP + FP + FN) of objects matched at this intersection over union or more.",
    "pq": "Panoptic quality: SQ x RQ.",
    "sq": "Segmentation quality: mean intersection over union of the matched objects.",
    "rq": "Recognition quality: the same as F1.",
    "object_precision": "Fraction of predicted objects that match a ground-truth object.",
    "object_recall": "Fraction of ground-truth objects that match a predicted object.",
    "missed": "Ground-truth objects without a match that are not part of a split or merge.",
    "invented": "Predicted objects without a match that are not part of a split or merge.",
    "split": "Ground-truth objects that contain more than half of the area of each of two or more "
    "predictions.",
    "merged": "Predictions that cover more than half of each of two or more ground-truth objects.",
    "iou": "Intersection over union of the true and predicted pixels of a class.",
    "dice": "Twice the common pixels of a class over the sum of its true and predicted pixels.",
    "precision": "Fraction of the pixels predicted as a class that belong to it.",
    "recall": "Fraction of the pixels of a class that are predicted as this class.",
    "mean_iou": "Mean IoU over the classes present, with or without the background.",
    "mean_dice": "Mean Dice over the classes present, with or without the background.",
    "pixel_accuracy": "Fraction of pixels with the right class.",
    "foreground": "All classes except the background, or all objects, together.",
}
"""Definition of each score in one sentence."""

Kind = Literal["instances", "semantic"]


@dataclass(frozen=True)
class ImageScores:
    """Scores of one image, or of one plane of a stack.

    Parameters
    ----------
    name
        Name of the image, with the position of the plane in its stack.
    pixels
        Confusion table of the classes (for instances: background 0, objects 1).
    objects
        Object scores; None for classes.
    """

    name: str
    pixels: PixelCounts
    objects: ObjectScores | None = None

    @property
    def empty(self) -> bool:
        """Whether ground truth and prediction contain only background."""
        return not self.pixels.foreground().present[1]


@dataclass(frozen=True)
class ScoreRow:
    """A row of the table of scores."""

    score: str
    by_image: float
    pooled: float
    definition: str


@dataclass(frozen=True)
class Report:
    """The result of an evaluation.

    Parameters
    ----------
    kind
        ``"instances"`` or ``"semantic"``.
    images
        One entry per image, or per plane of a stack.
    classes
        Name of each class by id; empty if classes have no names.
    notes
        Remarks about the scores, each a sentence.
    unmatched
        Names of files without a partner.
    not_annotated
        Number of planes of stacks that were skipped because their ground truth has no labels.
    class_ids
        Id in the ground truth by id in the prediction; empty if they are the same.

    Examples
    --------
    >>> from napari_unet import evaluate, synthetic_nuclei
    >>> _, truth = synthetic_nuclei((128, 128), n=10)
    >>> report = evaluate(truth, truth, name="field 1")
    >>> report.kind, report.to_rows()[0]["image"]
    ('instances', 'field 1')
    """

    kind: Kind
    images: tuple[ImageScores, ...]
    classes: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    not_annotated: int = 0
    class_ids: Mapping[int, int] = field(default_factory=dict)

    def summary(self) -> dict[str, float]:
        """Return every score of the whole evaluation under a flat name.

        Returns
        -------
        dict
            Scores by name, for example ``ap50_by_image``, ``mean_ap_pooled``, ``pq_50_pooled``,
            ``missed``, ``dice_foreground_by_image``, ``images`` and ``images_empty`` (those empty
            in ground truth and prediction, which have no score and are excluded from means by
            image). Undefined scores are NaN.
        """
        return {
            "images": len(self.images),
            "planes_not_annotated": self.not_annotated,
            "images_empty": sum(i.empty for i in self.images),
            **object_summary([i.objects for i in self.images if i.objects is not None]),
            **pixel_summary([i.pixels for i in self.images], self.classes),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row per image: ``image``, counts, every score; undefined scores are None."""
        return [{"image": image.name, **self._row(image)} for image in self.images]

    def score_rows(self) -> list[ScoreRow]:
        """Return the main scores, by image and pooled, in the order of tables."""
        summary, rows = self.summary(), []
        for key, label, definition in self._displayed():
            if f"{key}_pooled" in summary:
                by_image, pooled = summary[f"{key}_by_image"], summary[f"{key}_pooled"]
                rows.append(ScoreRow(label, by_image, pooled, DEFINITIONS[definition]))
        return rows

    def threshold_rows(self) -> list[dict[str, float]]:
        """Return one row per threshold of intersection over union, with every object score."""
        summary, rows = self.summary(), []
        for at in self.images[0].objects.at if self.images[0].objects else ():
            percent = f"{100 * at.threshold:g}"
            row = {"iou_threshold": at.threshold}
            for score in ("ap", "f1", "pq", "sq", "precision", "recall"):
                key = f"ap{percent}" if score == "ap" else f"{score}_{percent}"
                for how in ("by_image", "pooled"):
                    row[f"{score}_{how}"] = summary[f"{key}_{how}"]
            rows.append(row)
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; undefined scores are None."""
        return {
            "kind": self.kind,
            "summary": _defined(self.summary()),
            "images": self.to_rows(),
            "thresholds": [_defined(row) for row in self.threshold_rows()],
            "classes": {str(i): name for i, name in self.classes.items()},
            "notes": list(self.notes),
            "unmatched": list(self.unmatched),
            "definitions": DEFINITIONS,
        }

    def _row(self, image: ImageScores) -> dict[str, Any]:
        row: dict[str, Any] = {"scored_px": image.pixels.pixels}
        objects = image.objects
        if objects is not None:
            half = objects.at[0]
            row |= {"tp": half.tp, "fp": half.fp, "fn": half.fn}
            row |= object_summary([objects])
        row |= pixel_summary([image.pixels], self.classes)
        # For one image, the scores by image and pooled are the same.
        row = {k.removesuffix("_by_image"): v for k, v in row.items() if not k.endswith("_pooled")}
        row.pop("images_empty", None)
        return _defined(row)

    def _displayed(self) -> list[tuple[str, str, str]]:
        """Return key, label and definition of each row of the table."""
        objects = [
            *((f"ap{t}", f"AP at IoU {t / 100:g}", "ap") for t in (50, 75, 90)),
            ("mean_ap", "mean AP", "mean_ap"),
            ("f1_50", "F1 at IoU 0.5", "f1"),
            ("pq_50", "PQ at IoU 0.5", "pq"),
            ("sq_50", "SQ at IoU 0.5", "sq"),
            ("precision_50", "object precision", "object_precision"),
            ("recall_50", "object recall", "object_recall"),
        ]
        pixels = [
            ("dice_foreground", "Dice, foreground", "dice"),
            ("iou_foreground", "IoU, foreground", "iou"),
            ("precision_foreground", "pixel precision, foreground", "precision"),
            ("recall_foreground", "pixel recall, foreground", "recall"),
        ]
        for class_id, flat in flat_names(self.classes).items():
            name = self.classes[class_id]
            pixels += [(f"{s}_{flat}", f"{label}, {name}", s) for s, label in _PIXEL]
        if self.kind == "semantic":
            for word in ("without", "with"):
                key, label = f"mean_iou_{word}_background", f"mean IoU {word} background"
                pixels.append((key, label, "mean_iou"))
            pixels.append(("pixel_accuracy", "pixel accuracy", "pixel_accuracy"))
        return [*objects, *pixels]


_PIXEL = (("dice", "Dice"), ("iou", "IoU"))


def format_score(value: float | None) -> str:
    """Format a score with three decimals; an undefined one is a dash."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def write_report(report: Report, folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write ``scores.csv`` (one row per score) and ``scores_by_image.csv`` (one per image).

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    from napari_unet.core.system.atomic_files import atomic_write_csv

    scores, by_image = Path(folder) / "scores.csv", Path(folder) / "scores_by_image.csv"
    rows = [
        {
            "score": row.score,
            "by_image": _defined_value(row.by_image),
            "pooled": _defined_value(row.pooled),
            "definition": row.definition,
        }
        for row in report.score_rows()
    ]
    atomic_write_csv(scores, rows)
    atomic_write_csv(by_image, report.to_rows())
    return scores, by_image


def _defined(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _defined_value(value) for key, value in row.items()}


def _defined_value(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
