"""Synthetic fluorescence images of nuclei with exact ground truth, for demos and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_unet.core.errors import SettingsError

__all__ = ["synthetic_dataset", "synthetic_nuclei"]

Bool = NDArray[np.bool_]
Float = NDArray[np.float32]

_GAP_PX = 2.5
"""Free space around nuclei that do not touch, so that they stay apart after blurring."""

_TRIALS = 25
"""Positions tried for one nucleus."""

_PATIENCE = 15
"""Number of nuclei in a row without a free place after which the image counts as full."""

_SQUEEZE = 0.08
"""Fraction of a nucleus that its neighbours may cut off."""


@dataclass(frozen=True)
class _Nucleus:
    """A nucleus in the middle of a square box."""

    mask: Bool
    halo: Bool  # the mask and the gap around it
    brightness: Float
    radius_px: float

    @property
    def reach(self) -> int:
        """Pixels from the middle of the box to its edge."""
        return len(self.mask) // 2


def synthetic_nuclei(
    shape: tuple[int, int] = (256, 256),
    n: int = 40,
    diameter_px: tuple[float, float] = (14, 30),
    seed: int | np.random.SeedSequence = 0,
    *,
    touching: float = 0.3,
    noise: float = 0.04,
    background_gradient: float = 0.1,
    inverted: bool = False,
    dtype: DTypeLike = np.uint8,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw an image of nuclei and its labels.

    Nuclei are irregular ellipses with chromatin texture and nucleoli; some touch, but none overlap.
    Blur, uneven background, shot noise and read noise are added.

    Parameters
    ----------
    shape
        Height and width, in pixels.
    n
        Number of nuclei; fewer are drawn if the image is full.
    diameter_px
        Smallest and largest diameter (of the circle with the same area), 4 to 500.
    seed
        The same seed draws the same image.
    touching
        Fraction of nuclei that touch another one, 0 to 1.
    noise
        Standard deviation of the shot noise at full brightness, as a fraction of it; the read noise
        is a quarter of that. 0: no noise.
    background_gradient
        Variation of the background over the image, as a fraction of full brightness.
    inverted
        Whether nuclei are dark on a bright background.
    dtype
        uint8, uint16 (both over their full range) or float32 (0 to 1).

    Returns
    -------
    image
        `dtype` [Y, X].
    labels
        uint16 (uint32 above 65,535 nuclei) [Y, X]: 0 is background, nuclei are 1, 2, ...

    Raises
    ------
    SettingsError
        If a parameter is out of range.

    Examples
    --------
    >>> from napari_unet import synthetic_nuclei
    >>> image, labels = synthetic_nuclei((128, 128), n=10, seed=1)
    >>> image.shape, image.dtype, labels.max()
    ((128, 128), dtype('uint8'), np.uint16(10))
    """
    _check(shape, n, diameter_px, touching, noise, background_gradient, dtype)
    rng = np.random.default_rng(seed)
    labels, brightness = _place(shape, n, diameter_px, touching, rng)
    signal = _optics(brightness, float(np.mean(diameter_px)), rng)
    signal = 0.05 + 0.8 * signal + background_gradient * _slope(shape, rng)
    if inverted:
        signal = 1 - signal
    return _digitise(_camera(signal, noise, rng), np.dtype(dtype)), labels


