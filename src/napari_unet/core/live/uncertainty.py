"""How sure a network is of classes, and where it is least so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["least_certain_window", "uncertainty"]


def uncertainty(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy of classes' probabilities (classes, Y, X): 0 sure, 1 where all are as likely."""
    clipped = np.clip(outputs, 1e-6, 1)
    entropy: NDArray[np.float32] = -(clipped * np.log(clipped)).sum(0) / np.log(len(outputs))
    return entropy


def least_certain_window(
    doubt: NDArray[np.float32], painted: NDArray[np.bool_], window_px: int
) -> tuple[slice, slice] | None:
    """Find the square window with the highest mean doubt in which nothing is painted.

    Parameters
    ----------
    doubt
        From `uncertainty`, axes YX.
    painted
        Where anything is painted, axes YX.
    window_px
        Side of the window; halved, down to a quarter, where none of this size is free.

    Returns
    -------
    tuple of slice
        Along Y and X; None where something is painted in every window.
    """
    found = (_free_window(doubt, painted, window_px // part) for part in (1, 2, 4))
    return next((window for window in found if window is not None), None)


def _free_window(
    doubt: NDArray[np.float32], painted: NDArray[np.bool_], side: int
) -> tuple[slice, slice] | None:
    """Find the window with the highest mean doubt among those without anything painted."""
    from scipy.ndimage import uniform_filter

    size = tuple(min(max(1, side), n) for n in doubt.shape)
    # Of every window by its first pixel: a filter's result belongs to the window's middle.
    inner = tuple(slice(s // 2, s // 2 + n - s + 1) for s, n in zip(size, doubt.shape, strict=True))
    mean = uniform_filter(doubt, size, mode="constant")[inner]
    covered = uniform_filter(painted.astype(np.float32), size, mode="constant")[inner]
    mean[covered > 0.5 / np.prod(size)] = -1
    if mean.max() < 0:
        return None
    top, left = np.unravel_index(int(mean.argmax()), mean.shape)
    return slice(int(top), int(top) + size[0]), slice(int(left), int(left) + size[1])
