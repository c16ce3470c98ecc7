"""A look at parts of an image through the network, to learn how well it recognises them.

A network that sees objects of the size and the contrast it was trained on agrees with itself: the
objects that are decoded from its outputs, encoded again, give these outputs. Of fragments of
objects that are too large, and of gaps taken for objects, they do not.
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
"""Side of a window as the network sees it."""

_WINDOWS = 3
_RECOGNISED = 0.5
"""Quality from which an object counts: about what decoders keep."""

_OVERVIEW_PX = 256
_THINNED = 8
"""Of a plane that is larger, every so many-th pixel is enough for the overview."""
_AROUND_PX = 8.0
"""Width of what a place is compared with, in pixels of the overview."""


@dataclass(frozen=True)
class TrialPlane:
    """A plane to look at.

    Parameters
    ----------
    values
        Raw values, axes CYX; read only where a window lies.
    ranges
        Intensity range of each channel; low above high where it is inverted.
    """

    values: Any
    ranges: Sequence[IntensityRange]

    @cached_property
    def stands_out(self) -> Maps:
        """How much each place differs from what is around it, on a small picture of the plane."""
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
    """What was found in some windows at one scale; objects cut by a window's edge do not count.

    Parameters
    ----------
    scale
        By which factor the windows were enlarged.
    area_px
        Area of each object on the image's own grid.
    quality
        How well the network agrees with itself in each object, 0 to 1.
    looked_at_px
        Area of all windows on the image's own grid.
    """

    scale: float
    area_px: NDArray[np.float64]
    quality: NDArray[np.float64]
    looked_at_px: int

    @property
    def diameter_px(self) -> float | None:
        """Median diameter of circles of the objects' areas; None where there is none.

        Specks of noise that are not recognised, of which there may be more than objects, do not
        count where there is anything else.
        """
        if not len(self.area_px):
            return None
        recognised = self.area_px[self.quality >= _RECOGNISED]
        return median_diameter_px(recognised if len(recognised) else self.area_px)

    @property
    def mean_quality(self) -> float:
        """Quality of a pixel of an object; 0 where there is none."""
        total = float(self.area_px.sum())
        return float((self.quality * self.area_px).sum()) / total if total else 0.0

    @property
    def explained(self) -> float:
        """Share of the windows that is covered by objects, each weighted with its quality."""
        return float((self.quality * self.area_px).sum()) / max(1, self.looked_at_px)


def probe_scale(
    network: Callable[[Maps], Maps], task: Task, planes: Sequence[TrialPlane], scale: float
) -> Trial:
    """Look at the most promising windows of some planes.

    Parameters
    ----------
    network
        Gives the outputs (channels, Y, X) of a normalised image (C, Y, X).
    task
        Decodes them; what does not agree counts here, too.
    planes
        Planes of one image, of one shape.
    scale
        By which factor they are enlarged for the network.
    """
    task = task.keeping_all_objects()
    areas, qualities, looked_at = [np.empty(0)], [np.empty(0)], 0
    for plane in planes:
        for window in find_windows(plane, round(_SIDE_PX / scale), -(-_WINDOWS // len(planes))):
            part = np.asarray(plane.values[(slice(None), *window)])
            seen = scaled_shape(part.shape[1:], scale)
            if seen != part.shape[1:]:
                part = rescaled(part, seen).compute(scheduler="synchronous")
            area, quality = _recognised(network(apply_ranges(part, list(plane.ranges))), task)
            own = [s.stop - s.start for s in window]
            areas.append(area * (own[0] * own[1] / (seen[0] * seen[1])))
            qualities.append(quality)
            looked_at += own[0] * own[1]
    return Trial(scale, np.concatenate(areas), np.concatenate(qualities), looked_at)


def find_windows(plane: TrialPlane, side_px: int, most: int) -> list[Window]:
    """Find where most happens, the best window first.

    Parameters
    ----------
    plane
        Where to look.
    side_px
        Height and width of a window; less where the plane is smaller.
    most
        How many windows at most.

    Returns
    -------
    list of (slice, slice)
        Along Y and X.
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
    """Where windows begin that cover a length, overlapping as little as that takes."""
    count = -(-length // side)
    return [i * (length - side) // max(1, count - 1) for i in range(count)]


def _recognised(outputs: Maps, task: Task) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area (of the network's pixels) and quality of each object that no edge cuts."""
    labels = task.decode(outputs)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    ids = np.setdiff1d(np.arange(1, labels.max(initial=0) + 1), edge)
    if not len(ids):
        return np.empty(0), np.empty(0)
    area = np.bincount(labels.ravel()).astype(np.float64)
    return area[ids], task.object_quality(labels, outputs)[ids - 1]
