"""Trials of the network on parts of an image, to measure how well it recognises objects there.

If objects have the size and contrast of the training images, the outputs of a network are
consistent: encoding the decoded objects reproduces the outputs. For fragments of objects that are
too large, and for gaps mistaken for objects, it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.evaluation.measure import median_diameter_px
from napari_unet.core.images.normalization import IntensityRange, apply_ranges
from napari_unet.core.prediction.rescale import rescaled, scaled_shape
from napari_unet.core.tasks.base import Task

__all__ = ["Trial", "TrialPlane", "find_windows", "probe_scale"]

Maps = NDArray[np.float32]
Window = tuple[slice, slice]

_SIDE_PX = 256
"""Side of a window on the network's grid."""

_WINDOWS = 3
_RECOGNISED = 0.5
"""Least quality of an object that counts: about what decoders keep."""

_OVERVIEW_PX = 256
_THINNED = 8
"""Planes larger than this many overviews are subsampled rather than read in full."""
_AROUND_PX = 8.0
"""Standard deviation of the smoothing that each place is compared with, in overview pixels."""


@dataclass(frozen=True)
class TrialPlane:
    """A plane for trials.

    Parameters
    ----------
    values
        Raw values, axes CYX; only the windows are read.
    ranges
        Intensity range of each channel; low above high if it is inverted.
    """

    values: Any
    ranges: Sequence[IntensityRange]

    @cached_property
    def stands_out(self) -> Maps:
        """Difference of each place from its surroundings, on a small overview of the plane."""
        from scipy import ndimage

        shape = self.values.shape[1:]
        small = tuple(max(1, round(n * min(1.0, _OVERVIEW_PX / max(shape)))) for n in shape)
        thinned = max(1, max(shape) // (_THINNED * _OVERVIEW_PX))  # a large one is not read whole
        picture = self.values[:, ::thinned, ::thinned]
        if small != shape:
            picture = rescaled(picture, small).compute(scheduler="synchronous")
        picture = apply_ranges(np.asarray(picture), list(self.ranges)).sum(axis=0)
        around = ndimage.gaussian_filter(picture, _AROUND_PX, mode="nearest")
        difference: Maps = np.abs(picture - around)
        return difference


@dataclass(frozen=True)
class Trial:
    """Objects found in some windows at one scale, without those cut by the edge of a window.

    Parameters
    ----------
    scale
        Factor by which the windows were enlarged.
    area_px
        Area of each object on the image's own grid.
    quality
        Consistency of the network's outputs in each object, 0 to 1.
    looked_at_px
        Area of all windows on the image's own grid.
    """

    scale: float
    area_px: NDArray[np.float64]
    quality: NDArray[np.float64]
    looked_at_px: int

    @property
    def diameter_px(self) -> float | None:
        """Median diameter of circles of the objects' areas; None if there are no objects.

        Specks of noise with low quality, which may outnumber objects, are ignored unless nothing
        else was found.
        """
        if not len(self.area_px):
            return None
        recognised = self.area_px[self.quality >= _RECOGNISED]
        return median_diameter_px(recognised if len(recognised) else self.area_px)

    @property
    def mean_quality(self) -> float:
        """Mean quality over the pixels of all objects; 0 if there are no objects."""
        total = float(self.area_px.sum())
        return float((self.quality * self.area_px).sum()) / total if total else 0.0

    @property
    def explained(self) -> float:
        """Share of the windows covered by objects, each weighted by its quality."""
        return float((self.quality * self.area_px).sum()) / max(1, self.looked_at_px)


def probe_scale(
    network: Callable[[Maps], Maps], task: Task, planes: Sequence[TrialPlane], scale: float
) -> Trial:
    """Apply the network to the most structured windows of some planes at one scale.

    Parameters
    ----------
    network
        Computes the outputs (channels, Y, X) of a normalised image (C, Y, X).
    task
        Task that decodes the outputs; objects of low quality are kept here.
    planes
        Planes of one image, all of the same shape.
    scale
        Factor by which the planes are enlarged for the network.
    """
    task = task.keeping_all_objects()
    areas, qualities, looked_at = [np.empty(0)], [np.empty(0)], 0
    for plane in planes:
        for window in find_windows(plane, round(_SIDE_PX / scale), -(-_WINDOWS // len(planes))):
            part = np.asarray(plane.values[(slice(None), *window)])
            seen = scaled_shape(part.shape[1:], scale)
            if seen != part.shape[1:]:
                part = rescaled(part, seen).compute(scheduler="synchronous")
            area, quality = _measure_objects(network(apply_ranges(part, list(plane.ranges))), task)
            own = [s.stop - s.start for s in window]
            areas.append(area * (own[0] * own[1] / (seen[0] * seen[1])))
            qualities.append(quality)
            looked_at += own[0] * own[1]
    return Trial(scale, np.concatenate(areas), np.concatenate(qualities), looked_at)


def find_windows(plane: TrialPlane, side_px: int, most: int) -> list[Window]:
    """Find the windows with most structure, the best one first.

    Parameters
    ----------
    plane
        Plane to search.
    side_px
        Height and width of a window; less if the plane is smaller.
    most
        Largest number of windows.

    Returns
    -------
    list of (slice, slice)
        Windows along Y and X.
    """
    shape, small = plane.values.shape[1:], plane.stands_out.shape
    sides = [min(side_px, n) for n in shape]
    starts = [_starts(n, side) for n, side in zip(shape, sides, strict=True)]
    candidates = []
    for y in starts[0]:
        for x in starts[1]:
            window = slice(y, y + sides[0]), slice(x, x + sides[1])
            in_small = tuple(
                slice(w.start * s // n, max(w.start * s // n + 1, w.stop * s // n))
                for w, s, n in zip(window, small, shape, strict=True)
            )
            candidates.append((float(plane.stands_out[in_small].mean()), window))
    candidates.sort(key=lambda c: -c[0])
    return [window for _, window in candidates[:most]]


def _starts(length: int, side: int) -> list[int]:
    """Return the starts of windows that cover a length with the least overlap."""
    count = -(-length // side)
    return [i * (length - side) // max(1, count - 1) for i in range(count)]


def _measure_objects(outputs: Maps, task: Task) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return area (in pixels of the network's grid) and quality of objects not cut by an edge."""
    labels = task.decode(outputs)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    ids = np.setdiff1d(np.arange(1, labels.max(initial=0) + 1), edge)
    if not len(ids):
        return np.empty(0), np.empty(0)
    area = np.bincount(labels.ravel()).astype(np.float64)
    return area[ids], task.object_quality(labels, outputs)[ids - 1]
