"""Intensity normalisation: one scope, the whole image, identical at training and prediction."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from napari_unet.core.errors import ImageError, SettingsError

__all__ = ["IntensityRange", "Normalization", "apply_ranges"]

IntensityRange = tuple[float, float]
"""The values that become 0 and 1."""

_MOST_SAMPLES = 1 << 24
_TAIL_PERCENTILE = 99.999

_LARGEST = 1e30
"""Larger values stand for "no data", and their differences are no longer float32."""

_SMALLEST_SHARE = 0.02
"""Share of the range up to the tail below which the percentiles lie in a field without objects."""


class Normalization(BaseModel):
    """How raw intensities become the numbers that the network sees.

    Each channel is mapped linearly so that its low percentile becomes 0 and its high percentile
    becomes 1; values outside are kept. The percentiles are those of the whole plane or volume (per
    channel; per plane over time), never of a tile. RGB images have one range for all three
    channels, so that stain colours survive.

    Two cases in which percentiles mislead are handled. In a nearly empty field the high
    percentile lies in the background noise; there the far tail of the histogram is used instead.
    In an empty one that would blow up the noise to full contrast; hence the range is at least
    `noise_floor` times the noise, estimated from differences of neighbouring pixels.

    Parameters
    ----------
    low, high
        Percentiles, 0 to 100.
    noise_floor
        The range is never smaller than this many standard deviations of the noise.
    manual
        Fixed (low, high) raw values, the same for every channel and image, instead of percentiles.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["percentile", "manual", "none"] = "percentile"
    low: float = 1.0
    high: float = 99.8
    noise_floor: float = 10.0
    manual: IntensityRange | None = None

    @model_validator(mode="after")
    def _check(self) -> Normalization:
        if not 0 <= self.low < self.high <= 100:
            raise SettingsError(
                f"Percentiles {self.low} and {self.high}: expected 0 <= low < high <= 100."
            )
        if (self.mode == "manual") != (self.manual is not None):
            raise SettingsError("Give a manual range together with mode='manual', and only then.")
        if self.manual is not None and not -np.inf < self.manual[0] < self.manual[1] < np.inf:
            raise SettingsError(
                f"Manual range {self.manual}: expected two finite numbers, the low value first."
            )
        if not 0 <= self.noise_floor < np.inf:
            raise SettingsError(f"Noise floor {self.noise_floor}: expected 0 or more, such as 10.")
        return self

    def ranges(self, image: Any, rgb: bool = False, name: str = "image") -> list[IntensityRange]:
        """Find the range of each channel.

        Parameters
        ----------
        image
            Raw values, axes CYX or CZYX; numpy or dask (read chunk by chunk).
        rgb
            Whether the channels are red, green and blue.
        name
            What an error message calls the image.

        Returns
        -------
        list of (float, float)
            One (low, high) per channel; low equals high in a constant channel.

        Raises
        ------
        ImageError
            When there are NaN or infinite values.
        """
        if self.mode != "percentile":
            for channel in image:
                for block in _blocks(channel) if channel.dtype.kind == "f" else ():
                    _check_finite(block, name)
            return [self.manual or (0.0, 1.0)] * image.shape[0]
        if rgb:
            return [self._range(image, name)] * image.shape[0]
        return [self._range(channel, name) for channel in image]

    def __call__(
        self, image: NDArray[Any], rgb: bool = False, name: str = "image"
    ) -> NDArray[np.float32]:
        """Normalise a whole plane or volume; axes CYX or CZYX, float32 out."""
        return apply_ranges(image, self.ranges(image, rgb, name))

    def _range(self, values: Any, name: str) -> IntensityRange:
        levels, counts = _histogram(values, name)
        low, high, tail = _percentiles(levels, counts, (self.low, self.high, _TAIL_PERCENTILE))
        floor = max(self.noise_floor * _noise(values), _SMALLEST_SHARE * (tail - low))
        if high - low < floor:
            high = max(tail, low + floor)
        if high <= low:
            high = float(levels[-1])
        return float(low), float(high)


