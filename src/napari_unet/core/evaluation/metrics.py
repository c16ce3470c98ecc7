"""Pixel scores: intersection over union, Dice, precision, recall and accuracy from one table.

All scores are computed from the confusion table: the number of pixels for each pair of true and
predicted class. There is one table per image, so that both kinds of mean are available: *by image*
(score every image, average the scores) and *pooled* (add the tables, score once).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.labels import check_same_shape, checked_labels

__all__ = [
    "PIXEL_SCORES",
    "PixelCounts",
    "by_image",
    "distinct_names",
    "flat_names",
    "foreground_counts",
    "pixel_counts",
    "pixel_summary",
]

PIXEL_SCORES = ("iou", "dice", "precision", "recall")
"""Names of the scores of every class."""

_MOST_CLASSES = 256


@dataclass(frozen=True)
class PixelCounts:
    """Number of pixels for each pair of true and predicted class.

    A score of a class is not a number (NaN) if the class occurs neither in the ground truth nor in
    the prediction, and 0 if it occurs in only one of them.

    Parameters
    ----------
    confusion
        Integers of shape (classes, classes): rows are true, columns predicted classes.
    classes
        Label id of each row and column.
    background
        Label id of the background, which some means exclude.
    """

    confusion: NDArray[np.int64]
    classes: tuple[int, ...]
    background: int = 0

    @property
    def pixels(self) -> int:
        """Number of scored pixels."""
        return int(self.confusion.sum())

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether each class occurs in the ground truth or in the prediction."""
        return np.asarray(self._n_true + self._n_predicted > 0)

    @property
    def accuracy(self) -> float:
        """Fraction of scored pixels that have the right class; NaN if there are none."""
        return self._hits.sum() / self.pixels if self.pixels else float("nan")

    def score(self, name: str) -> NDArray[np.float64]:
        """Compute a score of every class: ``"iou"``, ``"dice"``, ``"precision"``, ``"recall"``."""
        hits, true, predicted = self._hits, self._n_true, self._n_predicted
        numerator = 2 * hits if name == "dice" else hits
        denominator = {
            "iou": true + predicted - hits,
            "dice": true + predicted,
            "precision": predicted,
            "recall": true,
        }[name]
        return np.where(self.present, numerator / np.maximum(denominator, 1), np.nan)

    def mean(self, name: str, *, with_background: bool) -> float:
        """Compute the mean of a score over the classes present; NaN if there are none."""
        counted = np.array([with_background or c != self.background for c in self.classes])
        return _mean(self.score(name)[counted])

    def foreground(self) -> PixelCounts:
        """Merge all classes except the background into class 1; the background is class 0."""
        inside = np.array([int(c != self.background) for c in self.classes])
        merged = np.zeros((2, 2), np.int64)
        np.add.at(merged, (inside[:, None], inside[None, :]), self.confusion)
        return PixelCounts(merged, (0, 1))

    @staticmethod
    def pool(images: Sequence[PixelCounts]) -> PixelCounts:
        """Add the tables of several images (at least one); their classes may differ."""
        classes = tuple(sorted({c for image in images for c in image.classes}))
        total = np.zeros((len(classes), len(classes)), np.int64)
        for image in images:
            index = np.searchsorted(classes, image.classes)
            total[np.ix_(index, index)] += image.confusion
        return PixelCounts(total, classes, images[0].background)

    @property
    def _hits(self) -> NDArray[np.int64]:
        return np.diagonal(self.confusion)

    @property
    def _n_true(self) -> NDArray[np.int64]:
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def _n_predicted(self) -> NDArray[np.int64]:
        return np.asarray(self.confusion.sum(axis=0))


def pixel_counts(
    prediction: ArrayLike,
    truth: ArrayLike,
    *,
    classes: Sequence[int] | None = None,
    annotated: ArrayLike | None = None,
    background: int = 0,
) -> PixelCounts:
    """Count the pixels of every pair of true and predicted class.

    Parameters
    ----------
    prediction, truth
        Class of every pixel: integers from 0 or bool, same shape, any number of dimensions.
    classes
        Ids that can occur; None: those that do occur.
    annotated
        Mask of the scored pixels, same shape; None: all.
    background
        Id of the background.

    Raises
    ------
    LabelsError
        If the arrays are not labels, differ in shape, or contain an id that is not in `classes`.
    """
    prediction, truth = (
        checked_labels(prediction, "prediction"),
        checked_labels(truth, "ground truth"),
    )
    mask = check_same_shape(prediction, truth, annotated)
    if mask is not None:
        prediction, truth = prediction[mask], truth[mask]
    found = {int(i) for array in (prediction, truth) for i in _ids(array)}
    known = tuple(sorted(found | {background} if classes is None else set(classes)))
    if not found <= set(known):
        raise LabelsError(
            f"The labels contain the class id(s) {sorted(found - set(known))}, which are not among "
            f"the classes {list(known)}. Add them to the class table, or set them to another class."
        )
    table = np.zeros(max(found, default=0) + 1, np.intp)
    for index, class_id in enumerate(known):
        if class_id < table.size:
            table[class_id] = index
    flat = np.bincount(
        table[truth.ravel()] * len(known) + table[prediction.ravel()], minlength=len(known) ** 2
    )
    return PixelCounts(flat.reshape(len(known), -1).astype(np.int64), known, background)


