"""Print the main scores, by image and pooled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_unet.cli.console import Output

if TYPE_CHECKING:
    from napari_unet.core.evaluation.report import Report

__all__ = ["short_scores", "show_report", "show_scores"]

_OBJECTS = {
    "ap50": "AP at IoU 0.5",
    "ap75": "AP at IoU 0.75",
    "ap90": "AP at IoU 0.9",
    "mean_ap": "mean AP 0.50:0.95",
    "pq_50": "PQ at IoU 0.5",
    "dice_foreground": "Dice, foreground",
    "iou_foreground": "IoU, foreground",
}
_CLASSES = {
    "dice_foreground": "Dice, foreground",
    "iou_foreground": "IoU, foreground",
    "mean_dice_without_background": "mean Dice without background",
    "mean_iou_without_background": "mean IoU without background",
    "mean_iou_with_background": "mean IoU with background",
}


def short_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """Select the available scores for one line."""
    from napari_unet.core.tasks.scores import CLASS_SCORES, OBJECT_SCORES

    found = OBJECT_SCORES if "ap50_by_image" in scores else CLASS_SCORES
    return {score.label: scores[score.key] for score in found.line if score.key in scores}


def show_scores(output: Output, scores: Mapping[str, float], title: str = "") -> None:
    """Print the main scores of a flat table such as that of `Report.summary`."""
    rows = []
    for key, name in (_OBJECTS if "ap50_by_image" in scores else _CLASSES).items():
        by_image, pooled = scores.get(f"{key}_by_image"), scores.get(f"{key}_pooled")
        if by_image is not None or pooled is not None:
            rows.append([name, _number(by_image), _number(pooled)])
    if rows:
        output.table(["score", "by image", "pooled"], rows, title)


def show_report(output: Output, report: Report, title: str, definitions: bool = False) -> None:
    """Print the scores, counts and notes of an evaluation."""
    rows = report.score_rows()
    columns = ["score", "by image", "pooled"] + (["definition"] if definitions else [])
    lines = [
        [row.score, _number(row.by_image), _number(row.pooled)]
        + ([row.definition] if definitions else [])
        for row in rows
    ]
    output.table(columns, lines, title)
    output.say(_counts(report))
    for note in report.notes:
        output.say(note)
    if report.unmatched:
        listed = ", ".join(report.unmatched[:5]) + (" ..." if len(report.unmatched) > 5 else "")
        output.warn(f"{len(report.unmatched)} file(s) without a counterpart: {listed}")


def _counts(report: Report) -> str:
    summary = report.summary()
    text = f"{summary['images']:g} image(s)"
    if report.kind == "instances":
        true = sum(i.objects.at[0].n_true for i in report.images if i.objects)
        text += f", {true} ground-truth objects: {summary['missed']:g} missed, "
        text += f"{summary['invented']:g} invented, {summary['split']:g} split, "
        text += f"{summary['merged']:g} merged"
    if empty := summary["images_empty"]:
        text += f"; {empty:g} empty in both ground truth and prediction, not scored"
    if report.not_annotated:
        text += f"; {report.not_annotated} plane(s) without labels not scored"
    return text + ". By image: mean over the images; pooled: all objects or pixels together."


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
