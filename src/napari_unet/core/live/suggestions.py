"""Suggestions of where to paint next, and of the labels to paint there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.live.network import LiveNetwork
from napari_unet.core.live.regions import Region, bounds
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.live.uncertainty import least_certain_window

__all__ = ["find_least_certain", "suggest_labels"]

_TILE_PX = 512
_MOST_TILES = 16
"""Largest number of predicted tiles, so that a large image does not delay strokes."""


def find_least_certain(
    network: LiveNetwork, canvas: Canvas, window_px: int, rng: np.random.Generator
) -> Region | None:
    """Find the unpainted window of an image in which the network is least certain.

    Parameters
    ----------
    network
        Network that predicts.
    canvas
        Image with its labels. Of a large image, only some random tiles are predicted.
    window_px
        Side of the window in pixels, see `least_certain_window`.
    rng
        Random generator that chooses the tiles.

    Returns
    -------
    tuple of slice
        Slices along Y and X; None if every window contains painted pixels.
    """
    shape = canvas.labels.shape
    tiles = [
        (slice(y, y + _TILE_PX), slice(x, x + _TILE_PX))
        for y in range(0, shape[0], _TILE_PX)
        for x in range(0, shape[1], _TILE_PX)
    ]
    tiles = [tile for tile in tiles if not canvas.labels[tile].all()]
    doubt, passed_over = np.zeros(shape, np.float32), np.ones(shape, bool)
    for i in rng.permutation(len(tiles))[:_MOST_TILES]:
        tile = tiles[i]
        doubt[tile] = network.meaning.doubt(network.predict(canvas, tile))
        passed_over[tile] = False
    return least_certain_window(doubt, passed_over | (canvas.labels > 0), window_px)


def suggest_labels(
    network: LiveNetwork, canvas: Canvas, window: Region
) -> tuple[tuple[int, int], NDArray[np.integer[Any]]]:
    """Suggest labels for a window of an image.

    Returns
    -------
    origin, labels
        First pixel of the labels, (y, x), and the labels, axes YX, 0 for pixels without a
        suggestion; see `LabelMeaning.proposal`.
    """
    margin = network.meaning.margin_px
    labels = canvas.labels
    top, bottom, left, right = bounds(window, labels.shape)
    first = max(0, top - margin), max(0, left - margin)
    around = slice(first[0], bottom + margin), slice(first[1], right + margin)
    inner = (slice(top - first[0], bottom - first[0]), slice(left - first[1], right - first[1]))
    outputs = network.predict(canvas, around)
    return first, network.meaning.proposal(outputs, labels[around], inner)
