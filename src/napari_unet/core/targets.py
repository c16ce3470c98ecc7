"""What a network learns of objects: where they lie, how deep inside, and where their centre is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["consecutive", "offsets_to_centre", "partly_outlined", "relative_distance"]

Labels = NDArray[np.integer[Any]]


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
