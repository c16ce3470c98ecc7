"""Interchangeable decoders of foreground, distance and offset maps to objects, without torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from napari_unet.core.tasks.adjustments import Adjustable, Threshold
from napari_unet.core.tasks.self_agreement import agreement

__all__ = ["Decoder", "VoteDecoder", "WatershedDecoder", "first_pixels"]

Maps = NDArray[np.float32]
Labels = NDArray[np.integer[Any]]


class _Decoder(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    threshold: Threshold = 0.5
    min_area_px: Annotated[
        int,
        Field(
            ge=0,
            title="Min. area (px)",
            description="Objects with fewer pixels, counted on the grid of the network, are "
            "removed.",
        ),
        Adjustable("--min-area", 0, 1000, 1, unit="px", maximum_in_objects=2),
    ] = 24
    max_radius_px: Annotated[int, Field(ge=4)] = 96
    fill_holes: bool = True
    min_agreement: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def reach_px(self) -> int:
        """Distance from a block's edge within which labels may depend on pixels beyond it."""
        return 2 * self.max_radius_px

    def _tidy(self, labels: Labels, maps: Maps) -> NDArray[np.int32]:
        """Reduce objects to one piece, remove small and inconsistent ones, number the rest."""
        tidy = _pieces(labels, self.min_area_px)
        if self.fill_holes:
            tidy = _without_holes(tidy)
        if not self.min_agreement or not tidy.any():
            return tidy
        keep = np.flatnonzero(agreement(tidy, maps) >= self.min_agreement) + 1
        numbers = np.zeros(int(tidy.max()) + 1, np.int32)
        numbers[keep] = np.arange(1, len(keep) + 1)
        return numbers[tidy]


