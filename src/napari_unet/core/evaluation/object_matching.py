"""Matching of predicted with true objects, and classification of the others.

Two objects can match if their intersection over union (IoU) reaches a threshold. Each object
matches at most once, and the matching with the most matches is chosen. The other objects are
missed, invented, or part of a split or a merge. A table of overlapping pairs, built once per image,
is used for all thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.labels import check_same_shape, checked_labels, consecutive

__all__ = [
    "Category",
    "ErrorCounts",
    "Indices",
    "ObjectErrors",
    "Overlaps",
    "classify_objects",
    "match_objects",
    "overlaps",
]

Category = Literal["hit", "missed", "invented", "split", "merged"]
"""Category of an object in a comparison."""

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Overlaps:
    """The objects of an image and all pairs that share pixels.

    Parameters
    ----------
    truth_ids, predicted_ids
        Label ids of the objects, ascending.
    truth_area, predicted_area
        Number of scored pixels of each object, in the same order.
    truth_index, predicted_index, shared
        One entry per pair that shares pixels: indices in the lists above, and the number of shared
        pixels.
    """

    truth_ids: Indices
    predicted_ids: Indices
    truth_area: Indices
    predicted_area: Indices
    truth_index: Indices
    predicted_index: Indices
    shared: Indices

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of every pair."""
        truth_area = self.truth_area[self.truth_index]
        union = truth_area + self.predicted_area[self.predicted_index] - self.shared
        return np.asarray(self.shared / union)


@dataclass(frozen=True)
class ErrorCounts:
    """Numbers of objects without a match, by kind of error.

    False negatives are `missed` + `missed_in_split` + `missed_in_merge`, false positives are
    `invented` + `invented_in_split` + `invented_in_merge`.

    Parameters
    ----------
    split
        True objects that contain more than half of the area of each of two or more predictions.
    merged
        Predictions that cover more than half of each of two or more true objects.
    missed, invented
        True objects and predictions without a match that are not part of a split or merge.
    missed_in_split, missed_in_merge, invented_in_split, invented_in_merge
        Objects without a match that are part of a split or a merge; if both, of the merge.
    """

    split: int = 0
    merged: int = 0
    missed: int = 0
    invented: int = 0
    missed_in_split: int = 0
    missed_in_merge: int = 0
    invented_in_split: int = 0
    invented_in_merge: int = 0

    @staticmethod
    def pool(images: Sequence[ErrorCounts]) -> ErrorCounts:
        """Add the counts of several images."""
        return ErrorCounts(*(sum(getattr(i, f.name) for i in images) for f in fields(ErrorCounts)))


@dataclass(frozen=True)
class ObjectErrors:
    """The category of every object of an image at one threshold.

    Parameters
    ----------
    truth_category
        ``hit``, ``missed``, ``split`` or ``merged`` for every true object.
    predicted_category
        ``hit``, ``invented``, ``split`` or ``merged`` for every predicted object.
    truth_match, predicted_match
        Index of the matching predicted or true object; -1 without a match.
    counts
        Number of objects in each category.
    """

    truth_category: tuple[Category, ...]
    predicted_category: tuple[Category, ...]
    truth_match: Indices
    predicted_match: Indices
    counts: ErrorCounts


def overlaps(
    prediction: ArrayLike, truth: ArrayLike, *, annotated: ArrayLike | None = None
) -> Overlaps:
    """List the objects of an image and the pairs that share pixels.

    Parameters and errors as for `object_scores`.
    """
    prediction, truth = (
        checked_labels(prediction, "prediction"),
        checked_labels(truth, "ground truth"),
    )
    mask = check_same_shape(prediction, truth, annotated)
    prediction_px, truth_px = prediction.ravel(), truth.ravel()
    if mask is not None:
        prediction_px, truth_px = (_inside(a, mask.ravel()) for a in (prediction_px, truth_px))
    truth_px, truth_ids = consecutive(truth_px)
    prediction_px, predicted_ids = consecutive(prediction_px)
    shape = (truth_ids.size + 1, predicted_ids.size + 1)
    # Row and column 0 are the background: pixels that an object shares with no other object.
    rows, columns, shared = _count_pairs(truth_px, prediction_px, shape)
    truth_area, predicted_area = (
        np.bincount(index, weights=shared, minlength=n)[1:].astype(np.intp)
        for index, n in zip((rows, columns), shape, strict=True)
    )
    pair = (rows > 0) & (columns > 0)
    return Overlaps(
        truth_ids=truth_ids,
        predicted_ids=predicted_ids,
        truth_area=truth_area,
        predicted_area=predicted_area,
        truth_index=rows[pair] - 1,
        predicted_index=columns[pair] - 1,
        shared=shared[pair],
    )