def apply_ranges(image: NDArray[Any], ranges: list[IntensityRange]) -> NDArray[np.float32]:
    """Map each channel linearly: low becomes 0, high becomes 1; a constant channel becomes 0.

    Parameters
    ----------
    image
        Raw values, axes CYX or CZYX.
    ranges
        One (low, high) per channel.
    """
    out = np.empty(image.shape, np.float32)
    for channel, (low, high) in enumerate(ranges):
        scale = 1.0 / (high - low) if high > low else 0.0
        out[channel] = (image[channel].astype(np.float64) - low) * scale
    return out


def _histogram(values: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Distinct levels in rising order, and how often each occurs.

    Exact for up to 16 bits, whatever the size; other types are sampled on a grid above 16
    million pixels.
    """
    if values.dtype.kind == "b" or (values.dtype.kind in "ui" and values.dtype.itemsize <= 2):
        offset = 0 if values.dtype.kind == "b" else int(np.iinfo(values.dtype).min)
        bins = 2 if values.dtype.kind == "b" else 1 << (8 * values.dtype.itemsize)
        counts = np.zeros(bins, np.int64)
        for block in _blocks(values):
            counts += np.bincount(block.astype(np.int64).ravel() - offset, minlength=bins)
        levels = np.flatnonzero(counts)
        return levels + offset, counts[levels]
    for block in _blocks(values):
        _check_finite(block, name)
    step = int(np.ceil((values.size / _MOST_SAMPLES) ** (1 / 2)))
    sample = np.asarray(values[..., ::step, ::step])
    return np.unique(sample, return_counts=True)


def _percentiles(
    levels: NDArray[Any], counts: NDArray[Any], percentiles: tuple[float, ...]
) -> list[float]:
    """Percentiles from a histogram: the level below which that share of the pixels lies."""
    cumulated = np.cumsum(counts)
    ranks = np.asarray(percentiles) / 100 * (cumulated[-1] - 1)
    return [float(levels[i]) for i in np.searchsorted(cumulated, ranks, side="right")]


def _noise(values: Any) -> float:
    """Estimate the noise: its standard deviation, from the differences of neighbours along X.

    Source: the median absolute deviation of a normal distribution is 0.6745 sigma, and a
    difference of two pixels has sqrt(2) times the noise of one. Of noise of about a grey
    level the median knows little; there it is told from edges by its sign: two successive
    differences of white noise have the covariance -sigma^2, those of an edge 0 or more.
    """
    step = max(1, int(np.ceil(values.size / _MOST_SAMPLES)))
    rows = np.asarray(values[..., ::step, :]).astype(np.float32)
    if rows.shape[-1] < 3:
        return 0.0
    difference = np.diff(rows, axis=-1)
    typical = float(np.median(np.abs(difference)))
    noise = typical / (0.6745 * 2**0.5)
    grey_level = np.min(difference, initial=np.inf, where=difference > 0)
    if typical > 2 * grey_level:
        return noise
    covariance = np.mean(difference[..., 1:] * difference[..., :-1], dtype=np.float64)
    return max(noise, float(np.sqrt(max(0.0, -float(covariance)))))


def _blocks(values: Any) -> Any:
    """Read an array along its second-last axis in blocks of bounded size."""
    rows = max(1, _MOST_SAMPLES // max(1, values.size // values.shape[-2]))
    for start in range(0, values.shape[-2], rows):
        yield np.asarray(values[..., start : start + rows, :])


def _check_finite(block: NDArray[Any], name: str) -> None:
    if block.dtype.kind != "f":
        return
    largest = min(_LARGEST, float(np.finfo(block.dtype).max))
    bad = int(block.size - (np.abs(block) <= largest).sum())
    if bad:
        raise ImageError(
            f"'{name}' holds {bad} values that are NaN or infinite (or beyond {_LARGEST:g}): "
            "expected finite numbers. Replace them, for example with numpy.nan_to_num."
        )
