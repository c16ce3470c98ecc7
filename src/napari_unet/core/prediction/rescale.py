"""Resample images to a finer or coarser grid, and labels back to the grid of their image.

All functions are lazy and work block by block: an output pixel depends on the input pixels around
it and never on the block it is computed in.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["regridded_labels", "rescaled", "scaled_shape"]

_CHUNK_PX = 512

Float = NDArray[np.float32]


def scaled_shape(shape: tuple[int, ...], scale: float) -> tuple[int, ...]:
    """Return the shape of an image enlarged by `scale`; each axis keeps at least one pixel."""
    return tuple(max(1, round(n * scale)) for n in shape)


def rescaled(array: Any, shape: tuple[int, ...]) -> da.Array:
    """Resample the spatial axes of an array linearly; shrinking averages to avoid aliasing.

    Parameters
    ----------
    array
        Values with axes C([Z]YX); numpy, memory-mapped, zarr or dask.
    shape
        New lengths of the spatial axes. The outer edges of the image stay where they are.

    Returns
    -------
    dask.array.Array
        (C, *shape) float32; nothing is computed yet.
    """

    def block(where: tuple[slice, ...]) -> Float:
        matrices = [_matrix(*p) for p in zip(array.shape[1:], shape, where[1:], strict=True)]
        values = _read(array, (where[0], *(source for _, source in matrices)))
        values = values.astype(np.float32)
        for axis, (matrix, _) in enumerate(matrices, start=1):
            values = _along(axis, matrix, values)
        return values

    return _lazy((array.shape[0], *shape), np.dtype(np.float32), block)


def regridded_labels(
    labels: Any, foreground: Any, threshold: float, shape: tuple[int, ...]
) -> da.Array:
    """Resample labels to the grid of their image, with outlines as smooth as the probabilities.

    A pixel is labelled if its resampled foreground probability exceeds the threshold. It gets the
    label with the greatest weight among the nearest pixels of the network's grid, weighted
    linearly by distance. So neither outlines nor borders between objects show steps.

    Parameters
    ----------
    labels
        Ids on the network's grid.
    foreground
        Foreground probability on the new grid, as returned by `rescaled` without its first axis.
    threshold
        Probability above which a pixel is foreground.
    shape
        Shape of the new grid.

    Returns
    -------
    dask.array.Array
        Ids as in `labels`, same type; nothing is computed yet.
    """

    def block(where: tuple[slice, ...]) -> NDArray[Any]:
        axes = [_neighbours(*p) for p in zip(labels.shape, shape, where, strict=True)]
        region = _read(labels, tuple(source for *_, source in axes))
        chosen = _choose_heaviest(region, [(below, share) for below, share, _ in axes])
        chosen[_read(foreground, where) <= threshold] = 0
        return chosen

    return _lazy(shape, labels.dtype, block)


def _lazy(shape: tuple[int, ...], dtype: np.dtype[Any], block: Any) -> da.Array:
    """Build a lazy array from a function that computes any part of it."""
    import dask.array as da
    from dask.array.core import normalize_chunks

    def compute(block_info: Any = None) -> NDArray[Any]:
        places = block_info[None]["array-location"]
        result: NDArray[Any] = block(tuple(slice(start, stop) for start, stop in places))
        return result

    sizes = tuple(n if len(shape) > 2 and a == 0 else _CHUNK_PX for a, n in enumerate(shape))
    chunks = normalize_chunks(sizes, shape)  # type: ignore[no-untyped-call, unused-ignore]
    empty = np.empty((0,) * len(shape), dtype)
    return cast("da.Array", da.map_blocks(compute, chunks=chunks, dtype=dtype, meta=empty))


def _read(array: Any, where: tuple[slice, ...]) -> NDArray[Any]:
    part = array[where]
    if hasattr(part, "compute"):
        part = part.compute(scheduler="synchronous")
    return np.asarray(part)


def _positions(old: int, new: int, where: slice) -> NDArray[np.float64]:
    """Return the positions of pixel centres of the new grid on the old grid."""
    return (np.arange(where.start, where.stop) + 0.5) * (old / new) - 0.5


def _matrix(old: int, new: int, where: slice) -> tuple[Any, slice]:
    """Return sparse weights of old pixels in each new pixel, and the range of old pixels used."""
    from scipy.sparse import csr_matrix

    centre = _positions(old, new, where)
    radius = max(1.0, old / new)
    reach = np.arange(int(2 * radius) + 2)
    columns = np.floor(centre - radius).astype(np.intp)[:, None] + reach
    weights = np.maximum(0, 1 - np.abs(columns - centre[:, None]) / radius)
    weights[(columns < 0) | (columns >= old)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    used = weights > 0
    first, last = int(columns[used].min()), int(columns[used].max())
    rows = np.broadcast_to(np.arange(len(centre))[:, None], columns.shape)[used]
    cells = (weights[used].astype(np.float32), (rows, columns[used] - first))
    return csr_matrix(cells, (len(centre), last - first + 1)), slice(first, last + 1)


def _along(axis: int, matrix: Any, values: Float) -> Float:
    moved = np.moveaxis(values, axis, 0)
    product: Float = matrix @ np.ascontiguousarray(moved).reshape(len(moved), -1)
    return np.moveaxis(product.reshape(-1, *moved.shape[1:]), 0, axis)


def _neighbours(
    old: int, new: int, where: slice
) -> tuple[NDArray[np.intp], NDArray[np.float32], slice]:
    """Return the old pixel before each new one, the weight of the next, and the range used."""
    centre = np.clip(_positions(old, new, where), 0, old - 1)
    below = np.minimum(np.floor(centre).astype(np.intp), max(0, old - 2))
    share = (centre - below).astype(np.float32)
    first, stop = int(below[0]), min(old, int(below[-1]) + 2)
    return below - first, share, slice(first, stop)


def _choose_heaviest(
    region: NDArray[Any], axes: list[tuple[NDArray[np.intp], NDArray[np.float32]]]
) -> NDArray[Any]:
    """Choose for each pixel the id with the greatest linear weight among its neighbours."""
    corners = []
    for ends in product((0, 1), repeat=len(axes)):
        index = np.ix_(
            *(
                np.minimum(below + end, n - 1)
                for end, (below, _), n in zip(ends, axes, region.shape, strict=True)
            )
        )
        shares = (share if end else 1 - share for end, (_, share) in zip(ends, axes, strict=True))
        weight = np.ones((), np.float32)
        for share in shares:
            weight = np.multiply.outer(weight, share)
        corners.append((region[index], weight))
    best: NDArray[Any] = np.zeros_like(corners[0][0])
    most = np.zeros(best.shape, np.float32)
    for ids, _ in corners:
        total = np.zeros_like(most)
        for others, weight in corners:
            total += np.where(others == ids, weight, 0)
        better = (ids > 0) & (total > most)
        best[better], most[better] = ids[better], total[better]
    return best
