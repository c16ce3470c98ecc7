"""Regions of an image, predicted exactly as in the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.models.blocks import BlockNetwork

__all__ = ["Region", "bounds", "predict_region"]

Region = tuple[slice, slice]
"""Slices along Y and X."""

_CONTEXT_PX = 64


def bounds(region: Sequence[slice] | None, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return top, bottom, left and right of a region; None: the whole image of the given shape."""
    if region is None:
        return 0, shape[0], 0, shape[1]
    (top, bottom, _), (left, right, _) = (
        part.indices(n) for part, n in zip(region, shape, strict=True)
    )
    return top, bottom, left, right


def predict_region(
    network: BlockNetwork, image: NDArray[Any], region: Region | None
) -> NDArray[np.float32]:
    """Predict a region with enough context that the result is the same as for the whole image.

    Parameters
    ----------
    network
        Network that predicts.
    image
        Normalised image, axes CYX.
    region
        Slices along Y and X; None: the whole image.

    Returns
    -------
    float32 array
        Maps of the network in the region, axes CYX.
    """
    top, bottom, left, right = bounds(region, image.shape[1:])
    multiple = network.unet.multiple  # align with the blocks of the whole image
    first = [max(0, start - _CONTEXT_PX) // multiple * multiple for start in (top, left)]
    near = (slice(first[0], bottom + _CONTEXT_PX), slice(first[1], right + _CONTEXT_PX))
    maps: NDArray[np.float32] = network(np.ascontiguousarray(image[(slice(None), *near)]))
    maps = maps[:, top - first[0] :, left - first[1] :]
    return maps[:, : bottom - top, : right - left]
