"""Checks of labels before training: probable mistakes, and how to repair them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.datasets.label_repair import (
    FRAGMENT_PX,
    Pieces,
    colour_codes,
    find_pieces,
    has_colour,
    repair_labels,
)
from napari_unet.core.images.labels import as_labels

if TYPE_CHECKING:
    from napari_unet.core.images.pair import Pair


__all__ = ["LabelIssue", "check_labels", "check_pairs", "repair_labels"]

_MOST_COLOURS = 0.02
"""Largest number of different colours per pixel in labels; a picture has more."""


@dataclass(frozen=True)
class LabelIssue:
    """A probable mistake in labels.

    Parameters
    ----------
    kind
        Short name, by which to choose the repair.
    message
        Description of the issue, its extent and its remedy.
    ids
        All affected ids, if the issue concerns ids.
    count
        Number of affected objects, pieces or pixels.
    repairable
        Whether `repair_labels` can repair it.
    """

    kind: str
    message: str
    ids: tuple[int, ...] = ()
    count: int = 0
    repairable: bool = True


def check_labels(
    labels: NDArray[Any],
    *,
    instances: bool,
    sparse: bool = False,
    name: str = "labels",
    ndim: int = 2,
    is_colour: bool | None = None,
) -> list[LabelIssue]:
    """Find probable mistakes in labels.

    Parameters
    ----------
    labels
        Array as stored in the file: integers, bool or floats with axes (T)(Z)YX; colours with a
        last
        axis of length 3 or 4.
    instances
        Whether every object has its own id; otherwise ids are classes.
    sparse
        Whether 0 means "not painted".
    name
        Name of the labels in messages.
    ndim
        Number of spatial axes: 2 checks each plane of a stack separately, 3 checks volumes.
    is_colour
        Whether the last axis is colour. None: if it has length 3 or 4 and there are more than
        `ndim` axes.

    Returns
    -------
    list of LabelIssue
        Empty if nothing is wrong. Kinds: ``colours``, ``not_numbers``, ``fractions``,
        ``negative``, ``no_background``, ``0_255``, ``class_255``, ``single_id``, ``wrapped_ids``,
        ``pieces``, ``fragments``.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import check_labels
    >>> labels = np.zeros((32, 32), np.uint8)
    >>> labels[4:8, 4:8] = labels[20:24, 20:24] = 255
    >>> (issue,) = check_labels(labels, instances=True)
    >>> issue.kind, issue.repairable
    ('0_255', True)
    """
    labels = np.asarray(labels)
    if has_colour(labels, ndim, is_colour):
        return [_check_colours(labels, name)]
    unusable = _check_values(labels, name)
    if unusable is not None:
        return [unusable]
    numbers = as_labels(labels, name)
    issues = [] if sparse else _check_background(numbers, instances, name)
    values = np.unique(numbers)
    if instances and not sparse:
        return issues + _check_instances(numbers, values, name, ndim)
    if values.tolist() in ([0, 255], [255]):
        issues.append(_binary_picture(name))
    return issues


def _check_colours(labels: NDArray[Any], name: str) -> LabelIssue:
    codes = colour_codes(labels)
    n = len(np.unique(codes))
    if n > max(256, _MOST_COLOURS * codes.size):
        return LabelIssue(
            "colours",
            f"'{name}' holds a colour picture with {n} different colours, not labels: expected one "
            "number per pixel. Choose the file that holds the labels.",
            count=n,
            repairable=False,
        )
    return LabelIssue(
        "colours",
        f"'{name}' was saved in colour, with {n} different colours: expected one number per "
        "pixel. Repair: assign a number to each colour.",
        count=n,
    )


def _check_values(labels: NDArray[Any], name: str) -> LabelIssue | None:
    """Find values that no repair turns into labels."""
    if labels.dtype.kind not in "buif":
        text = (
            f"'{name}' has data type {labels.dtype}: expected whole numbers. Save it as integers."
        )
        return LabelIssue("not_numbers", text, repairable=False)
    if labels.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # the remainder of inf is nan, and not 0
            n = int((labels % 1 != 0).sum())
        if n:
            text = (
                f"'{name}' has {n} pixels with values that are not whole numbers, as a "
                "probability map has: expected 0, 1, 2, ... Threshold it, or save the labels."
            )
            return LabelIssue("fractions", text, count=n, repairable=False)
    if labels.dtype.kind in "if" and labels.size and labels.min() < 0:
        n = int((labels < 0).sum())
        text = (
            f"'{name}' has {n} pixels below 0 (lowest {labels.min():g}): expected numbers from 0. "
            "Set them to 0, or to unused positive numbers."
        )
        return LabelIssue("negative", text, count=n, repairable=False)
    return None


def _check_background(labels: NDArray[Any], instances: bool, name: str) -> list[LabelIssue]:
    if not labels.size or (labels == 0).any():
        return []
    values, counts = np.unique(labels, return_counts=True)
    largest = int(values[counts.argmax()])
    text = f"'{name}' has no 0, which means background: its ids are {values[0]} to {values[-1]}. "
    if instances:
        text += f"Repair: set {largest}, which covers {counts.max() / labels.size:.0%}, to 0."
    else:
        text += (
            "Mark the labels as sparse and choose the background class, or set that class to 0 "
            f"(repair: {largest}, which covers {counts.max() / labels.size:.0%})."
        )
    return [LabelIssue("no_background", text, ids=(largest,), count=1)]


def _check_instances(
    labels: NDArray[Any], values: NDArray[Any], name: str, ndim: int
) -> list[LabelIssue]:
    pieces = find_pieces(labels, ndim)
    painted = values[values > 0]
    split = _ids_in_several_pieces(pieces)
    if len(painted) == 1 and split:
        return [_single_id(int(painted[0]), len(pieces.ids) - 1, 0 in values, name)]
    issues = []
    limit = np.iinfo(labels.dtype).max
    if split and len(painted) == limit and limit in (255, 65_535):
        text = (
            f"'{name}' uses all {limit:,} ids that {labels.dtype} holds, and {len(split)} of them "
            "are in several pieces: ids probably restarted from 1. Repair: assign a separate id to "
            "each piece."
        )
        issues.append(LabelIssue("wrapped_ids", text, ids=split, count=len(split)))
    elif split:
        text = (
            f"'{name}': {_some(split)} in several pieces that do not touch: expected one "
            "object per id. Repair: assign a separate id to each piece."
        )
        issues.append(LabelIssue("pieces", text, ids=split, count=len(split)))
    small = np.flatnonzero(pieces.sizes_px[1:] < FRAGMENT_PX) + 1
    if len(small):
        ids = tuple(int(i) for i in np.unique(pieces.ids[small]))
        text = (
            f"'{name}' has {len(small)} fragment(s) of less than {FRAGMENT_PX} px "
            f"({_some(ids)} affected): expected whole objects. Repair: set them to 0."
        )
        issues.append(LabelIssue("fragments", text, ids=ids, count=len(small)))
    return issues


def _single_id(value: int, n: int, has_background: bool, name: str) -> LabelIssue:
    if value == 255 and has_background:
        kind, what = "0_255", "holds only 0 and 255, like a black-and-white picture"
    else:
        kind, what = "single_id", f"has the single id {value}"
    text = (
        f"'{name}' {what}, for {n} objects that do not touch: expected an id for every object. "
        "Repair: assign a separate id to each connected piece; touching objects stay merged."
    )
    return LabelIssue(kind, text, ids=(value,), count=n)


def _binary_picture(name: str) -> LabelIssue:
    text = (
        f"'{name}' holds only 0 and 255, like a black-and-white picture: expected small "
        "numbers for classes. Repair: change 255 to class 1."
    )
    return LabelIssue("class_255", text, ids=(255,), count=1)


def _ids_in_several_pieces(pieces: Pieces) -> tuple[int, ...]:
    keys = np.stack([pieces.planes[1:], pieces.ids[1:]])
    found, counts = np.unique(keys, axis=1, return_counts=True)
    return tuple(int(i) for i in np.unique(found[1, counts > 1]))


def _some(ids: tuple[int, ...]) -> str:
    shown = ", ".join(str(i) for i in ids[:5]) + (", ..." if len(ids) > 5 else "")
    return f"id {shown} is" if len(ids) == 1 else f"{len(ids)} ids ({shown}) are"


def check_pairs(
    pairs: Sequence[Pair], *, instances: bool, sparse: bool
) -> dict[str, list[LabelIssue]]:
    """Check the labels of all pairs; return the issues of each kind, in the order of the pairs."""
    found: dict[str, list[LabelIssue]] = {}
    for pair in pairs:
        issues = check_labels(
            pair.labels, instances=instances, sparse=sparse, name=pair.name, is_colour=False
        )
        for issue in issues:
            found.setdefault(issue.kind, []).append(issue)
    return found