def synthetic_dataset(
    n_images: int = 8,
    shape: tuple[int, int] = (256, 256),
    n: tuple[int, int] = (20, 50),
    diameter_px: tuple[float, float] = (14, 30),
    seed: int = 0,
    **options: Any,
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Draw several images that differ like the fields of one experiment.

    Parameters
    ----------
    n_images
        Number of images.
    shape, diameter_px
        As for `synthetic_nuclei`.
    n
        Smallest and largest number of nuclei.
    seed
        The same seed draws the same images; the first ones do not depend on `n_images`.
    **options
        Other parameters of `synthetic_nuclei`. `noise` and `background_gradient` vary between
        images unless specified.

    Returns
    -------
    list of (image, labels)
        As returned by `synthetic_nuclei`.

    Raises
    ------
    SettingsError
        If a parameter is out of range.
    """
    if n_images < 0 or not 0 <= n[0] <= n[1]:
        raise SettingsError(
            f"Synthetic nuclei: {n_images} images with {n} nuclei. Expected a number of images "
            "from 0 and the smallest and largest number of nuclei, for example (20, 50)."
        )

    def images() -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        for child in np.random.SeedSequence(seed).spawn(n_images):
            rng = np.random.default_rng(child)
            varied = {
                "noise": rng.uniform(0.02, 0.07),
                "background_gradient": rng.uniform(0, 0.15),
            }
            count = int(rng.integers(n[0], n[1] + 1))
            image_seed = child.spawn(1)[0]
            yield synthetic_nuclei(shape, count, diameter_px, image_seed, **(varied | options))

    return list(images())


def _check(
    shape: tuple[int, int],
    n: int,
    diameter_px: tuple[float, float],
    touching: float,
    noise: float,
    background_gradient: float,
    dtype: DTypeLike,
) -> None:
    rules = {
        f"shape is {shape}, expected a height and a width": len(shape) == 2 and min(shape) > 0,
        f"n is {n}, expected a number from 0": n >= 0,
        f"diameter_px is {diameter_px}, expected the smallest and the largest, between 4 and 500": (
            len(diameter_px) == 2 and 4 <= diameter_px[0] <= diameter_px[1] <= 500
        ),
        f"touching is {touching}, expected a share from 0 to 1": 0 <= touching <= 1,
        f"noise is {noise}, expected a share from 0 to 1": 0 <= noise <= 1,
        f"background_gradient is {background_gradient}, expected a share from 0 to 1": (
            0 <= background_gradient <= 1
        ),
        f"dtype is {np.dtype(dtype)}, expected uint8, uint16 or float32": (
            np.dtype(dtype) in (np.uint8, np.uint16, np.float32)
        ),
    }
    broken = [rule for rule, kept in rules.items() if not kept]
    if broken:
        raise SettingsError(f"Synthetic nuclei: {'; '.join(broken)}.")


def _place(
    shape: tuple[int, int],
    n: int,
    diameter_px: tuple[float, float],
    touching: float,
    rng: np.random.Generator,
) -> tuple[NDArray[Any], Float]:
    """Place nuclei one by one; return labels and brightness."""
    labels = np.zeros(shape, np.uint16 if n <= 65535 else np.uint32)
    brightness = np.zeros(shape, np.float32)
    placed: list[tuple[float, float, float]] = []  # y, x, radius
    failures = 0
    while len(placed) < n and failures < _PATIENCE:
        nucleus = _draw_nucleus(rng.uniform(*diameter_px), rng)
        if placed and rng.random() < touching:
            centre = _find_touching(labels, nucleus, placed, rng)
        else:
            centre = _find_free(labels, nucleus, rng)
        if centre is None:
            failures += 1
            continue
        failures = 0
        placed.append((*centre, nucleus.radius_px))
        _put(labels, brightness, nucleus, centre, len(placed))
    return labels, brightness


def _draw_nucleus(diameter_px: float, rng: np.random.Generator) -> _Nucleus:
    """Draw an ellipse whose radius is varied by a short Fourier series of the angle."""
    radius = diameter_px / 2
    aspect, turn = np.sqrt(rng.uniform(1, 1.6)), rng.uniform(0, np.pi)
    reach = int(np.ceil(radius * 1.9 + _GAP_PX))
    steps = np.arange(-reach, reach + 1, dtype=np.float32)
    y, x = steps[:, None], steps[None, :]
    distance, angle = np.hypot(y, x), np.arctan2(y, x) - turn
    edge = radius / np.hypot(np.cos(angle) / aspect, np.sin(angle) * aspect)
    series = np.zeros_like(angle)
    for order in range(2, 6):
        amplitude = rng.normal(0, 0.09 / order)
        series += amplitude * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    edge *= np.clip(1 + series, 0.75, 1.2)
    dome = np.sqrt(np.clip(1.05 - (distance / edge) ** 2, 0, 1))
    body = (0.7 + 0.3 * dome) * min(np.exp(rng.normal(-0.45, 0.3)), 1.05)
    for _ in range(rng.integers(0, 4)):
        body *= 1 - _spot(y, x, radius, rng)
    mask = distance < edge
    return _Nucleus(mask, distance < edge + _GAP_PX, body.astype(np.float32), radius)


def _spot(y: Float, x: Float, radius: float, rng: np.random.Generator) -> Float:
    """Draw a nucleolus: a dark spot inside the nucleus."""
    direction, away = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0, 0.55)
    size = radius * rng.uniform(0.1, 0.2)
    squared = (y - away * np.sin(direction)) ** 2 + (x - away * np.cos(direction)) ** 2
    spot: Float = rng.uniform(0.15, 0.45) * np.exp(-squared / (2 * size**2))
    return spot


def _windows(
    shape: tuple[int, ...], nucleus: _Nucleus, centre: tuple[int, int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the slices of the image and of the box in which the two overlap."""
    starts = [c - nucleus.reach for c in centre]
    ends = [min(c + nucleus.reach + 1, size) for c, size in zip(centre, shape, strict=True)]
    image = tuple(slice(max(s, 0), e) for s, e in zip(starts, ends, strict=True))
    box = tuple(slice(w.start - s, w.stop - s) for w, s in zip(image, starts, strict=True))
    return image, box


def _find_free(
    labels: NDArray[Any], nucleus: _Nucleus, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Find a centre at which the nucleus and the gap around it are free."""
    for _ in range(_TRIALS):
        centre = (int(rng.integers(labels.shape[0])), int(rng.integers(labels.shape[1])))
        image, box = _windows(labels.shape, nucleus, centre)
        if not labels[image][nucleus.halo[box]].any():
            return centre
    return None


def _find_touching(
    labels: NDArray[Any],
    nucleus: _Nucleus,
    placed: list[tuple[float, float, float]],
    rng: np.random.Generator,
) -> tuple[int, int] | None:
    """Find a centre at which the nucleus is pressed slightly against another one."""
    for _ in range(_TRIALS):
        y, x, radius = placed[rng.integers(len(placed))]
        angle, best = rng.uniform(0, 2 * np.pi), None
        farthest = 1.7 * (radius + nucleus.radius_px)
        for away in np.arange(farthest, radius, -1.0):
            centre = (round(y + away * np.sin(angle)), round(x + away * np.cos(angle)))
            if not all(0 <= c < size for c, size in zip(centre, labels.shape, strict=True)):
                continue
            image, box = _windows(labels.shape, nucleus, centre)
            mask = nucleus.mask[box]
            squeezed = np.count_nonzero(labels[image][mask])
            if squeezed > _SQUEEZE * np.count_nonzero(mask):
                break
            best = centre if squeezed else None
        if best is not None:
            return best
    return None


def _put(
    labels: NDArray[Any],
    brightness: Float,
    nucleus: _Nucleus,
    centre: tuple[int, int],
    label: int,
) -> None:
    """Draw the nucleus on free pixels; if these form several pieces, only on the largest."""
    from scipy.ndimage import label as find_pieces

    image, box = _windows(labels.shape, nucleus, centre)
    free = nucleus.mask[box] & (labels[image] == 0)
    pieces, count = find_pieces(free)
    if count > 1:
        free = pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1
    labels[image][free] = label
    brightness[image][free] = nucleus.brightness[box][free]


def _optics(brightness: Float, diameter_px: float, rng: np.random.Generator) -> Float:
    """Add chromatin texture, out-of-focus light and the blur of the microscope."""
    from scipy.ndimage import gaussian_filter

    textured = brightness * np.exp(_clouds(brightness.shape, max(1.0, diameter_px / 16), 0.16, rng))
    textured *= np.exp(_clouds(brightness.shape, max(1.5, diameter_px / 6), 0.12, rng))
    haze = gaussian_filter(brightness, diameter_px / 3, truncate=2.5)
    blurred: Float = gaussian_filter(textured, max(0.7, diameter_px / 28), truncate=3)
    blurred += 0.1 / 0.93 * haze
    return 0.93 * blurred


def _clouds(
    shape: tuple[int, ...], size_px: float, strength: float, rng: np.random.Generator
) -> Float:
    """Draw smooth random values of standard deviation `strength`, varying over about `size_px`."""
    from scipy.ndimage import gaussian_filter

    white = rng.standard_normal(shape, np.float32)
    clouds: Float = gaussian_filter(white, size_px, mode="wrap", truncate=2.5)
    return clouds * np.float32(strength * 2 * np.sqrt(np.pi) * size_px)


def _slope(shape: tuple[int, int], rng: np.random.Generator) -> Float:
    """Draw an uneven background between 0 and 1: a slope and a bright spot."""
    y, x = (np.linspace(0, 1, size, dtype=np.float32) for size in shape)
    angle, (top, left) = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.8, 2)
    slope = np.cos(angle) * (y[:, None] - 0.5) + np.sin(angle) * (x[None, :] - 0.5)
    bright = np.exp(-4 * ((y[:, None] - top) ** 2 + (x[None, :] - left) ** 2))
    uneven: Float = (0.35 + 0.4 * slope + 0.4 * bright).astype(np.float32)
    return np.clip(uneven, 0, 1)


def _camera(signal: Float, noise: float, rng: np.random.Generator) -> Float:
    """Add shot noise (Poisson) and read noise (Gaussian)."""
    if noise == 0:
        return signal
    full_well = noise**-2.0  # the shot noise of this many photons is a fraction `noise` of them
    counted = rng.poisson(np.clip(signal, 0, None) * full_well) / full_well
    return np.asarray(counted + rng.normal(0, noise / 4, signal.shape), np.float32)


def _digitise(signal: Float, dtype: np.dtype[Any]) -> NDArray[Any]:
    signal = np.clip(signal, 0, 1)
    if dtype.kind == "f":
        return signal.astype(dtype)
    return np.rint(signal * np.iinfo(dtype).max).astype(dtype)
