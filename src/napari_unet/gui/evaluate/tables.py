"""Rows and headlines of the evaluation tables, made from a report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from napari_unet.core.evaluation.error_map import ErrorMap
    from napari_unet.core.evaluation.report import Report

__all__ = [
    "How",
    "category_counts",
    "class_rows",
    "export_csv",
    "fates",
    "headline",
    "image_rows",
    "object_rows",
    "overall_scores",
    "threshold_rows",
]

How = Literal["pooled", "by_image"]
Row = dict[str, Any]

_PIXEL = {"IoU": "iou", "Dice": "dice", "precis.": "precision", "recall": "recall"}
_OBJECT = {"AP": "ap", "F1": "f1", "PQ": "pq", "prec.": "precision", "rec.": "recall", "SQ": "sq"}


def headline(report: Report, errors: ErrorMap | None, iou_threshold: float) -> str:
    """Return the main scores and the numbers of objects as one line of HTML."""
    summary = report.summary()
    if report.kind == "semantic":
        dice, accuracy = summary["dice_foreground_pooled"], summary["pixel_accuracy_pooled"]
        scores = [f"Dice {_short(dice)}", f"pixel accuracy {_short(accuracy)}"]
        return f"{' · '.join(scores)}<br>Dice of all classes except the background, pooled"
    if errors is None:
        scores = [f"{n} {_short(summary[f'{k}_pooled'])}" for n, k in _AT_HALF]
        tp = sum(i.objects.at[0].tp for i in report.images if i.objects)
        counts = (tp, int(summary["objects_true"]), int(summary["objects_predicted"]))
        iou_threshold = 0.5
    else:
        counts = _object_counts(errors)
        scores = _scores_of(*counts) + _pq_at(report, iou_threshold)
    tp, true, predicted = counts
    return (
        f"{' · '.join(scores)}<br>"
        f"At IoU {iou_threshold:g}: found {tp} of {true} objects, predicted {predicted}"
    )


def class_rows(report: Report, how: How) -> list[Row]:
    """Return the pixel scores per class, after those of everything but the background."""
    from napari_unet.core.evaluation.metrics import flat_names

    summary = report.summary()
    together = "all objects" if report.kind == "instances" else "foreground"
    flat = flat_names(report.classes)
    keys = [(together, "foreground"), *((report.classes[i], key) for i, key in flat.items())]
    return [
        {"class": name}
        | {label: round(summary[f"{s}_{key}_{how}"], 3) for label, s in _PIXEL.items()}
        for name, key in keys
    ]


def overall_scores(report: Report, how: How) -> str:
    """Return the scores over all classes in one line."""
    summary = report.summary()
    parts = [f"Pixel accuracy {_short(summary[f'pixel_accuracy_{how}'])}"]
    if report.kind == "semantic":
        for word in ("with", "without"):
            mean = summary[f"mean_iou_{word}_background_{how}"]
            parts.append(f"mean IoU {word} background {_short(mean)}")
    else:
        parts.append(f"mean AP {_short(summary[f'mean_ap_{how}'])}")
    return " · ".join(parts)


def threshold_rows(report: Report, how: How) -> list[Row]:
    """Return the object scores per threshold of intersection over union."""
    return [
        {"IoU": row["iou_threshold"]}
        | {label: round(row[f"{score}_{how}"], 3) for label, score in _OBJECT.items()}
        for row in report.threshold_rows()
    ]


def image_rows(report: Report, name: str = "") -> list[Row]:
    """Return the scores per image or plane, with objects matched at an IoU of 0.5.

    Parameters
    ----------
    report
        Results of the evaluation.
    name
        Name of the stack in the report. If set, ``plane`` holds the position of each plane. If
        empty, the images are files and ``file`` holds their names.
    """
    rows: list[Row] = []
    for image in report.images:
        shown = {"plane": image.name.removeprefix(name).strip()} if name else {"file": image.name}
        row: Row = {"image": image.name, **shown}
        if image.objects is not None:
            at = image.objects.at[0]
            row |= {"AP": at.ap, "F1": at.f1, "PQ": at.pq, "true": at.n_true}
            row |= {"pred.": at.n_predicted}
        foreground = image.pixels.foreground()
        row |= {"Dice": float(foreground.score("dice")[1])}
        if image.objects is None:
            row |= {"IoU": float(foreground.score("iou")[1]), "acc.": image.pixels.accuracy}
        rows.append({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    return rows


def object_rows(errors: ErrorMap, show: str = "errors") -> list[Row]:
    """Return a row per object, errors and large objects first.

    A hit has one row, that of the ground-truth object. Rows have the keys of `ErrorMap.objects` and
    the short forms ``in`` and ``IoU``.

    Parameters
    ----------
    errors
        From `napari_unet.core.evaluation.error_map.error_map`.
    show
        ``"all"``, ``"errors"`` (all but hits), or one of the categories.
    """
    chosen = [
        row
        for row in errors.objects
        if not _is_second_of_hit(row)
        and (
            show == "all"
            or row["category"] == show
            or (show == "errors" and row["category"] != "hit")
        )
    ]
    chosen.sort(key=lambda row: (row["category"] == "hit", -row["area_px"]))
    short = {"truth": "truth", "prediction": "pred."}
    return [row | {"in": short[row["object"]], "IoU": round(row["iou"], 3)} for row in chosen]


def category_counts(errors: ErrorMap) -> dict[str, int]:
    """Count the rows of `object_rows` in each category."""
    counts = Counter(row["category"] for row in errors.objects if not _is_second_of_hit(row))
    return {name: counts[name] for name in _OBJECT_CATEGORIES}


def fates(report: Report, errors: ErrorMap) -> dict[str, int]:
    """Count ground-truth objects by outcome, and invented objects.

    For classes, pixels are counted. Categories that cannot occur are left out.
    """
    if report.kind == "semantic":
        return _pixel_categories(report)
    counts = Counter(
        row["category"]
        for row in errors.objects
        if (row["object"] == "prediction") == (row["category"] == "invented")
    )
    return {name: counts[name] for name in _OBJECT_CATEGORIES}


def export_csv(
    report: Report, errors: ErrorMap | None, folder: Path, settings: Mapping[str, Any]
) -> list[Path]:
    """Write all tables: scores, images, thresholds, objects and what was compared.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    from napari_unet.core.evaluation.report import write_report
    from napari_unet.core.system.atomic_files import atomic_write_csv, remove

    tables: dict[str, Sequence[Mapping[str, Any]]] = {
        "scores_by_threshold.csv": [_defined(row) for row in report.threshold_rows()],
        "object_errors.csv": errors.objects if errors is not None else (),
        "evaluation.csv": [{"what": k, "value": v} for k, v in settings.items()]
        + [{"what": "note", "value": note} for note in report.notes]
        + [{"what": "without a counterpart", "value": name} for name in report.unmatched],
    }
    written = list(write_report(report, folder))
    for name, rows in tables.items():
        if rows:
            atomic_write_csv(folder / name, rows)
            written.append(folder / name)
        else:
            remove(folder / name)  # an older file would look like part of this export
    return written


