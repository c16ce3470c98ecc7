"""Maps of the errors of a prediction, and lists of the objects concerned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.errors import SettingsError
from napari_unet.core.evaluation.measure import find_centroids
from napari_unet.core.evaluation.object_matching import (
    Category,
    Indices,
    Overlaps,
    classify_objects,
    overlaps,
)
from napari_unet.core.images import palette
from napari_unet.core.images.labels import check_same_shape, checked_labels, planes

__all__ = ["ERROR_CATEGORIES", "ERROR_COLOURS", "ErrorMap", "error_map"]

ERROR_CATEGORIES = ("none", "hit", "missed", "invented", "split", "merged", "wrong class")
"""Categories of an error map; a pixel's number is the index of its category in this list."""

ERROR_COLOURS = {
    "hit": palette.GREEN,
    "missed": palette.SKY,
    "invented": palette.VERMILION,
    "split": palette.YELLOW,
    "merged": palette.PURPLE,
    "wrong class": palette.ORANGE,
}
"""Colour of each kind of error, ``"#rrggbb"``."""


@dataclass(frozen=True)
class ErrorMap:
    """The errors of a prediction, by pixel and by object.

    Parameters
    ----------
    labels
        uint8 array of the shape of the labels; values are indices in `ERROR_CATEGORIES`.
    objects
        One row per true and per predicted object: ``plane, object`` (``truth`` or ``prediction``),
        ``id, category, iou`` (with the object that it overlaps best), ``area_px``, and the centroid
        in pixels, ``centroid_y, centroid_x``. Empty for classes.
    """

    labels: NDArray[np.uint8]
    objects: tuple[dict[str, Any], ...] = ()

    @property
    def colours(self) -> dict[int, str]:
        """Colour of each number except 0, as ``"#rrggbb"``."""
        return {ERROR_CATEGORIES.index(name): colour for name, colour in ERROR_COLOURS.items()}


def error_map(
    prediction: ArrayLike,
    truth: ArrayLike,
    *,
    kind: Literal["instances", "semantic"] = "instances",
    annotated: ArrayLike | None = None,
    iou_threshold: float = 0.5,
    background: int = 0,
    ndim: int = 2,
) -> ErrorMap:
    """Find where a prediction is right and wrong.

    Parameters
    ----------
    prediction, truth
        Labels of the same shape.
    kind
        ``"instances"``: hit, missed, invented, split and merged objects. ``"semantic"``: pixels of
        the right class (``hit``), of a class predicted as background (``missed``), of background
        predicted as a class (``invented``), and of another class (``wrong class``).
    annotated
        Mask of the scored area; nothing is marked outside.
    iou_threshold
        Smallest intersection over union of a hit.
    background
        Id of the background, for ``"semantic"``.
    ndim
        2: planes of a stack are compared one by one; 3: volumes.

    Raises
    ------
    LabelsError
        If the arrays are not labels or differ in shape.
    SettingsError
        If the threshold is not in (0, 1], or the kind is unknown.
    """
    prediction, truth = (
        checked_labels(prediction, "prediction"),
        checked_labels(truth, "ground truth"),
    )
    mask = check_same_shape(prediction, truth, annotated)
    if kind not in ("instances", "semantic"):
        raise SettingsError(f"The kind is {kind!r}: expected 'instances' or 'semantic'.")
    errors = np.zeros(truth.shape, np.uint8)
    objects: list[dict[str, Any]] = []
    for position, p, t, m in planes(prediction, truth, mask, ndim=ndim):
        if kind == "semantic":
            errors[position] = _mark_classes(p, t, background)
        else:
            table = overlaps(p, t, annotated=m)
            marked, rows = _mark_objects(p, t, table, iou_threshold)
            errors[position] = marked
            objects += [{"plane": " ".join(map(str, position)), **row} for row in rows]
    if mask is not None:
        errors[~mask] = 0
    return ErrorMap(errors, tuple(objects))


def _mark_classes(
    prediction: NDArray[Any], truth: NDArray[Any], background: int
) -> NDArray[np.uint8]:
    inside, found = truth != background, prediction != background
    same = prediction == truth
    cases = [inside & same, inside & ~found, ~inside & found, inside & found & ~same]
    numbers = [_number(name) for name in ("hit", "missed", "invented", "wrong class")]
    return np.select(cases, numbers, 0).astype(np.uint8)


def _mark_objects(
    prediction: NDArray[Any], truth: NDArray[Any], table: Overlaps, threshold: float
) -> tuple[NDArray[np.uint8], list[dict[str, Any]]]:
    errors = classify_objects(table, threshold)
    best_true, best_predicted = _best_iou(table)
    # Where two objects overlap, the larger number is shown, so that an error hides a hit.
    marked = np.maximum(
        _paint(truth, table.truth_ids, errors.truth_category),
        _paint(prediction, table.predicted_ids, errors.predicted_category),
    )
    rows = [
        *_rows("truth", truth, table.truth_ids, errors.truth_category, best_true),
        *_rows(
            "prediction", prediction, table.predicted_ids, errors.predicted_category, best_predicted
        ),
    ]
    return marked, rows


def _best_iou(table: Overlaps) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    best_true = np.zeros(table.truth_ids.size)
    best_predicted = np.zeros(table.predicted_ids.size)
    np.maximum.at(best_true, table.truth_index, table.iou)
    np.maximum.at(best_predicted, table.predicted_index, table.iou)
    return best_true, best_predicted


def _paint(
    labels: NDArray[Any], ids: Indices, categories: tuple[Category, ...]
) -> NDArray[np.uint8]:
    """Return the number of the category of each pixel's object; 0 for objects not in the list."""
    if not ids.size:
        return np.zeros(labels.shape, np.uint8)
    numbers = np.array([_number(c) for c in categories], np.uint8)
    place = np.minimum(np.searchsorted(ids, labels), ids.size - 1)
    return np.where(ids[place] == labels, numbers[place], 0).astype(np.uint8)


def _rows(
    which: str,
    labels: NDArray[Any],
    ids: Indices,
    categories: tuple[Category, ...],
    iou: NDArray[np.float64],
) -> list[dict[str, Any]]:
    centroids, areas = find_centroids(labels, ids)
    names = [f"centroid_{axis}" for axis in "zyx"[-labels.ndim :]]
    return [
        {
            "object": which,
            "id": int(ids[i]),
            "category": categories[i],
            "iou": float(iou[i]),
            "area_px": int(areas[i]),
            **dict(zip(names, centroids[i].tolist(), strict=True)),
        }
        for i in range(ids.size)
    ]


def _number(category: str) -> int:
    return ERROR_CATEGORIES.index(category)