class VoteDecoder(_Decoder):
    """Decoder in which foreground pixels vote for the centre of their object.

    Each foreground pixel follows its predicted offset `steps` times and votes for the position
    where it arrives. The votes are smoothed, and each local maximum with enough votes is an object.
    Each pixel belongs to the maximum whose basin contains its vote.

    Parameters
    ----------
    threshold
        Probability above which a pixel is foreground.
    steps
        Number of times that a pixel follows the offset at its position.
    smoothing_px
        Standard deviation of the smoothing of the votes.
    min_votes
        Number of votes that a centre needs, as if all were on one pixel.
    min_area_px
        Area in pixels below which objects are removed.
    max_radius_px
        Largest length of an offset; longer ones are shortened.
    fill_holes
        Whether holes in an object are filled.
    min_agreement
        Agreement with the outputs below which objects are removed, such as those found in the
        background of an empty image; see `napari_unet.core.tasks.self_agreement.agreement`. 0 keeps
        all objects.
    """

    kind: Literal["votes"] = "votes"
    steps: Annotated[int, Field(ge=1, le=10)] = 2
    smoothing_px: Annotated[float, Field(gt=0)] = 1.5
    min_votes: Annotated[
        float,
        Field(
            ge=0,
            title="Min. votes",
            description="Each pixel votes for the centre of its object; an object needs at least "
            "this many votes. Higher values merge touching objects, lower values split them.",
        ),
        Adjustable("--min-votes", 0, 200, 1, maximum_in_objects=1),
    ] = 20.0

    @property
    def reach_px(self) -> int:
        """Distance from a block's edge within which labels may depend on pixels beyond it."""
        return self.steps * self.max_radius_px + int(4 * self.smoothing_px + 1)

    def describe(self) -> str:
        """Describe how pixels are grouped, after "pixels were grouped"."""
        return f"by their votes for object centres (at least {self.min_votes:g} votes)"

    def decode(self, maps: Maps) -> Labels:
        """Group pixels into objects.

        Parameters
        ----------
        maps
            Foreground probability, relative distance and offset in px, (2 + ndim, ...).

        Returns
        -------
        array of int32
            Labels: 0 is background; objects are 1, 2, ... in raster order of their first pixels.
        """
        foreground = maps[0] > self.threshold
        pixels = np.stack(np.nonzero(foreground))
        if pixels.shape[1] == 0:
            return np.zeros(foreground.shape, np.int32)
        arrived = self._walk(pixels, maps[2:])
        centres = self._centres(arrived, foreground.shape)
        labels = np.zeros(foreground.shape, np.int32)
        labels[tuple(pixels)] = centres[tuple(arrived)]
        return self._tidy(labels, maps)

    def _walk(self, pixels: NDArray[np.intp], offsets: Maps) -> NDArray[np.intp]:
        """Compute where each pixel arrives, as integer coordinates (ndim, pixels)."""
        far = np.array(offsets.shape[1:])[:, None] - 1
        position = pixels.astype(np.float64)
        at = pixels
        for _ in range(self.steps):
            step = offsets[(slice(None), *at)]
            length = np.sqrt((step**2).sum(axis=0))
            position += step * np.minimum(1, self.max_radius_px / np.maximum(length, 1e-6))
            position = np.clip(position, 0, far)
            # Not rint: it rounds halves to even positions, so a block would be decoded differently
            # from the whole image.
            at = np.floor(position + 0.5).astype(np.intp)
        return at

    def _centres(self, arrived: NDArray[np.intp], shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Find the basins of the smoothed votes around each peak."""
        from scipy import ndimage
        from skimage.segmentation import watershed

        flat = np.ravel_multi_index(tuple(arrived), shape)
        votes = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.float32)
        smooth = ndimage.gaussian_filter(votes, self.smoothing_px, mode="constant")
        # A single pixel with v votes has a smoothed peak of v / (2 pi sigma^2) in two dimensions.
        spread = (2 * np.pi * self.smoothing_px**2) ** (len(shape) / 2)
        apart = max(1, round(self.smoothing_px))
        peaks = smooth == ndimage.maximum_filter(smooth, 2 * apart + 1, mode="constant")
        peaks &= smooth > max(self.min_votes, 1e-3) / spread
        # Connected peaks are labelled together, so that a plateau is one centre.
        seeds, _ = ndimage.label(peaks, np.ones((3,) * len(shape)), output=np.int32)
        basins: NDArray[np.int32] = watershed(-smooth, seeds, mask=smooth > 1e-6)
        return basins


class WatershedDecoder(_Decoder):
    """Decoder by a watershed of the foreground from the peaks of the distance map.

    Parameters
    ----------
    threshold
        Probability above which a pixel is foreground.
    peak_threshold
        Relative distance above which a pixel is part of a peak.
    smoothing_px
        Standard deviation of the smoothing of the distance map.
    min_area_px
        Area in pixels below which objects are removed.
    max_radius_px
        Largest radius of an object in pixels.
    fill_holes
        Whether holes in an object are filled.
    min_agreement
        Agreement with the outputs below which objects are removed, such as those found in the
        background of an empty image; see `napari_unet.core.tasks.self_agreement.agreement`. 0 keeps
        all objects.
    """

    kind: Literal["watershed"] = "watershed"
    peak_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.6
    smoothing_px: Annotated[float, Field(ge=0)] = 1.0

    def describe(self) -> str:
        """Describe how pixels are grouped, after "pixels were grouped"."""
        return "by a watershed of the predicted distance map"

    def decode(self, maps: Maps) -> Labels:
        """Group pixels into objects; see `VoteDecoder.decode` for the arrays."""
        from scipy import ndimage
        from skimage.measure import label
        from skimage.segmentation import watershed

        foreground = maps[0] > self.threshold
        distance = ndimage.gaussian_filter(maps[1], self.smoothing_px)
        seeds = label((distance > self.peak_threshold) & foreground)
        labels = watershed(-distance, seeds, mask=foreground)
        return self._tidy(labels, maps)


Decoder = Annotated[VoteDecoder | WatershedDecoder, Field(discriminator="kind")]


def first_pixels(labels: Labels) -> NDArray[np.intp]:
    """Find the flat index of the first pixel of each id from 0; ids without pixels get the size.

    Of several writes to the same element the last one is kept; in reverse order, that is the first
    pixel.
    """
    first = np.full(int(labels.max(initial=0)) + 1, labels.size)
    pixels = np.flatnonzero(labels)[::-1]
    first[labels.ravel()[pixels]] = pixels
    return first


def _pieces(labels: Labels, smallest_px: int) -> NDArray[np.int32]:
    """Reduce objects to their largest piece, remove small ones, number by first pixels."""
    from skimage.measure import label

    pieces, count = label(labels, connectivity=labels.ndim, return_num=True)
    area = np.bincount(pieces.ravel(), minlength=count + 1)
    first = first_pixels(pieces)  # pieces are numbered in raster order of their first pixels
    owner = labels.ravel()[first[1:]]
    order = np.lexsort((-area[1:], owner))  # the largest piece of each object comes first
    largest = order[np.unique(owner[order], return_index=True)[1]] + 1
    keep = np.sort(largest[area[largest] >= max(1, smallest_px)])
    numbers = np.zeros(count + 1, np.int32)
    numbers[keep] = np.arange(1, len(keep) + 1)
    found: NDArray[np.int32] = numbers[pieces]
    return found


def _without_holes(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Fill each patch of background that is enclosed by a single object."""
    from skimage.measure import label

    holes, count = label(labels == 0, connectivity=1, return_num=True)
    lowest = np.full(count + 1, np.iinfo(np.int32).max, np.int32)
    highest = np.zeros(count + 1, np.int32)
    for axis in range(labels.ndim):
        lines, around = np.moveaxis(holes, axis, 0), np.moveaxis(labels, axis, 0)
        for hole, neighbour in ((lines[1:], around[:-1]), (lines[:-1], around[1:])):
            edge = (hole > 0) & (neighbour > 0)
            np.minimum.at(lowest, hole[edge], neighbour[edge])
            np.maximum.at(highest, hole[edge], neighbour[edge])
        lowest[np.unique(lines[[0, -1]])] = 0  # open towards the edge of the image
    owner = np.where(lowest == highest, highest, 0)
    owner[0] = 0
    filled: NDArray[np.int32] = labels + owner[holes]
    return filled
