"""Repair of labels: mistakes that can be corrected without painting again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.labels import as_labels

__all__ = [
    "FRAGMENT_PX",
    "KINDS",
    "Pieces",
    "colour_codes",
    "find_pieces",
    "has_colour",
    "repair_labels",
]

FRAGMENT_PX = 10
"""Pieces smaller than this are fragments, such as slips of the brush or leftovers of a
threshold."""


class _Issue(Protocol):
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Pieces:
    """Connected pieces of equal id, plane by plane; entry 0 is the background."""

    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    sizes_px: NDArray[np.int64]
    planes: NDArray[np.int64]


def repair_labels(
    labels: NDArray[Any],
    issues: Iterable[str | _Issue],
    *,
    ndim: int = 2,
    is_colour: bool | None = None,
) -> NDArray[Any]:
    """Return repaired labels; the input array is not changed.

    Parameters
    ----------
    labels
        As for `check_labels`.
    issues
        Issues from `check_labels`, or their kinds. They are repaired in a fixed order:

        - ``colours``: each colour becomes a number; black (or the most frequent colour) becomes 0
        - ``no_background``: the most frequent id becomes 0
        - ``class_255``: 255 becomes 1 (classes)
        - ``fragments``: pieces under 10 px become 0
        - ``0_255``, ``single_id``: every connected piece gets its own id, from 1
        - ``wrapped_ids``, ``pieces``: the largest piece of each id in each plane keeps the id, the
          others get new ones

    ndim, is_colour
        As for `check_labels`.

    Returns
    -------
    NDArray
        New integer array, axes of `labels` without colour.

    Raises
    ------
    LabelsError
        If a kind is unknown or has no repair, or the repaired values are still not labels.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import repair_labels
    >>> labels = np.zeros((32, 32), np.uint8)
    >>> labels[4:8, 4:8] = labels[20:24, 20:24] = 255
    >>> np.unique(repair_labels(labels, ["0_255"]))
    array([0, 1, 2], dtype=uint8)
    """
    kinds = {issue if isinstance(issue, str) else issue.kind for issue in issues}
    if unknown := kinds - set(KINDS):
        raise LabelsError(
            f"Labels cannot be repaired for {', '.join(sorted(unknown))}: expected one of "
            f"{', '.join(KINDS)}."
        )
    array = np.asarray(labels)
    if has_colour(array, ndim, is_colour) and "colours" in kinds:
        array = _numbers_of_colours(array)
    array = as_labels(array, "labels").copy()
    for kinds_of_repair, repair in _REPAIRS:
        if kinds & set(kinds_of_repair):
            array = repair(array, ndim)
    return array


def has_colour(labels: NDArray[Any], ndim: int, is_colour: bool | None) -> bool:
    """Return whether the last axis is colour: `is_colour`, or (None) judged by its length."""
    if is_colour is not None:
        return is_colour
    return labels.ndim > ndim and labels.shape[-1] in (3, 4)


def _biggest_to_background(labels: NDArray[Any], ndim: int) -> NDArray[Any]:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) and values[0] > 0:
        labels[labels == values[counts.argmax()]] = 0
    return labels


def _255_to_1(labels: NDArray[Any], ndim: int) -> NDArray[Any]:
    labels[labels == 255] = 1
    return labels


def _drop_fragments(labels: NDArray[Any], ndim: int) -> NDArray[Any]:
    pieces = find_pieces(labels, ndim)
    small = pieces.sizes_px < FRAGMENT_PX
    small[0] = False
    labels[small[pieces.labels]] = 0
    return labels


def _number_pieces(labels: NDArray[Any], ndim: int) -> NDArray[Any]:
    pieces = find_pieces(labels, ndim)
    return pieces.labels.astype(_smallest_type(len(pieces.ids) - 1, labels.dtype))


def _split_pieces(labels: NDArray[Any], ndim: int) -> NDArray[Any]:
    """Keep the id of the largest piece in each plane, and number the others after the last id."""
    pieces = find_pieces(labels, ndim)
    order = np.lexsort((-pieces.sizes_px, pieces.ids, pieces.planes))
    same = (np.diff(pieces.ids[order]) == 0) & (np.diff(pieces.planes[order]) == 0)
    extra = order[1:][same]
    ids = pieces.ids.copy()
    ids[extra] = ids.max(initial=0) + 1 + np.arange(len(extra))
    return ids[pieces.labels].astype(_smallest_type(int(ids.max(initial=0)), labels.dtype))


_Repair = Callable[[NDArray[Any], int], NDArray[Any]]

_REPAIRS: tuple[tuple[tuple[str, ...], _Repair], ...] = (
    (("no_background",), _biggest_to_background),
    (("class_255",), _255_to_1),
    (("fragments",), _drop_fragments),
    (("0_255", "single_id"), _number_pieces),
    (("wrapped_ids", "pieces"), _split_pieces),
)
"""Kinds of issues and their repairs, in the order of execution."""

KINDS = ("colours", *(kind for kinds, _ in _REPAIRS for kind in kinds))
"""Kinds of issues that can be repaired."""


def find_pieces(labels: NDArray[Any], ndim: int) -> Pieces:
    """Find the connected pieces of equal id; pixels connect by sides and corners."""
    from skimage.measure import label as connected

    stack = labels.reshape((-1, *labels.shape[labels.ndim - ndim :]))
    numbered = np.empty(stack.shape, np.int64)
    ids, planes = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    last = 0
    for i, plane in enumerate(stack):
        pieces, n = connected(plane, return_num=True, connectivity=ndim)
        id_of_piece = np.zeros(n + 1, np.int64)
        id_of_piece[pieces.ravel()] = plane.ravel()
        numbered[i] = np.where(pieces > 0, pieces + last, 0)
        ids.append(id_of_piece[1:])
        planes.append(np.full(n, i))
        last += n
    sizes = np.bincount(numbered.ravel(), minlength=last + 1)
    return Pieces(
        numbered.reshape(labels.shape), np.concatenate(ids), sizes, np.concatenate(planes)
    )


def _smallest_type(largest: int, current: np.dtype[Any]) -> np.dtype[Any]:
    """Return the current type if it holds the ids, else the smallest that does."""
    if largest <= np.iinfo(current).max:
        return current
    return np.dtype(np.uint16 if largest <= 65_535 else np.uint32)


def colour_codes(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return one number per colour; black is 0, transparency is ignored."""
    colours = labels[..., :3].astype(np.int64)
    return np.asarray((colours[..., 0] << 32) + (colours[..., 1] << 16) + colours[..., 2])


def _numbers_of_colours(labels: NDArray[Any]) -> NDArray[Any]:
    if (labels[..., :3] == labels[..., :1]).all():  # grey, saved as colour
        return labels[..., 0]
    codes, inverse, counts = np.unique(
        colour_codes(labels), return_inverse=True, return_counts=True
    )
    background = 0 if codes[0] == 0 else int(counts.argmax())
    numbers = np.arange(1, len(codes) + 1)
    numbers[background:] -= 1
    numbers[background] = 0
    return (
        numbers[inverse]
        .reshape(labels.shape[:-1])
        .astype(_smallest_type(len(codes), np.dtype(np.uint16)))
    )