_OBJECT_CATEGORIES = ("hit", "missed", "split", "merged", "invented")

_AT_HALF = (("AP", "ap50"), ("F1", "f1_50"), ("PQ", "pq_50"))


def _is_second_of_hit(row: Mapping[str, Any]) -> bool:
    """Return whether a row is the predicted one of two matching objects."""
    return bool(row["category"] == "hit" and row["object"] == "prediction")


def _object_counts(errors: ErrorMap) -> tuple[int, int, int]:
    """Return the numbers of matches, ground-truth objects and predicted objects."""
    tp = sum(r["object"] == "truth" and r["category"] == "hit" for r in errors.objects)
    true = sum(r["object"] == "truth" for r in errors.objects)
    return tp, true, len(errors.objects) - true


def _scores_of(tp: int, true: int, predicted: int) -> list[str]:
    if not true + predicted:
        return ["No objects in ground truth or prediction: no score"]
    ap, f1 = tp / (true + predicted - tp), 2 * tp / (true + predicted)
    return [f"AP {_short(ap)}", f"F1 {_short(f1)}"]


def _pq_at(report: Report, iou_threshold: float) -> list[str]:
    """Return PQ if the report has it at this threshold."""
    for row in report.threshold_rows():
        if math.isclose(row["iou_threshold"], iou_threshold) and not math.isnan(row["pq_pooled"]):
            return [f"PQ {_short(row['pq_pooled'])}"]
    return []


def _pixel_categories(report: Report) -> dict[str, int]:
    from napari_unet.core.evaluation.metrics import PixelCounts

    pooled = PixelCounts.pool([image.pixels for image in report.images])
    table, background = pooled.confusion, pooled.classes.index(pooled.background)
    right, all_px = int(table.trace()), int(table.sum())
    missed = int(table[:, background].sum() - table[background, background])
    invented = int(table[background].sum() - table[background, background])
    return {
        "hit": right - int(table[background, background]),
        "missed": missed,
        "invented": invented,
        "wrong class": all_px - right - missed - invented,
    }


def _short(value: float) -> str:
    from napari_unet.core.evaluation.report import format_score

    return format_score(value)


def _defined(row: Mapping[str, Any]) -> Row:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
