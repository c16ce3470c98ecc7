"""Intensity normalisation over the whole image, identical in training and prediction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from napari_unet.core.errors import ImageError, SettingsError

if TYPE_CHECKING:
    pass

__all__ = ["IntensityRange", "Normalization", "apply_ranges"]

IntensityRange = tuple[float, float]
"""Raw values that are mapped to 0 and 1; the first is larger if an image is inverted."""

_MOST_SAMPLES = 1 << 24
_TAIL_PERCENTILE = 99.999

_LARGEST = 1e30
"""Larger values usually mean "no data", and their differences overflow float32."""

_SMALLEST_SHARE = 0.02
"""Percentiles that span a smaller fraction of the range up to the tail are background only.

It is not larger, although nuclei in a sparse field with a bright gradient then reach values of up
to 8: their histogram looks like that of nuclei beside debris ten times as bright, which must not be
dimmed to 0.1.
"""


class Normalization(BaseModel):
    """Mapping of raw intensities to network input.

    Each channel is mapped linearly so that its low percentile becomes 0 and its high percentile
    becomes 1; values outside are not clipped. The percentiles are computed per channel over the
    whole image, never over a tile: a depth stack has one range, even if a 2-D network processes it
    plane by plane, and each time point has its own. RGB images have one range for all three
    channels, to preserve stain colours.

    Two cases in which percentiles mislead are handled. In a nearly empty field, the high percentile
    is background noise, so the far tail of the histogram is used instead. In an empty field, that
    would amplify the noise to full contrast, so the range is at least `noise_floor` times the
    noise, estimated from differences of neighbouring pixels.

    Parameters
    ----------
    low, high
        Percentiles, 0 to 100.
    noise_floor
        Smallest range, in standard deviations of the noise.
    manual
        Fixed (low, high) raw values, the same for every channel and image, instead of percentiles.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import Normalization
    >>> image = np.linspace(0, 1000, 64 * 64).reshape(64, 64)
    >>> Normalization(mode="manual", manual=(0, 500)).ranges(image[np.newaxis])
    [(0.0, 500.0)]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

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
            raise SettingsError("A manual range requires mode='manual', and vice versa. Set both.")
        if self.manual is not None and not -np.inf < self.manual[0] < self.manual[1] < np.inf:
            raise SettingsError(
                f"Manual range {self.manual}: expected two finite numbers, the low value first."
            )
        if not 0 <= self.noise_floor < np.inf:
            raise SettingsError(f"Noise floor {self.noise_floor}: expected 0 or more, such as 10.")
        return self

    def ranges(
        self, image: Any, rgb: bool = False, name: str = "image", inverted: bool = False
    ) -> list[IntensityRange]:
        """Compute the range of each channel.

        Parameters
        ----------
        image
            Raw values, axes CYX or CZYX; numpy or dask (read chunk by chunk).
        rgb
            Whether the channels are red, green and blue.
        name
            Name of the image in error messages.
        inverted
            Whether the image is inverted: the ranges are those of its negative.

        Returns
        -------
        list of (float, float)
            One (low, high) per channel; low equals high if the channel is constant, and exceeds it
            if the image is inverted.

        Raises
        ------
        ImageError
            If the image has NaN or infinite values.
        """
        if self.mode != "percentile":
            for _, block in _blocks(image) if image.dtype.kind == "f" else ():
                _check_finite(block, name)
            low, high = self.manual or (0.0, 1.0)
            return [(high, low) if inverted else (low, high)] * image.shape[0]
        if rgb:
            return [self._range(image, name, inverted)] * image.shape[0]
        return [self._range(channel, name, inverted) for channel in image]

    def __call__(
        self, image: NDArray[Any], rgb: bool = False, name: str = "image"
    ) -> NDArray[np.float32]:
        """Normalise a whole plane or volume (axes CYX or CZYX) to float32."""
        return apply_ranges(image, self.ranges(image, rgb, name))

    def _range(self, values: Any, name: str, inverted: bool = False) -> IntensityRange:
        sample = _sample(values, name)
        levels, counts = sample.levels, sample.counts
        if inverted:
            levels, counts = -levels[::-1].astype(np.float64), counts[::-1]
        low, high, tail = _percentiles(levels, counts, (self.low, self.high, _TAIL_PERCENTILE))
        floor = max(self.noise_floor * _noise(sample.rows), _SMALLEST_SHARE * (tail - low))
        if high - low < floor:
            high = max(tail, low + floor)
        if high <= low:
            high = float(levels[-1])
        return (-float(low), -float(high)) if inverted else (float(low), float(high))


