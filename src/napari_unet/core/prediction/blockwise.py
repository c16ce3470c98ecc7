"""Decoding of planes that exceed memory, block by block, into zarr, without cutting objects.

Each object belongs to the block that contains its centroid. A block is decoded together with a
margin as wide as the reach of the decoder, and only its own objects are written, whole, also
beyond its border. So no object is cut or counted twice, and the result does not depend on the
block size.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import StorageError
from napari_unet.core.tasks.base import Task
from napari_unet.core.tasks.decoders import first_pixels

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["decode_blockwise", "pass_count"]

Labels = NDArray[np.integer[Any]]
Slices = tuple[slice, ...]
OnBlock = Callable[[], None]


def pass_count(task: Task) -> int:
    """Return the number of passes of `decode_blockwise`, and so its calls of `on_block` a block."""
    return 2 if task.labels_are_objects else 1


def decode_blockwise(
    task: Task,
    outputs: da.Array,
    folder: Path,
    probabilities: bool,
    on_block: OnBlock = lambda: None,
) -> tuple[Any, Any, NDArray[np.float32]]:
    """Compute outputs block by block, decode them and write the labels to zarr.

    Parameters
    ----------
    task
        Task that decodes the outputs.
    outputs
        Lazy network outputs, shape (channels, [Z,] Y, X).
    folder
        Folder of ``labels.zarr`` and ``outputs.zarr``; the latter is removed unless
        `probabilities` is true.
    probabilities
        Whether to keep the probabilities.
    on_block
        Called before each block is decoded, and before it is renumbered; may raise to stop.

    Returns
    -------
    labels, probabilities
        Arrays on disk; probabilities are None unless requested.
    confidence
        Mean foreground probability of each object, starting with id 1; empty for classes.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    complete = False
    try:
        result = _decode_blockwise(task, outputs, folder, probabilities, on_block)
        complete = True
        return result
    except OSError as error:
        problem = f"{folder} cannot be written: {error.strerror or error}. Choose another folder."
        raise StorageError(problem) from None
    finally:
        # Nothing half-written stays, also if the caller stops. The folder may hold other files.
        if not complete:
            for name in ("outputs.zarr", "labels.zarr"):
                shutil.rmtree(folder / name, ignore_errors=True)


def _decode_blockwise(
    task: Task,
    outputs: da.Array,
    folder: Path,
    probabilities: bool,
    on_block: OnBlock,
) -> tuple[Any, Any, NDArray[np.float32]]:
    import dask
    import dask.array as da
    import zarr

    spatial = outputs.shape[1:]
    chunk = tuple(min(512, n) for n in spatial)
    stored = zarr.create_array(
        folder / "outputs.zarr",
        shape=outputs.shape,
        chunks=(1, *chunk),
        dtype="float32",
        overwrite=True,
    )
    with dask.config.set(scheduler="synchronous"):
        da.store(outputs, cast(Any, stored), lock=False)
    labels = zarr.create_array(
        folder / "labels.zarr", shape=spatial, chunks=chunk, dtype="uint32", overwrite=True
    )
    confidence = np.empty(0, np.float32)
    if task.labels_are_objects:
        confidence = _decode_objects(task, stored, labels, outputs.chunks[1:], on_block)
    else:
        for core in _blocks(outputs.chunks[1:]):
            on_block()
            labels[core] = task.decode(np.asarray(stored[(slice(None), *core)]))
    if probabilities:
        return labels, _first_maps(task, folder), confidence
    shutil.rmtree(folder / "outputs.zarr")
    return labels, None, confidence


def _first_maps(task: Task, folder: Path) -> Any:
    """Return the probabilities among the stored outputs, lazily."""
    import dask.array as da

    maps = da.from_zarr(folder / "outputs.zarr")
    channels = task.heads[0].channels
    return maps[0] if channels == 1 else maps[:channels]


def _decode_objects(
    task: Task,
    stored: Any,
    labels: Any,
    chunks: tuple[tuple[int, ...], ...],
    on_block: OnBlock,
) -> NDArray[np.float32]:
    """Write the objects that belong to each block, numbered in raster order of first pixels."""
    firsts: list[NDArray[np.int64]] = []
    confidences: list[NDArray[np.float32]] = []
    next_id = 1
    for core in _blocks(chunks):
        on_block()
        # Twice the reach: neighbours of an object must be decoded too, and reach as far again.
        outer = _grow(core, 2 * task.reach_px, labels.shape)
        maps = stored[(slice(None), *outer)]
        block = task.decode(maps)
        ids = _find_own_ids(block, core, outer)
        numbers = np.zeros(int(block.max()) + 1, np.uint32)
        numbers[ids] = np.arange(next_id, next_id + len(ids))
        mine = numbers[block]
        here = mine > 0
        if here.any():
            before = labels[outer]
            labels[outer] = np.where(here, mine, before)
        firsts.append(_first_pixels(block, ids, outer, labels.shape))
        confidences.append(task.confidence(block, maps)[ids - 1])
        next_id += len(ids)
    order = np.argsort(np.concatenate(firsts))
    final = np.zeros(next_id, np.uint32)
    final[order + 1] = np.arange(1, next_id)
    for core in _blocks(chunks):
        on_block()
        labels[core] = final[labels[core]]
    return np.concatenate(confidences)[order]


def _blocks(chunks: tuple[tuple[int, ...], ...]) -> list[Slices]:
    """Return the blocks of a chunked array as slices, in raster order."""
    from itertools import product

    axes = []
    for sizes in chunks:
        stops = np.cumsum(sizes)
        axes.append([slice(int(e - n), int(e)) for n, e in zip(sizes, stops, strict=True)])
    return list(product(*axes))


def _grow(core: Slices, margin: int, shape: tuple[int, ...]) -> Slices:
    return tuple(
        slice(max(0, s.start - margin), min(n, s.stop + margin))
        for s, n in zip(core, shape, strict=True)
    )


def _find_own_ids(block: Labels, core: Slices, outer: Slices) -> NDArray[np.intp]:
    """Find the ids of objects in a decoded block (with margin) whose centroid is in its core."""
    area = np.bincount(block.ravel())
    owned = area > 0
    owned[0] = False
    for axis, (inner, around) in enumerate(zip(core, outer, strict=True)):
        shape = [-1 if a == axis else 1 for a in range(block.ndim)]
        position = np.broadcast_to(np.arange(around.start, around.stop).reshape(shape), block.shape)
        centroid = np.bincount(block.ravel(), weights=position.ravel()) / np.maximum(area, 1)
        owned &= (centroid >= inner.start - 0.5) & (centroid < inner.stop - 0.5)
    return np.flatnonzero(owned)


def _first_pixels(
    block: Labels, ids: NDArray[np.intp], outer: Slices, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return the flat index of each object's first pixel in the whole plane."""
    local = np.unravel_index(first_pixels(block)[ids], block.shape)
    whole = tuple(p + s.start for p, s in zip(local, outer, strict=True))
    flat: NDArray[np.int64] = np.ravel_multi_index(whole, shape).astype(np.int64)
    return flat
