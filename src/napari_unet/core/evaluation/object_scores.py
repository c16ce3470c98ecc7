"""Object scores: AP, F1, panoptic quality, precision and recall, by image and pooled.

Objects are matched in `napari_unet.core.evaluation.object_matching`; this module counts the matches
and computes the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.evaluation.metrics import by_image
from napari_unet.core.evaluation.object_matching import (
    ErrorCounts,
    Indices,
    Overlaps,
    classify_objects,
    match_objects,
    overlaps,
)

__all__ = [
    "OBJECT_SCORES",
    "THRESHOLDS",
    "ObjectCounts",
    "ObjectScores",
    "object_counts",
    "object_scores",
    "object_summary",
]

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""Default thresholds of intersection over union."""

OBJECT_SCORES = ("ap", "f1", "pq", "sq", "rq", "precision", "recall")
"""Names of the scores of an image at one threshold."""


@dataclass(frozen=True)
class ObjectCounts:
    """Numbers of matches at one threshold, in one image or summed over several.

    Every score is not a number (NaN) if neither ground truth nor prediction contains objects, and 0
    if nothing matches.

    Parameters
    ----------
    threshold
        Smallest intersection over union of a match.
    tp, fp, fn
        Numbers of matches, of predictions without a match, and of true objects without a match.
    iou_sum
        Sum of the intersection over union of all matches.
    """

    threshold: float
    tp: int
    fp: int
    fn: int
    iou_sum: float

    @property
    def n_true(self) -> int:
        """Number of true objects."""
        return self.tp + self.fn

    @property
    def n_predicted(self) -> int:
        """Number of predicted objects."""
        return self.tp + self.fp

    @property
    def ap(self) -> float:
        """TP / (TP + FP + FN); not COCO's average precision, which ranks by confidence."""
        return self._ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN)."""
        return self._ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        """TP / (TP + FP)."""
        return self._ratio(self.tp, self.n_predicted)

    @property
    def recall(self) -> float:
        """TP / (TP + FN)."""
        return self._ratio(self.tp, self.n_true)

    @property
    def sq(self) -> float:
        """Segmentation quality: mean intersection over union of the matches."""
        return self._ratio(self.iou_sum, self.tp)

    @property
    def rq(self) -> float:
        """Recognition quality: the same number as `f1`."""
        return self.f1

    @property
    def pq(self) -> float:
        """Panoptic quality, SQ x RQ (Kirillov et al., CVPR 2019)."""
        return self.sq * self.rq

    @staticmethod
    def pool(images: Sequence[ObjectCounts]) -> ObjectCounts:
        """Add the counts of several images (at least one) at one threshold."""
        tp, fp, fn = (sum(getattr(i, f) for i in images) for f in ("tp", "fp", "fn"))
        return ObjectCounts(images[0].threshold, tp, fp, fn, sum(i.iou_sum for i in images))

    def _ratio(self, numerator: float, denominator: float) -> float:
        if self.tp + self.fp + self.fn == 0:
            return float("nan")
        return float(numerator / denominator) if denominator else 0.0


@dataclass(frozen=True)
class ObjectScores:
    """Object scores of one image.

    Parameters
    ----------
    at
        One entry per threshold.
    errors
        Missed, invented, split and merged objects.
    """

    at: tuple[ObjectCounts, ...]
    errors: ErrorCounts

    @property
    def empty(self) -> bool:
        """Whether neither ground truth nor prediction contains objects, so scores are undefined."""
        return self.at[0].n_true + self.at[0].n_predicted == 0

    @property
    def mean_ap(self) -> float:
        """Mean of AP over the thresholds."""
        return float(np.mean([c.ap for c in self.at]))

    @staticmethod
    def pool(images: Sequence[ObjectScores]) -> ObjectScores:
        """Add the counts of several images (at least one) with the same thresholds."""
        at = tuple(ObjectCounts.pool(c) for c in zip(*(i.at for i in images), strict=True))
        return ObjectScores(at, ErrorCounts.pool([i.errors for i in images]))


def object_scores(
    prediction: ArrayLike,
    truth: ArrayLike,
    *,
    annotated: ArrayLike | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    error_threshold: float = 0.5,
) -> ObjectScores:
    """Score the objects of one image.

    Parameters
    ----------
    prediction, truth
        Object ids, 0 is background: integers, same shape, any number of dimensions. The whole array
        is one image; see `napari_unet.core.images.labels.planes` for stacks.
    annotated
        Mask of the scored area, same shape. Pixels outside do not count, and objects with more than
        half of their area outside are excluded. None: everything is scored.
    thresholds
        Smallest intersection over union of a match, above 0 and at most 1; scored one by one.
    error_threshold
        Threshold below which objects are missed, invented, split or merged.

    Raises
    ------
    LabelsError
        If the arrays are not labels or differ in shape.
    SettingsError
        If a threshold is not in (0, 1].
    """
    table = overlaps(prediction, truth, annotated=annotated)
    errors = classify_objects(table, error_threshold).counts
    return ObjectScores(tuple(object_counts(table, t) for t in thresholds), errors)


def object_counts(table: Overlaps, threshold: float) -> ObjectCounts:
    """Count the matches at one threshold; parameters as for `match_objects`."""
    truth_index, predicted_index = match_objects(table, threshold)
    matched = _find_pairs(table, truth_index, predicted_index)
    tp = truth_index.size
    return ObjectCounts(
        float(threshold),
        tp=tp,
        fp=table.predicted_ids.size - tp,
        fn=table.truth_ids.size - tp,
        iou_sum=float(table.iou[matched].sum()),
    )


def object_summary(images: Sequence[ObjectScores]) -> dict[str, float]:
    """Compute the scores of several images, both by image and pooled, under flat names.

    Parameters
    ----------
    images
        One entry per image (per plane of a stack), all with the same thresholds.

    Returns
    -------
    dict
        ``ap50_by_image``, ``ap50_pooled``, ``mean_ap_by_image``, ``f1_50_pooled`` and so on, the
        totals ``missed``, ``invented``, ``split``, ``merged``, ``objects_true``,
        ``objects_predicted``, and ``images_empty``: the number of images without objects in ground
        truth and prediction, which have no score and are excluded from the means.
    """
    if not images:
        return {}
    pooled, summary = ObjectScores.pool(images), {}
    for index, counts in enumerate(pooled.at):
        percent = f"{100 * counts.threshold:g}"
        for score in OBJECT_SCORES:
            key = f"ap{percent}" if score == "ap" else f"{score}_{percent}"
            values = [float(getattr(i.at[index], score)) for i in images]
            summary[f"{key}_by_image"] = by_image(values)
            summary[f"{key}_pooled"] = getattr(counts, score)
    summary["mean_ap_by_image"] = by_image([i.mean_ap for i in images])
    summary["mean_ap_pooled"] = pooled.mean_ap
    for error in ("missed", "invented", "split", "merged"):
        summary[error] = getattr(pooled.errors, error)
    summary["objects_true"] = pooled.at[0].n_true
    summary["objects_predicted"] = pooled.at[0].n_predicted
    summary["images_empty"] = sum(i.empty for i in images)
    return summary


def _find_pairs(
    table: Overlaps, truth_index: Indices, predicted_index: Indices
) -> NDArray[np.bool_]:
    """Return for each overlapping pair whether it is a match."""
    partner = np.full(table.truth_ids.size, -1, np.intp)
    partner[truth_index] = predicted_index
    return np.asarray(partner[table.truth_index] == table.predicted_index)