def apply_ranges(image: NDArray[Any], ranges: list[IntensityRange]) -> NDArray[np.float32]:
    """Map each channel linearly: low becomes 0, high becomes 1; a constant channel becomes 0.

    If low exceeds high, the channel is inverted.

    Parameters
    ----------
    image
        Raw values, axes CYX or CZYX.
    ranges
        One (low, high) per channel.
    """
    out = np.empty(image.shape, np.float32)
    for channel, (low, high) in enumerate(ranges):
        scale = 1.0 / (high - low) if high != low else 0.0
        out[channel] = (image[channel].astype(np.float64) - low) * scale
    return out


class _Sample(NamedTuple):
    """Sample of a channel: its levels, their counts, and some rows to estimate the noise."""

    levels: NDArray[Any]
    counts: NDArray[Any]
    rows: NDArray[np.float32]


def _sample(values: Any, name: str) -> _Sample:
    """Read a channel once, in blocks, and sample it in bounded memory.

    Levels of up to 16 bits are counted exactly, whatever the image's size. Other types are sampled
    on a grid, and every n-th row is kept, so that each sample has about 16 million pixels.
    """
    few_levels = values.dtype.kind == "b" or (
        values.dtype.kind in "ui" and values.dtype.itemsize <= 2
    )
    least = int(np.iinfo(values.dtype).min) if values.dtype.kind == "i" else 0
    every = max(1, int(np.ceil((values.size / _MOST_SAMPLES) ** (1 / 2))))
    every_row = max(1, int(np.ceil(values.size / _MOST_SAMPLES)))
    counts = np.zeros(1 << (8 * values.dtype.itemsize) if few_levels else 0, np.int64)
    grid, rows = [], []
    for first_row, block in _blocks(values):
        _check_finite(block, name)
        if few_levels:
            counts += np.bincount(block.astype(np.int64).ravel() - least, minlength=len(counts))
        else:
            grid.append(block[-first_row % every :: every, ::every].ravel())
        rows.append(block[-first_row % every_row :: every_row].astype(np.float32))
    if few_levels:
        levels = np.flatnonzero(counts)
        counts = counts[levels]
        levels += least
    else:
        levels, counts = np.unique(np.concatenate(grid), return_counts=True)
    return _Sample(levels, counts, np.concatenate(rows))


def _percentiles(
    levels: NDArray[Any], counts: NDArray[Any], percentiles: tuple[float, ...]
) -> list[float]:
    """Compute percentiles from a histogram: the levels below which these shares of pixels are."""
    cumulated = np.cumsum(counts)
    ranks = np.asarray(percentiles) / 100 * (cumulated[-1] - 1)
    return [float(levels[i]) for i in np.searchsorted(cumulated, ranks, side="right")]


def _noise(rows: NDArray[np.float32]) -> float:
    """Estimate the noise's standard deviation from the differences of neighbours along X.

    The median absolute deviation of a normal distribution is 0.6745 sigma, and the difference of
    two pixels has sqrt(2) times the noise of one. For noise of about one grey level the median is
    too coarse; the covariance of successive differences then separates noise from edges: it is
    -sigma^2 for white noise, and 0 or more at an edge.
    """
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


def _blocks(values: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield the blocks, of bounded size, of an array (..., Y, X), plane by plane.

    Yields
    ------
    first_row, block
        Position of the block along Y, and its values, axes YX.
    """
    height, width = values.shape[-2:]
    rows = max(1, _MOST_SAMPLES // width)
    for index in np.ndindex(*values.shape[:-2]):
        for start in range(0, height, rows):
            yield start, np.asarray(values[(*index, slice(start, start + rows))])


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
