"""What a network learns of objects: where they lie, how deep inside, and where their centre is."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "consecutive",
    "contact_zone",
    "offsets_to_centre",
    "partly_outlined",
    "relative_distance",
    "smallness",
    "spread",
]

Labels = NDArray[np.integer[Any]]
N = TypeVar("N", np.intp, np.int32, np.int64, np.float32, np.bool_)

_USUAL_DIAMETER_PX = 22.5
_CONTACT_PX = 2


def consecutive(labels: Labels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the ids of labels of any shape the numbers 1, 2, ... and say which they were.

    0 stays 0. Without sorting the pixels, where the ids are not too far apart.
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


def relative_distance(labels: NDArray[np.intp]) -> NDArray[np.float32]:
    """Distance to the nearest pixel of another id, divided by its maximum in the object.

    1 all over an object that fills everything.
    """
    import edt  # four times as quick as SciPy's: the network waits for it

    interior = labels > 0
    for axis in range(labels.ndim):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(labels.ndim))
        behind = tuple(slice(-1) if a == axis else slice(None) for a in range(labels.ndim))
        same = labels[ahead] == labels[behind]
        interior[ahead] &= same
        interior[behind] &= same
    pixels = np.flatnonzero(labels > 0)  # quicker than of numbers
    ids = labels.ravel()[pixels]
    # Outline pixels are at distance 1 of the outside, so one is added to the distance to them.
    distance = np.sqrt(edt.edtsq(interior, parallel=1).ravel()[pixels]) + 1
    largest = np.ones(int(labels.max()) + 1, np.float32)
    np.maximum.at(largest, ids, distance)
    relative = np.zeros(labels.size, np.float32)
    np.divide(distance, largest[ids], out=distance, where=np.isfinite(distance))
    relative[pixels] = np.minimum(distance, 1)
    return relative.reshape(labels.shape)


def offsets_to_centre(labels: NDArray[np.intp]) -> NDArray[np.float32]:
    """Vector from each object pixel to its object's centroid, in px; 0 in the background."""
    offsets = np.zeros((labels.ndim, labels.size), np.float32)
    pixels = np.flatnonzero(labels > 0)  # quicker than of numbers
    ids = labels.ravel()[pixels]
    area = np.maximum(np.bincount(ids), 1)
    for axis, position in enumerate(np.unravel_index(pixels, labels.shape)):
        centre = np.bincount(ids, weights=position) / area
        offsets[axis, pixels] = centre[ids] - position
    return offsets.reshape(labels.ndim, *labels.shape)


def partly_outlined(labels: NDArray[np.intp], inside: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Ids of the objects that touch the outside of the annotated area."""
    from scipy import ndimage

    return np.setdiff1d(labels[ndimage.binary_dilation(~inside)], [0])


def smallness(labels: NDArray[np.intp]) -> NDArray[np.float32]:
    """How much smaller than usual the object of each pixel is, above 1 for small ones.

    A nucleus of 8 px across has a tenth of the pixels of one of 25 px, and is as much a nucleus:
    in a mean over pixels it would hardly count.

    Parameters
    ----------
    labels
        Axes YX or ZYX; each id an object.

    Returns
    -------
    array of float32
        22.5 px divided by the diameter of the disc or ball of the object's size; 1 in the
        background.
    """
    size = np.maximum(np.bincount(labels.ravel(), minlength=1), 16)
    diameter = np.sqrt(4 / np.pi * size) if labels.ndim == 2 else np.cbrt(6 / np.pi * size)
    relative = (_USUAL_DIAMETER_PX / diameter).astype(np.float32)
    relative[0] = 1
    return relative[labels]


def contact_zone(labels: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Where two objects touch or nearly do, with a rim: these pixels decide whether they merge."""
    above_all = labels.max(initial=0) + 1
    numbers = labels.astype(np.int32)  # there are not more objects than pixels
    largest = spread(numbers, np.maximum, _CONTACT_PX)
    numbers[numbers == 0] = above_all
    smallest = spread(numbers, np.minimum, _CONTACT_PX)
    return spread(smallest < largest, np.logical_or, 1)


def spread(values: NDArray[N], of_two: np.ufunc, radius_px: int) -> NDArray[N]:
    """Replace each pixel by the extreme of a square (or cube) around it.

    The same as `scipy.ndimage.maximum_filter` and its like, three to ten times as quick for
    windows this small: they are computed for each patch while the network waits.

    Parameters
    ----------
    values
        Any axes; beyond the edges there is nothing.
    of_two
        Chooses between two arrays: `numpy.maximum`, `numpy.minimum`, `numpy.logical_or`.
    radius_px
        The window reaches so far to either side.

    Returns
    -------
    array
        Same shape and type.
    """
    for axis in range(values.ndim):
        result = values.copy()
        for shift in range(1, radius_px + 1):
            ahead = (slice(None),) * axis + (slice(shift, None),)
            behind = (slice(None),) * axis + (slice(-shift),)
            of_two(result[ahead], values[behind], out=result[ahead])
            of_two(result[behind], values[ahead], out=result[behind])
        values = result
    return values
