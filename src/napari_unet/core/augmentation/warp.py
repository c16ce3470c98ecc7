"""Copying and resampling of image, labels and annotated area at the coordinates of a patch."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["crop", "warp", "warped_grid"]

Bool = NDArray[np.bool_]
Float = NDArray[np.float32]


def warped_grid(
    centre_px: tuple[int, ...],
    axes: list[NDArray[np.intp]],
    matrix: Float,
    displacement: Float,
) -> Float:
    """Compute the position in the plane of each pixel of a patch.

    Parameters
    ----------
    centre_px
        Fixed point of the warp, (y, x).
    axes
        Positions of the patch's pixels along Y and along X before warping.
    matrix
        Matrix that maps an offset from the centre in the patch to one in the plane, [2, 2].
    displacement
        Displacement added before the matrix is applied, float32 [2, h, w] or [2, 1, 1].

    Returns
    -------
    float32 array
        [2, h, w], Y and X in pixels.
    """
    centre = [float(c) for c in centre_px]
    y = (axes[0] - centre_px[0]).astype(np.float32)[:, None] + displacement[0]
    x = (axes[1] - centre_px[1]).astype(np.float32)[None, :] + displacement[1]
    grid = np.empty((2, axes[0].size, axes[1].size), np.float32)
    for position, (along_y, along_x), middle in zip(grid, matrix.tolist(), centre, strict=True):
        np.add(along_y * y + middle, along_x * x, out=position)
    return grid


def crop(
    image: Float,
    labels: NDArray[Any],
    annotated: Bool | None,
    axes: list[NDArray[np.intp]],
) -> tuple[Float, NDArray[Any], Bool]:
    """Copy a patch without resampling.

    Parameters
    ----------
    image
        float32 [C, (Z,) Y, X].
    labels
        Integers [(Z,) Y, X].
    annotated
        bool [(Z,) Y, X], or None: everywhere.
    axes
        Consecutive positions along each axis but C; they may be outside the plane.

    Returns
    -------
    image, labels, inside
        float32, reflected outside the plane; type of `labels`, 0 outside the plane; bool, False
        outside the plane or the annotated area.
    """
    within = [(a >= 0) & (a < n) for a, n in zip(axes, labels.shape, strict=True)]
    if all(w.all() for w in within):
        box = tuple(slice(int(a[0]), int(a[-1]) + 1) for a in axes)
        inside = np.ones([a.size for a in axes], bool) if annotated is None else annotated[box]
        return np.array(image[:, *box], np.float32), np.array(labels[box]), np.array(inside)
    within_plane: Bool = reduce(np.logical_and.outer, within)
    index: tuple[Any, ...] = np.ix_(
        *(_reflect(a, n) for a, n in zip(axes, labels.shape, strict=True))
    )
    patch_labels = np.where(within_plane, labels[index], labels.dtype.type(0))
    inside = within_plane if annotated is None else within_plane & annotated[index]
    return np.asarray(image[(slice(None), *index)], np.float32), patch_labels, inside


def warp(
    image: Float,
    labels: NDArray[Any],
    annotated: Bool | None,
    depth: list[NDArray[np.intp]],
    grid: Float,
) -> tuple[Float, NDArray[Any], Bool]:
    """Sample a patch at any positions in the YX plane: image linearly, labels by nearest pixel.

    Parameters
    ----------
    image, labels, annotated
        As for `crop`.
    depth
        Positions along Z as in `crop`, in a list that is empty without Z.
    grid
        float32 [2, h, w], Y and X of each pixel.

    Returns
    -------
    image, labels, inside
        As for `crop`.
    """
    *_, height, width = labels.shape
    within = np.ones(grid.shape[1:], bool)
    if (grid.min((1, 2)) < 0).any() or (grid.max((1, 2)) > (height - 1, width - 1)).any():
        for position, length in zip(np.rint(grid), (height, width), strict=True):
            within &= (position >= 0) & (position < length)
        grid = np.stack([_reflect(g, n) for g, n in zip(grid, (height, width), strict=True)])
    nearest = np.rint(grid).astype(np.intp)
    # Only the region around the patch is read, so a large plane costs no more than a small one.
    low = np.maximum(np.floor(grid.min((1, 2))).astype(int), 0)
    high = np.ceil(grid.max((1, 2))).astype(int)
    box = [slice(a, b + 1) for a, b in zip(low, high, strict=True)]
    box_width = min(int(high[1]) + 1, width) - int(low[1])
    planes = [_reflect(z, n) for z, n in zip(depth, labels.shape, strict=False)]
    region: tuple[Any, ...] = (..., *planes, *box)
    nearest -= low[:, None, None]
    flat = nearest[0] * box_width + nearest[1]

    def look_up(array: NDArray[Any]) -> NDArray[Any]:
        cut = array[region]
        values: NDArray[Any] = cut.reshape(*cut.shape[:-2], -1).take(flat, axis=-1)
        return values

    patch_labels, inside = look_up(labels), _with_depth(within, depth, labels.shape)
    if not inside.all():
        patch_labels[~inside] = 0
    if annotated is not None:
        inside = inside & look_up(annotated)
    patch = _interpolate(image[region], grid - low[:, None, None].astype(np.float32))
    return patch, patch_labels, inside


def _with_depth(within: Bool, depth: list[NDArray[np.intp]], shape: tuple[int, ...]) -> Bool:
    """Extend `within` [h, w] by the Z planes, if there are any."""
    for z, n in zip(depth, shape, strict=False):
        within = np.logical_and.outer((z >= 0) & (z < n), within)
    return within


def _interpolate(region: Float, grid: Float) -> Float:
    """Interpolate [..., Y, X] linearly at float32 [2, h, w] pixels -> [..., h, w]."""
    import torch

    *leading, height, width = region.shape
    values = torch.from_numpy(np.array(region, np.float32).reshape(1, -1, height, width))
    extent = np.array([max(width - 1, 1), max(height - 1, 1)], np.float32)
    # grid_sample expects x before y and the outermost pixel centres at -1 and 1.
    points = np.moveaxis(grid[::-1], 0, -1) * (2 / extent) - 1
    sampled = torch.nn.functional.grid_sample(
        values,
        torch.from_numpy(points[None]),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    patch: Float = sampled.numpy().reshape(*leading, *grid.shape[1:])
    return patch


def _reflect(position: NDArray[Any], length: int) -> NDArray[Any]:
    """Reflect positions beyond the outermost pixels, as ``np.pad(mode="reflect")`` does."""
    if length == 1:
        return np.zeros_like(position)
    period = 2 * (length - 1)
    folded = np.abs(position)
    if folded.max() > period:  # rarely that far outside, and the division is slow
        folded %= period
    reflected: NDArray[Any] = np.minimum(folded, period - folded)
    return reflected
