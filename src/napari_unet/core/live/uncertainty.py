"""Uncertainty of predicted classes, and the window in which it is highest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["least_certain_window", "uncertainty"]


def uncertainty(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the entropy of class probabilities, from 0 (certain) to 1 (all equally likely).

    Parameters
    ----------
    outputs
        Probability of each class, axes (classes, Y, X).

    Returns
    -------
    float32 array
        Entropy relative to its maximum, axes YX.
    """
    clipped = np.clip(outputs, 1e-6, 1)
    entropy: NDArray[np.float32] = -(clipped * np.log(clipped)).sum(0) / np.log(len(outputs))
    return entropy


def least_certain_window(
    doubt: NDArray[np.float32], painted: NDArray[np.bool_], window_px: int
) -> tuple[slice, slice] | None:
    """Find the unpainted square window with the highest mean uncertainty.

    Parameters
    ----------
    doubt
        Result of `uncertainty`, axes YX.
    painted
        Mask of painted pixels, axes YX.
    window_px
        Side of the window in pixels. If no window of this size is unpainted, half of it is tried,
        and then a quarter.

    Returns
    -------
    tuple of slice
        Slices along Y and X; None if every window contains painted pixels.
    """
    found = (_free_window(doubt, painted, window_px // part) for part in (1, 2, 4))
    return next((window for window in found if window is not None), None)


def _free_window(
    doubt: NDArray[np.float32], painted: NDArray[np.bool_], side: int
) -> tuple[slice, slice] | None:
    """Find the unpainted window of a given size with the highest mean uncertainty."""
    from scipy.ndimage import uniform_filter

    size = tuple(min(max(1, side), n) for n in doubt.shape)
    # The filter's result is at the centre of a window; shift it to the window's first pixel.
    inner = tuple(slice(s // 2, s // 2 + n - s + 1) for s, n in zip(size, doubt.shape, strict=True))
    mean = uniform_filter(doubt, size, mode="constant")[inner]
    covered = uniform_filter(painted.astype(np.float32), size, mode="constant")[inner]
    mean[covered > 0.5 / np.prod(size)] = -1
    if mean.max() < 0:
        return None
    top, left = np.unravel_index(int(mean.argmax()), mean.shape)
    return slice(int(top), int(top) + size[0]), slice(int(left), int(left) + size[1])