def match_objects(table: Overlaps, threshold: float) -> tuple[Indices, Indices]:
    """Match as many objects as possible one to one, with the largest possible sum of IoU.

    Parameters
    ----------
    table
        Overlapping pairs.
    threshold
        Smallest intersection over union of a match, above 0 and at most 1.

    Returns
    -------
    truth_index, predicted_index
        Matched pairs as indices in the lists of `table`, ascending in the first.
    """
    if not 0 < threshold <= 1:
        raise SettingsError(
            f"The IoU threshold is {threshold}: expected above 0 and at most 1, for example 0.5."
        )
    iou = table.iou
    candidate = iou >= threshold
    rows, columns, iou = (
        table.truth_index[candidate],
        table.predicted_index[candidate],
        iou[candidate],
    )
    # Above 0.5 no object has two candidates, because labels of one image do not overlap.
    n_rows, n_columns = np.bincount(rows), np.bincount(columns)
    alone = (n_rows[rows] == 1) & (n_columns[columns] == 1)
    pairs = [np.stack([rows[alone], columns[alone]])]
    if not alone.all():
        pairs += _match_contested(rows[~alone], columns[~alone], iou[~alone])
    matched = np.concatenate(pairs, axis=1)
    matched = matched[:, np.argsort(matched[0])]
    return matched[0], matched[1]


def classify_objects(table: Overlaps, threshold: float = 0.5) -> ObjectErrors:
    """Classify every object as a hit, missed, invented, or part of a split or merge.

    Parameters as for `match_objects`. A hit remains a hit even if it also splits or merges objects.
    """
    n_true, n_predicted = table.truth_ids.size, table.predicted_ids.size
    truth_match, predicted_match = np.full(n_true, -1, np.intp), np.full(n_predicted, -1, np.intp)
    truth_index, predicted_index = match_objects(table, threshold)
    truth_match[truth_index], predicted_match[predicted_index] = predicted_index, truth_index

    # At most one prediction covers more than half of a true object, and vice versa.
    covers = 2 * table.shared > table.truth_area[table.truth_index]
    merges = np.bincount(table.predicted_index[covers], minlength=n_predicted) >= 2
    in_merge = np.zeros(n_true, bool)
    in_merge[table.truth_index[covers & merges[table.predicted_index]]] = True

    held = 2 * table.shared > table.predicted_area[table.predicted_index]
    splits = np.bincount(table.truth_index[held], minlength=n_true) >= 2
    in_split = np.zeros(n_predicted, bool)
    in_split[table.predicted_index[held & splits[table.truth_index]]] = True

    of_truth = _categories(truth_match >= 0, in_merge, splits, "missed")
    of_predicted = _categories(predicted_match >= 0, merges, in_split, "invented")
    counts = ErrorCounts(
        split=int(splits.sum()),
        merged=int(merges.sum()),
        missed=of_truth.count("missed"),
        invented=of_predicted.count("invented"),
        missed_in_split=of_truth.count("split"),
        missed_in_merge=of_truth.count("merged"),
        invented_in_split=of_predicted.count("split"),
        invented_in_merge=of_predicted.count("merged"),
    )
    return ObjectErrors(of_truth, of_predicted, truth_match, predicted_match, counts)


def _count_pairs(
    rows: Indices, columns: Indices, shape: tuple[int, int]
) -> tuple[Indices, Indices, Indices]:
    """Count how often each pair of row and column occurs; only pairs that occur are listed."""
    from scipy.sparse import coo_array

    if shape[0] * shape[1] <= max(rows.size, 1000):  # a full table is smaller than the image
        flat = np.bincount(rows * shape[1] + columns)
        occurs = np.flatnonzero(flat)
        return occurs // shape[1], occurs % shape[1], flat[occurs]
    table = coo_array((np.ones(rows.size, np.int32), (rows, columns)), shape).tocsr().tocoo()
    return table.row.astype(np.intp), table.col.astype(np.intp), table.data.astype(np.intp)


def _inside(labels: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Return the labels inside the mask, without objects that are mostly outside of it."""
    compact, ids = consecutive(labels)
    area = np.bincount(compact, minlength=ids.size + 1)
    outside = np.bincount(compact[~mask], minlength=ids.size + 1)
    return np.where(2 * outside > area, 0, np.concatenate([[0], ids]))[compact[mask]]


def _match_contested(
    rows: Indices, columns: Indices, iou: NDArray[np.float64]
) -> list[NDArray[np.intp]]:
    """Match pairs that share objects, one connected group after the other."""
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = int(rows.max()) + 1
    size = n + int(columns.max()) + 1
    graph = coo_array((np.ones(rows.size), (rows, columns + n)), (size, size))
    group = connected_components(graph, directed=False)[1][rows]
    matched = []
    for members in np.split(order := np.argsort(group), np.flatnonzero(np.diff(group[order])) + 1):
        group_rows, r = np.unique(rows[members], return_inverse=True)
        group_columns, c = np.unique(columns[members], return_inverse=True)
        # One more match outweighs any gain in IoU, which is at most 1 per match.
        weight = np.zeros((group_rows.size, group_columns.size))
        weight[r, c] = min(weight.shape) + 1 + iou[members]
        best = linear_sum_assignment(weight, maximize=True)
        chosen = weight[best] > 0
        matched.append(np.stack([group_rows[best[0][chosen]], group_columns[best[1][chosen]]]))
    return matched


def _categories(
    hit: NDArray[np.bool_], merged: NDArray[np.bool_], split: NDArray[np.bool_], other: Category
) -> tuple[Category, ...]:
    words = np.select([hit, merged, split], ["hit", "merged", "split"], other)
    return tuple(words.tolist())
