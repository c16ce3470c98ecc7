"""Comparison of predictions with ground truth: of one image, many, or stacks plane by plane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.evaluation.leakage import CopyCheck
from napari_unet.core.evaluation.metrics import PixelCounts, foreground_counts, pixel_counts
from napari_unet.core.evaluation.object_scores import THRESHOLDS, object_scores
from napari_unet.core.evaluation.report import ImageScores, Kind, Report
from napari_unet.core.images.labels import check_same_shape, checked_labels, planes

__all__ = ["Sample", "class_map", "evaluate", "evaluate_many", "scored_area", "with_true_ids"]

Sample = tuple[str, ArrayLike, ArrayLike] | tuple[str, ArrayLike, ArrayLike, ArrayLike | None]
"""Name, prediction, ground truth and, optionally, the annotated area."""

Ids = NDArray[Any]


def evaluate(
    prediction: ArrayLike,
    truth: ArrayLike,
    *,
    annotated: ArrayLike | None = None,
    name: str = "image",
    **settings: Any,
) -> Report:
    """Score one image or stack; `settings`, errors and result as for `evaluate_many`.

    Examples
    --------
    >>> from napari_unet import evaluate, synthetic_nuclei
    >>> _, truth = synthetic_nuclei((128, 128), n=10)
    >>> prediction = truth.copy()
    >>> prediction[prediction == 1] = 0
    >>> report = evaluate(prediction, truth)
    >>> report.summary()["ap50_pooled"], report.summary()["missed"]
    (0.9, 1)
    """
    return evaluate_many([(name, prediction, truth, annotated)], **settings)


def evaluate_many(
    samples: Iterable[Sample],
    *,
    kind: Kind = "instances",
    classes: Mapping[int, str] | None = None,
    prediction_classes: Mapping[int, str] | None = None,
    background: int | None = None,
    sparse: bool = False,
    ndim: int = 2,
    empty_planes: Literal["ignore", "background"] = "ignore",
    thresholds: Sequence[float] = THRESHOLDS,
    unmatched: Sequence[str] = (),
) -> Report:
    """Score predictions against the ground truth.

    Parameters
    ----------
    samples
        Name, prediction, ground truth and, optionally, a mask of the annotated area, all of the
        same shape: axes YX, or a stack (TYX, ZYX, TZYX) of which each plane is scored as an image.
        Nothing is scored outside the annotated area. Samples are read one by one.
    kind
        ``"instances"``: every id is an object; ``"semantic"``: every id is a class.
    classes
        Name of each class of the ground truth by id (semantic).
    prediction_classes
        Name of each class of the prediction by id; classes are then matched **by name**. None: the
        same names as in the ground truth.
    background
        Id of the background in the ground truth. None: 0, or with `sparse` the lowest id of
        `classes`.
    sparse
        Whether 0 in the ground truth means "not painted" and is not scored (semantic).
    ndim
        2: stacks are scored per plane; 3: per volume.
    empty_planes
        Meaning of a plane of a stack without ground-truth labels: ``"ignore"``: it is not
        annotated; ``"background"``: it contains no objects.
    thresholds
        Thresholds of intersection over union for objects.
    unmatched
        Names of files without a partner, for the report.

    Raises
    ------
    LabelsError
        If arrays are not labels, differ in shape, or contain classes that cannot be matched, or if
        there is nothing to score.
    SettingsError
        If settings contradict each other.

    Examples
    --------
    >>> from napari_unet import evaluate_many, synthetic_nuclei
    >>> truths = [synthetic_nuclei((128, 128), n=10, seed=seed)[1] for seed in range(2)]
    >>> samples = ((f"image {i}", truth, truth) for i, truth in enumerate(truths))
    >>> evaluate_many(samples).summary()["mean_ap_by_image"]
    1.0
    """
    background = _check_settings(kind, classes, background, sparse)
    mapping: dict[int, int] = {}
    if kind == "semantic" and classes and prediction_classes:
        mapping = class_map(prediction_classes, classes, background)
    scorer: _ObjectScorer | _ClassScorer = _ObjectScorer(thresholds)
    if kind == "semantic":
        scorer = _ClassScorer(classes, mapping, background, sparse)
    skipped = 0
    for name, prediction, truth, *area in samples:
        try:
            for where, p, t, mask in _parts(prediction, truth, area[0] if area else None, ndim):
                if where and empty_planes == "ignore" and not t.any():
                    skipped += 1
                else:
                    scorer.add(name + "".join(f" {i}" for i in where), p, t, mask)
        except LabelsError as error:
            raise LabelsError(f"'{name}': {error}") from error
    images, note = scorer.images, scorer.copies.note()
    _check_not_empty(images, skipped)
    notes = (note,) if note else ()
    report = Report(kind, tuple(images), {}, notes, tuple(unmatched), skipped, mapping)
    if kind == "semantic":
        report = replace(report, classes=dict(classes)) if classes else _nameless(report)
    return report


class _ObjectScorer:
    """Scorer of planes or volumes whose ids are objects."""

    def __init__(self, thresholds: Sequence[float]) -> None:
        self.images: list[ImageScores] = []
        self.copies = CopyCheck()
        self._thresholds = thresholds

    def add(
        self, name: str, prediction: Ids, truth: Ids, mask: NDArray[np.bool_] | None = None
    ) -> None:
        objects = object_scores(prediction, truth, annotated=mask, thresholds=self._thresholds)
        pixels = foreground_counts(prediction, truth, annotated=mask)
        self.images.append(ImageScores(name, pixels, objects))
        self.copies.add(prediction, truth, mask)


class _ClassScorer:
    """Scorer of planes or volumes whose ids are classes."""

    def __init__(
        self,
        classes: Mapping[int, str] | None,
        class_ids: Mapping[int, int],
        background: int,
        sparse: bool,
    ) -> None:
        self.images: list[ImageScores] = []
        self.copies = CopyCheck()
        self._known = None if classes is None else sorted({background, *classes})
        self._class_ids = class_ids
        self._background = background
        self._sparse = sparse

    def add(
        self, name: str, prediction: Ids, truth: Ids, mask: NDArray[np.bool_] | None = None
    ) -> None:
        _check_named(prediction, self._class_ids)
        prediction = with_true_ids(prediction, self._class_ids)
        mask = _painted(truth, mask) if self._sparse else mask
        background = self._background
        counts = pixel_counts(
            prediction, truth, classes=self._known, annotated=mask, background=background
        )
        self.images.append(ImageScores(name, counts))
        if not self._sparse:  # strokes contain no whole objects
            self.copies.add(prediction, truth, mask, connected=True, background=background)


def class_map(
    prediction_classes: Mapping[int, str], truth_classes: Mapping[int, str], background: int = 0
) -> dict[int, int]:
    """Map the ids of predicted classes to those of the ground truth, by name.

    Parameters
    ----------
    prediction_classes, truth_classes
        Name of each class by id. Case and surrounding spaces are ignored.
    background
        Id of the background in the ground truth; a predicted 0 without a name is mapped to it.

    Returns
    -------
    dict
        Id in the ground truth by id in the prediction.

    Raises
    ------
    LabelsError
        If a name occurs twice, or is missing in the ground truth.
    """
    by_name: dict[str, int] = {}
    for class_id, name in truth_classes.items():
        if by_name.setdefault(_plain(name), class_id) != class_id:
            raise LabelsError(
                f"The ground truth has two classes named '{name}': expected different names. "
                "Rename one of them."
            )
    unknown = [n for n in prediction_classes.values() if _plain(n) not in by_name]
    if unknown:
        raise LabelsError(
            f"The prediction has the class(es) {', '.join(map(repr, unknown))}, but the ground "
            f"truth has {', '.join(map(repr, truth_classes.values()))}. Classes are compared by "
            "name: use the same name for the same class in both."
        )
    mapped = {i: by_name[_plain(name)] for i, name in prediction_classes.items()}
    if len(set(mapped.values())) < len(mapped):
        raise LabelsError(
            "The prediction has two classes of the same name: "
            f"{sorted(prediction_classes.values())}. Rename one of them."
        )
    mapped.setdefault(0, background)
    return mapped


def with_true_ids(prediction: NDArray[Any], class_ids: Mapping[int, int]) -> NDArray[Any]:
    """Replace the ids of predicted classes by those of the ground truth.

    Parameters
    ----------
    prediction
        Class ids, any shape.
    class_ids
        Id in the ground truth by id in the prediction, from `class_map` or a `Report`; other ids
        are not changed.
    """
    if not class_ids:
        return prediction
    found = np.unique(prediction)
    table = np.array([class_ids.get(int(i), int(i)) for i in found], np.int64)
    return np.asarray(table[np.searchsorted(found, prediction)])


def scored_area(
    truth: NDArray[Any],
    annotated: NDArray[Any] | None = None,
    *,
    sparse: bool = False,
    ndim: int = 2,
    empty_planes: Literal["ignore", "background"] = "ignore",
) -> NDArray[np.bool_] | None:
    """Find the pixels that `evaluate_many` scores with the same settings.

    Returns
    -------
    array of bool or None
        Mask of the shape of the ground truth, True where pixels are scored. None: all are.
    """
    mask = None if annotated is None else np.asarray(annotated).astype(bool)
    if sparse:
        mask = _painted(truth, mask)
    if empty_planes == "ignore" and truth.ndim > ndim:
        inner = tuple(range(truth.ndim - ndim, truth.ndim))
        labelled = np.broadcast_to((truth != 0).any(axis=inner, keepdims=True), truth.shape)
        mask = labelled if mask is None else mask & labelled
    return mask


def _check_settings(
    kind: str, classes: Mapping[int, str] | None, background: int | None, sparse: bool
) -> int:
    if kind not in ("instances", "semantic"):
        raise SettingsError(f"The kind is {kind!r}: expected 'instances' or 'semantic'.")
    if sparse and kind == "instances":
        raise SettingsError(
            "Sparse objects can only be scored inside an annotated area, in which 0 is background. "
            "Choose the annotated area, and turn sparse off."
        )
    if background is not None:
        return background
    if not sparse:
        return 0
    if not classes:
        raise SettingsError(
            "The ground truth is sparse, but its background class is unknown. Pass the class names "
            "or the id of the background, for example background=1."
        )
    return min(classes)


def _parts(
    prediction: ArrayLike, truth: ArrayLike, annotated: ArrayLike | None, ndim: int
) -> Iterator[tuple[tuple[int, ...], NDArray[Any], NDArray[Any], NDArray[np.bool_] | None]]:
    prediction, truth = (
        checked_labels(prediction, "prediction"),
        checked_labels(truth, "ground truth"),
    )
    mask = check_same_shape(prediction, truth, annotated)
    if truth.size == 0 or (mask is not None and not mask.any()):
        raise LabelsError(
            "There are no pixels to score: the labels or the annotated area are empty. Choose "
            "other labels, or draw the area."
        )
    return planes(prediction, truth, mask, ndim=ndim)


def _check_named(prediction: NDArray[Any], class_ids: Mapping[int, int]) -> None:
    unknown = sorted(set(np.unique(prediction).tolist()) - set(class_ids)) if class_ids else []
    if unknown:
        raise LabelsError(
            f"The prediction contains the class id(s) {unknown}, which are missing in its class "
            f"table {sorted(class_ids)}. Add them to the table."
        )


def _painted(truth: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    return np.asarray(truth != 0 if mask is None else (truth != 0) & mask)


def _check_not_empty(images: Sequence[ImageScores], skipped: int) -> None:
    if images:
        return
    if skipped:
        raise LabelsError(
            f"None of the {skipped} planes has a label in the ground truth: expected at least one. "
            "Choose other labels, or count empty planes as background "
            "(empty_planes='background')."
        )
    raise LabelsError("There is nothing to evaluate: expected at least one image. Choose some.")


def _nameless(report: Report) -> Report:
    """Compare classes without names by id, as far as possible, and add a note to the report."""
    counts = [image.pixels for image in report.images]
    class_ids: dict[int, int] = {}
    pooled = PixelCounts.pool(counts)
    true, predicted = (
        {c for c, n in zip(pooled.classes, sums, strict=True) if n and c != pooled.background}
        for sums in (pooled.confusion.sum(axis=1), pooled.confusion.sum(axis=0))
    )
    note = f"Classes have no names and were compared by id: {sorted(true | predicted)}."
    if true and predicted and not true & predicted:
        if not len(true) == len(predicted) == 1:
            raise LabelsError(
                f"The prediction contains the classes {sorted(predicted)} and the ground truth "
                f"{sorted(true)}: they have none in common. Pass the class names of both, so that "
                "classes are compared by name."
            )
        (old,), (new,) = predicted, true
        note = f"Class {old} of the prediction was compared with class {new} of the ground truth."
        counts = [_rename(c, old, new) for c in counts]
        class_ids = {old: new}
        true = predicted = {new}
    images = tuple(replace(image, pixels=c) for image, c in zip(report.images, counts, strict=True))
    several = sorted(true | predicted) if len(true | predicted) > 1 else []
    names = {i: f"class {i}" for i in several}
    notes = (*report.notes, note)
    return replace(report, images=images, classes=names, notes=notes, class_ids=class_ids)


def _rename(counts: PixelCounts, old: int, new: int) -> PixelCounts:
    """Rename a class; its counts are added to those of a class that has the new id."""
    classes = tuple(sorted({new if c == old else c for c in counts.classes}))
    index = np.array([classes.index(new if c == old else c) for c in counts.classes])
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (index[:, None], index[None, :]), counts.confusion)
    return PixelCounts(confusion, classes, counts.background)


def _plain(name: str) -> str:
    return name.strip().casefold()
