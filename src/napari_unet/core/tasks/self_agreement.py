"""Agreement of objects with the outputs that they were decoded from.

Outputs are consistent for objects that a network recognises: offsets point to the centre of the
object, the relative distance is that to its outline, and the foreground probability is high.
They are inconsistent where the network guesses: in the uneven background of an empty image, or in
fragments of objects that are much larger than in training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.tasks.targets import Objects

__all__ = ["agreement", "agreement_parts"]

Maps = NDArray[np.float32]


def agreement(labels: NDArray[np.integer[Any]], maps: Maps) -> NDArray[np.float64]:
    """Compute how well each object agrees with the outputs, from 0 to 1.

    Parameters
    ----------
    labels
        Objects 1, 2, ... [Y, X] or [Z, Y, X]; 0 is background.
    maps
        Foreground probability, relative distance and offset in px, (2 + ndim, ...).

    Returns
    -------
    array of float64
        Mean of the three columns of `agreement_parts`, for each object from 1.
    """
    found: NDArray[np.float64] = agreement_parts(labels, maps).mean(axis=1)
    return found


def agreement_parts(labels: NDArray[np.integer[Any]], maps: Maps) -> NDArray[np.float64]:
    """Compute the parts of the agreement: offsets, distance and foreground, each from 0 to 1.

    Parameters and rows as for `agreement`. Offsets: the fraction of the variance of the pixels'
    positions around the centre that the predicted offsets explain (R squared). Distance: 1 minus
    twice the mean absolute error. Foreground: 0 if the mean probability is 0.5, 1 if it is 1.
    """
    objects = Objects(labels)
    predicted = maps.reshape(len(maps), -1)[:, objects.pixels]

    def mean(values: NDArray[Any]) -> NDArray[np.float64]:
        sums = np.bincount(objects.owner, values, minlength=1)
        found: NDArray[np.float64] = (sums / objects.area)[1:]
        return found

    actual = objects.offsets_to_centre()
    spread = mean((actual**2).sum(axis=0))
    offsets = 1 - mean(((predicted[2:] - actual) ** 2).sum(axis=0)) / np.maximum(spread, 1)
    distance = 1 - 2 * mean(np.abs(predicted[1] - objects.relative_distance()))
    foreground = 2 * mean(predicted[0]) - 1
    return np.clip(np.stack([offsets, distance, foreground], axis=1), 0, 1)
