"""Synthetic patches without objects: uneven light, camera lines, haze and noise.

Images that people label usually contain objects. Without these patches, a network never learns that
a background which spans the whole range of intensities, as in an empty field, has no objects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["empty_patch"]

Float = NDArray[np.float32]

_HAZE_PX = (32.0, 128.0)
"""Distance over which haze varies: more than the size of a typical object, even out of focus."""

_ORDINARY_NOISE, _MOST_NOISE = 0.05, 0.15


def empty_patch(shape: tuple[int, ...], rng: np.random.Generator) -> Float:
    """Draw a patch of background.

    Parameters
    ----------
    shape
        Shape of the patch, (C, Y, X) or (C, Z, Y, X).
    rng
        Random number generator.

    Returns
    -------
    float32 array
        Patch of that shape, most values between 0 and 1; the channels differ only in noise.
    """
    draw = (_light, _lines, _haze)[rng.choice(3, p=[0.5, 0.2, 0.3])]
    background = draw(shape[-2:], rng)
    if rng.random() < 0.3:
        background = background + 0.5 * _light(shape[-2:], rng)
    lowest, highest = float(background.min()), float(background.max())
    height = rng.uniform(0.1, 1.1)
    level = rng.uniform(-0.1, max(0.0, 1.1 - height))
    background = level + height * (background - lowest) / max(highest - lowest, 1e-6)
    most = _ORDINARY_NOISE if rng.random() < 0.7 else _MOST_NOISE
    noise = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0, most))
    patch: Float = background.astype(np.float32) + noise
    return patch


def _light(shape: tuple[int, ...], rng: np.random.Generator) -> Float:
    """Draw light that falls off towards one side, or towards the edges of a larger field."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in shape)
    angle, (top, left) = rng.uniform(0, 2 * np.pi), rng.uniform(-1.5, 1.5, 2)
    slope = np.cos(angle) * y[:, None] + np.sin(angle) * x[None, :]
    hollow = (y[:, None] - top) ** 2 + (x[None, :] - left) ** 2
    light: Float = slope * np.float32(rng.uniform(0, 1)) - hollow * np.float32(rng.uniform(-0.5, 1))
    return light


def _lines(shape: tuple[int, ...], rng: np.random.Generator) -> Float:
    """Draw rows or columns that differ in brightness."""
    rows = rng.standard_normal((shape[0], 1), np.float32)
    columns = rng.standard_normal((1, shape[1]), np.float32)
    lines: Float = np.broadcast_to(rows if rng.random() < 0.5 else columns, shape)
    return lines


def _haze(shape: tuple[int, ...], rng: np.random.Generator) -> Float:
    """Draw clouds that are far out of focus."""
    from scipy.ndimage import zoom

    size_px = rng.uniform(*_HAZE_PX)
    points = [int(np.ceil(n / size_px)) + 2 for n in shape]
    clouds = zoom(rng.standard_normal(points, np.float32), size_px, order=3)
    starts = [(c - n) // 2 for c, n in zip(clouds.shape, shape, strict=True)]
    inside = tuple(slice(s, s + n) for s, n in zip(starts, shape, strict=True))
    haze: Float = clouds[inside]
    return haze