def foreground_counts(
    prediction: ArrayLike, truth: ArrayLike, *, annotated: ArrayLike | None = None
) -> PixelCounts:
    """Count the pixels of objects (labels above 0, class 1) and background (class 0).

    Parameters and errors as for `pixel_counts`.
    """
    prediction, truth = (
        checked_labels(prediction, "prediction"),
        checked_labels(truth, "ground truth"),
    )
    mask = check_same_shape(prediction, truth, annotated)
    p, t = prediction > 0, truth > 0
    n, n_true, n_predicted = p.size, int(np.count_nonzero(t)), int(np.count_nonzero(p))
    both = p & t
    if mask is not None:
        n = int(np.count_nonzero(mask))
        n_true, n_predicted = (int(np.count_nonzero(a & mask)) for a in (t, p))
        both &= mask
    hits = int(np.count_nonzero(both))
    table = [[n - n_true - n_predicted + hits, n_predicted - hits], [n_true - hits, hits]]
    return PixelCounts(np.array(table, np.int64), (0, 1))


def pixel_summary(
    images: Sequence[PixelCounts], names: Mapping[int, str] | None = None
) -> dict[str, float]:
    """Compute the scores of several images, both by image and pooled, under flat names.

    Parameters
    ----------
    images
        One table per image (per plane of a stack).
    names
        Name of each class to score separately, by id. None: only the scores of the whole
        foreground and the means over classes.

    Returns
    -------
    dict
        ``dice_foreground_by_image``, ``dice_foreground_pooled``, ``iou_<class>_by_image``,
        ``mean_iou_with_background_pooled``, ``pixel_accuracy_by_image`` and so on. Undefined
        scores are NaN.
    """
    if not images:
        return {}
    pooled, summary = PixelCounts.pool(images), {}

    def add(name: str, each: Sequence[float], together: float) -> None:
        summary[f"{name}_by_image"], summary[f"{name}_pooled"] = by_image(each), float(together)

    foregrounds, foreground = [i.foreground() for i in images], pooled.foreground()
    for score in PIXEL_SCORES:
        key = f"{score}_foreground"
        add(key, [float(i.score(score)[1]) for i in foregrounds], foreground.score(score)[1])
        for class_id, flat in flat_names(names or {}).items():
            values = [_of_class(i, score, class_id) for i in images]
            add(f"{score}_{flat}", values, _of_class(pooled, score, class_id))
    for score in ("iou", "dice"):
        for with_background, word in ((True, "with"), (False, "without")):
            add(
                f"mean_{score}_{word}_background",
                [i.mean(score, with_background=with_background) for i in images],
                pooled.mean(score, with_background=with_background),
            )
    add("pixel_accuracy", [i.accuracy for i in images], pooled.accuracy)
    return summary


def flat_names(classes: Mapping[int, str]) -> dict[int, str]:
    """Convert class names to the form used in names of scores: ``"Cell border"``, ``cell_border``.

    The id is appended to a name that is also that of another class or of the whole foreground.
    """
    flat = {class_id: "_".join(name.casefold().split()) for class_id, name in classes.items()}
    return distinct_names(flat, ("foreground",))


def distinct_names(names: Mapping[int, str], reserved: Sequence[str] = ()) -> dict[int, str]:
    """Append the number to each name that occurs more than once or is reserved."""
    taken = Counter([*reserved, *names.values()])
    return {i: name if taken[name] == 1 else f"{name}_{i}" for i, name in names.items()}


def by_image(values: Sequence[float]) -> float:
    """Compute the mean over images whose score is defined; NaN if there are none."""
    return _mean(np.asarray(values, np.float64))


def _ids(labels: NDArray[Any]) -> NDArray[np.intp]:
    top = int(labels.max()) if labels.size else 0
    ids = (
        np.flatnonzero(np.bincount(labels.ravel().astype(np.intp)))
        if top < 2**16
        else np.array([top])
    )
    if top >= 2**16 or ids.size > _MOST_CLASSES:
        seen = f"ids up to {top}" if top >= 2**16 else f"{ids.size} different ids"
        raise LabelsError(
            f"The class labels contain {seen}: expected at most {_MOST_CLASSES} classes with ids "
            "below 65,536. If every id is a separate object, score them as instances."
        )
    return ids


def _of_class(counts: PixelCounts, score: str, class_id: int) -> float:
    if class_id not in counts.classes:
        return float("nan")
    return float(counts.score(score)[counts.classes.index(class_id)])


def _mean(values: NDArray[np.float64]) -> float:
    """Compute the mean of the defined values, without numpy's warning if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
