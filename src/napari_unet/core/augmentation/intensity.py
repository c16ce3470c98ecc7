"""Intensity augmentation of a normalised patch: gamma, contrast, brightness, glow, blur, noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_unet.core.augmentation.settings import Augmentation

__all__ = ["vary_intensity"]

Float = NDArray[np.float32]


def vary_intensity(image: Float, augmentation: Augmentation, rng: np.random.Generator) -> Float:
    """Vary the intensities of a patch, in the order light, optics, camera.

    Parameters
    ----------
    image
        float32 [C, Y, X] or [C, Z, Y, X], normalised: most values between 0 and 1. Nothing is
        clipped, because values outside carry the signal beyond the percentiles.
    augmentation
        Settings of the augmentation.
    rng
        Random number generator.

    Returns
    -------
    float32 array
        Patch of the same shape; `image` itself if nothing varies.
    """
    a = augmentation

    def applies(amount: float) -> bool:
        return amount > 0 and rng.random() < a.intensity_probability

    if applies(a.gamma - 1):
        image = _power(image, _factor(a.gamma, rng))
    gain, offset = 1.0, 0.0
    if applies(a.contrast - 1):
        gain = _factor(a.contrast, rng)
    if applies(a.brightness):
        offset = rng.uniform(-a.brightness, a.brightness)
    jitter = a.channel_jitter if len(image) > 1 and applies(a.channel_jitter) else 0.0
    if gain != 1 or offset or jitter:
        image = _linear(image, gain, offset, jitter, rng)
    if applies(a.background):
        image = image + rng.uniform(-a.background, a.background) * _glow(image.shape[-2:], rng)
    if applies(a.blur_px):
        image = _blur(image, rng.uniform(0, a.blur_px))
    if applies(a.noise):
        image = image + np.float32(rng.uniform(0, a.noise)) * _gaussian_noise(image.shape, rng)
    return image


def _gaussian_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Float:
    """Draw independent values with standard deviation 1; PyTorch takes half of NumPy's time."""
    import torch

    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    noise: Float = torch.randn(shape, generator=generator).numpy()
    return noise


def _factor(largest: float, rng: np.random.Generator) -> float:
    """Draw a factor that is as likely to divide as to multiply."""
    return float(np.exp(rng.uniform(-1, 1) * np.log(largest)))


def _power(image: Float, exponent: float) -> Float:
    """Apply gamma to values between 0 and 1; others keep their distance and order."""
    bounded = np.clip(image, 0, 1)
    varied: Float = image - bounded
    varied += np.power(bounded, np.float32(exponent))
    return varied


def _linear(
    image: Float, gain: float, offset: float, jitter: float, rng: np.random.Generator
) -> Float:
    """Change the contrast about the mean and the brightness; `jitter` varies both per channel."""
    column = (-1,) + (1,) * (image.ndim - 1)
    gains = gain * (1 + rng.uniform(-jitter, jitter, len(image)))
    mean = image.mean(axis=tuple(range(1, image.ndim)))
    offsets = mean * (1 - gains) + offset + rng.uniform(-jitter, jitter, len(image))
    varied: Float = image * gains.astype(np.float32).reshape(column)
    varied += offsets.astype(np.float32).reshape(column)
    return varied


def _glow(shape_yx: tuple[int, ...], rng: np.random.Generator) -> Float:
    """Draw a broad wave between 0 and 1 in a random direction: uneven, out-of-focus light."""
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    wavelength_px = rng.uniform(1, 3) * max(shape_yx)
    y, x = (np.arange(n) * (2 * np.pi / wavelength_px) for n in shape_yx)
    along_y, along_x = np.sin(angle) * y, np.cos(angle) * x + phase
    # The cosine of a sum is expanded, so that it need not be computed for every pixel.
    factors_y = np.stack([0.5 * np.cos(along_y), -0.5 * np.sin(along_y)], axis=1)
    factors_x = np.stack([np.cos(along_x), np.sin(along_x)])
    wave: Float = factors_y.astype(np.float32) @ factors_x.astype(np.float32)
    wave += 0.5
    return wave


def _blur(image: Float, sigma_px: float) -> Float:
    from scipy.ndimage import gaussian_filter

    blurred: Float = gaussian_filter(image, sigma_px, axes=(-2, -1), truncate=3)
    return blurred
