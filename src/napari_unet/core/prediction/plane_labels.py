"""Decode outputs to labels plane by plane on the image's grid, and join them into stacks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.prediction.rescale import regridded_labels, rescaled
from napari_unet.core.tasks.base import Task

__all__ = ["PlaneLabels", "decode_plane", "regridded", "stack_planes", "stacked"]

PlaneLabels = tuple[Any, NDArray[np.float32]]
"""Labels of one plane, and the confidences of its objects, starting with id 1."""


def decode_plane(task: Task, outputs: NDArray[np.float32], shape: tuple[int, ...]) -> PlaneLabels:
    """Decode one plane in memory onto the grid of its image, which has the given shape."""
    other_grid = outputs.shape[1:] != shape
    if other_grid and not task.labels_are_objects:
        outputs = rescaled(outputs, shape).compute(scheduler="synchronous")
    labels = _compact(task.decode(outputs))
    confidence = task.confidence(labels, outputs)
    if other_grid and task.labels_are_objects:
        foreground = rescaled(outputs[:1], shape)[0]
        lazy = regridded_labels(labels, foreground, task.foreground_threshold, shape)
        labels = lazy.compute(scheduler="synchronous")
    return labels, confidence


def regridded(task: Task, labels: Any, maps: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Resample labels and probabilities of one plane on disk lazily to another grid."""
    single = task.heads[0].channels == 1
    fine = rescaled(maps[None] if single else maps, shape)
    if task.labels_are_objects:
        labels = regridded_labels(labels, fine[0], task.foreground_threshold, shape)
        return labels, fine[0] if single else fine
    fine = fine.rechunk({0: -1})
    empty = np.empty((0,) * len(shape), labels.dtype)
    classes = fine.map_blocks(task.decode, dtype=empty.dtype, drop_axis=0, meta=empty)
    return classes, fine[0] if single else fine


def stack_planes(planes: list[PlaneLabels], leading: tuple[int, ...]) -> PlaneLabels:
    """Stack planes, numbering ids and confidences consecutively (with a NaN for id 0)."""
    labels, confidences = [], [np.full(1, np.nan, np.float32)]
    before = 0
    for plane, confidence in planes:
        labels.append(_shift_ids(plane, before) if before else plane)
        confidences.append(confidence)
        before += len(confidence)
    return stacked(labels, leading), np.concatenate(confidences)


def _compact(labels: NDArray[Any]) -> NDArray[Any]:
    """Store ids as uint16 if they fit, class ids as they are."""
    if labels.dtype.itemsize <= 2:
        return labels
    return labels.astype(np.uint16 if labels.max(initial=0) <= 65_535 else np.uint32)


def _shift_ids(labels: Any, by: int) -> Any:
    """Add an offset to every id but 0, in 64 bits, as ids of a stack may exceed 16 bits."""
    if isinstance(labels, np.ndarray):
        return _compact(np.where(labels > 0, labels.astype(np.int64) + by, 0))
    import dask.array as da

    lazy = labels if isinstance(labels, da.Array) else da.from_zarr(labels)
    return da.where(lazy > 0, lazy + np.uint32(by), 0).astype(np.uint32)


def stacked(planes: list[Any], leading: tuple[int, ...]) -> Any:
    """Join planes into a stack, lazily if they are on disk."""
    if not leading:
        return planes[0]
    if all(isinstance(plane, np.ndarray) for plane in planes):
        stack = np.stack(planes)
        return stack.reshape(*leading, *stack.shape[1:])
    import dask.array as da

    lazy = [p if isinstance(p, da.Array) else da.from_zarr(p) for p in planes]
    stack = da.stack(lazy)
    return stack.reshape(*leading, *stack.shape[1:])
