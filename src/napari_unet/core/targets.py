"""What a network learns of objects: where they lie, how deep inside, and where their centre is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "consecutive",
    "contact_zone",
    "offsets_to_centre",
    "partly_outlined",
    "relative_distance",
    "smallness",
]

Labels = NDArray[np.integer[Any]]

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
    """Distance to the nearest pixel of another id, divided by its maximum in the object."""
    from scipy import ndimage

    interior = labels > 0
    for axis in range(labels.ndim):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(labels.ndim))
        behind = tuple(slice(-1) if a == axis else slice(None) for a in range(labels.ndim))
        same = labels[ahead] == labels[behind]
        interior[ahead] &= same
        interior[behind] &= same
    relative = np.zeros(labels.shape, np.float32)
    pixels = np.nonzero(labels)
    ids = labels[pixels]
    # Outline pixels are at distance 1 of the outside, so one is added to the distance to them.
    distance = ndimage.distance_transform_edt(interior)[pixels] + 1
    largest = np.ones(int(labels.max()) + 1)
    np.maximum.at(largest, ids, distance)
    relative[pixels] = distance / largest[ids]
    return relative


def offsets_to_centre(labels: NDArray[np.intp]) -> NDArray[np.float32]:
    """Vector from each object pixel to its object's centroid, in px; 0 in the background."""
    offsets = np.zeros((labels.ndim, *labels.shape), np.float32)
    pixels = np.nonzero(labels)
    ids = labels[pixels]
    area = np.maximum(np.bincount(ids), 1)
    for axis, position in enumerate(pixels):
        centre = np.bincount(ids, weights=position) / area
        offsets[axis][pixels] = centre[ids] - position
    return offsets


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
    from scipy import ndimage

    side = 2 * _CONTACT_PX + 1
    largest = ndimage.maximum_filter(labels, side)
    above_all = labels.max(initial=0) + 1
    smallest = ndimage.minimum_filter(np.where(labels > 0, labels, above_all), side)
    zone: NDArray[np.bool_] = ndimage.binary_dilation(smallest < largest)
    return zone
