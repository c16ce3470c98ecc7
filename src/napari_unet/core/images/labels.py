"""Checks of label arrays, their planes, and consecutive ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.errors import LabelsError

__all__ = ["Labels", "as_labels", "check_same_shape", "checked_labels", "consecutive", "planes"]

Labels = NDArray[np.integer[Any]]


def as_labels(labels: Any, name: str) -> NDArray[np.integer[Any]]:
    """Check that an array holds labels; convert bool and whole-numbered floats to integers.

    Parameters
    ----------
    labels
        Array of any shape.
    name
        Name of the labels in messages.

    Returns
    -------
    NDArray
        Integers from 0; the array itself if it already holds integers.

    Raises
    ------
    LabelsError
        If the values are fractional, not finite, negative or not numbers.
    """
    array: NDArray[Any] = np.asarray(labels)
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # beyond int64; caught by the comparison below
            whole = array.astype(np.int64) if np.isfinite(array).all() else None
        if whole is None or not np.array_equal(whole, array):
            raise LabelsError(
                f"'{name}': the labels are {array.dtype} with values that are not whole "
                "numbers. Expected integers (0 background, 1, 2, ...): threshold a probability "
                "map, or save the labels as integers."
            )
        array = whole
    if array.dtype.kind not in "iu":
        raise LabelsError(f"'{name}': labels of type {array.dtype}: expected integers.")
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise LabelsError(
            f"'{name}': the lowest label is {array.min()}: expected numbers from 0. "
            "Set negative labels to 0 or to unused positive numbers."
        )
    return array


def planes(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    annotated: NDArray[np.bool_] | None = None,
    *,
    ndim: int = 2,
) -> Iterator[tuple[tuple[int, ...], NDArray[Any], NDArray[Any], NDArray[np.bool_] | None]]:
    """Yield the planes of a stack, each of which is scored as one image.

    Parameters
    ----------
    prediction, truth, annotated
        Arrays of the same shape; the last `ndim` axes form one image.
    ndim
        2: planes YX; 3: volumes ZYX.

    Yields
    ------
    position, prediction, truth, annotated
        Index along the leading axes (empty for a single image), and views of the arrays.
    """
    if truth.ndim < ndim:
        raise LabelsError(
            f"Labels have {truth.ndim} dimension(s) {truth.shape}: expected at least {ndim}. "
            f"{'Score volumes as (Z, Y, X).' if ndim == 3 else 'Score planes as (Y, X).'}"
        )
    for position in np.ndindex(*truth.shape[: truth.ndim - ndim]):
        mask = None if annotated is None else annotated[position]
        yield position, prediction[position], truth[position], mask


def checked_labels(labels: ArrayLike, what: str = "labels") -> NDArray[Any]:
    """Check that an array holds labels: integers from 0, or bool (returned as uint8).

    Raises
    ------
    LabelsError
        If the array holds floats, negative numbers or anything else that is not a label.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind == "b":
        return labels.view(np.uint8)
    if labels.dtype.kind not in "iu":
        raise LabelsError(
            f"The {what} has data type {labels.dtype}: expected integers (0 background, 1, 2, "
            "...). Threshold a probability map, or convert whole numbers with .astype(int)."
        )
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise LabelsError(
            f"The lowest id of the {what} is {labels.min()}: expected label ids from 0. Set "
            "negative ids to 0 or to unused positive ids."
        )
    return labels


def check_same_shape(
    prediction: NDArray[Any], truth: NDArray[Any], annotated: ArrayLike | None = None
) -> NDArray[np.bool_] | None:
    """Check that prediction, truth and annotated area have the same shape.

    Returns
    -------
    ndarray or None
        The annotated area as bool.

    Raises
    ------
    LabelsError
        If the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise LabelsError(
            f"The prediction has shape {prediction.shape} and the ground truth {truth.shape}: "
            "expected the same. Choose labels of the same image, at the same scale and crop."
        )
    if annotated is None:
        return None
    mask = np.asarray(annotated).astype(bool)
    if mask.shape != truth.shape:
        raise LabelsError(
            f"The annotated area has shape {mask.shape} and the ground truth {truth.shape}: "
            "expected the same. Choose the area that was drawn on this image."
        )
    return mask


def consecutive(labels: Labels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Renumber ids to 1, 2, ...; return the new labels and the old ids.

    0 stays 0. Pixels are only sorted if the ids are far apart.
    """
    top = int(labels.max()) if labels.size else 0
    if top > 4 * labels.size + 1000:  # a table of all ids up to the largest would be wasteful
        ids, compact = np.unique(np.append(labels, 0), return_inverse=True)
        return compact[:-1].reshape(labels.shape), ids[1:].astype(np.intp)
    numbers = labels.astype(np.intp)
    ids = np.flatnonzero(np.bincount(numbers.ravel(), minlength=1))
    ids = ids[ids > 0]
    if ids.size == top:
        return numbers, ids
    place = np.zeros(top + 1, np.intp)
    place[ids] = np.arange(1, ids.size + 1)
    return place[numbers], ids
