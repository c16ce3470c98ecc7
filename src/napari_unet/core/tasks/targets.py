"""Targets of instance segmentation: foreground, relative distance and offset to the centre."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.images.labels import Labels, consecutive

__all__ = ["Objects", "local_extreme"]

N = TypeVar("N", bound=np.generic)

_USUAL_DIAMETER_PX = 22.5
_CONTACT_PX = 2


class Objects:
    """The objects in labels, and the targets computed from them.

    Methods return one value per pixel of `pixels`, in the same order, unless stated otherwise.

    Parameters
    ----------
    labels
        Axes YX or ZYX; each id except 0 is an object.

    Attributes
    ----------
    pixels
        Flat indices of all pixels of objects, ascending.
    owner
        Number of the object of each of these pixels: its id, unless ids exceed the number of
        pixels.
    area
        Number of pixels of each object number from 0, at least 1.
    """

    def __init__(self, labels: Labels) -> None:
        if int(labels.max(initial=0)) > labels.size:
            labels = consecutive(labels)[0]
        # The smallest type for speed, because the network waits for the targets of every patch.
        self._numbers = labels.astype(np.min_scalar_type(int(labels.max(initial=0)) + 1))
        self.pixels: NDArray[np.intp] = np.flatnonzero(self._numbers > 0)
        self.owner: NDArray[np.intp] = self._numbers.ravel()[self.pixels].astype(np.intp)
        self.area: NDArray[np.intp] = np.maximum(np.bincount(self.owner, minlength=1), 1)

    def relative_distance(self) -> NDArray[np.float32]:
        """Compute the distance to the nearest pixel of another id, relative to the largest.

        The largest distance is that in the same object. The result is 1 everywhere if one object
        fills the whole array.
        """
        labels = self._numbers
        interior = labels > 0
        for axis in range(labels.ndim):
            ahead = tuple(slice(1, None) if a == axis else slice(None) for a in range(labels.ndim))
            behind = tuple(slice(-1) if a == axis else slice(None) for a in range(labels.ndim))
            same = labels[ahead] == labels[behind]
            interior[ahead] &= same
            interior[behind] &= same
        # Outline pixels are at distance 1 from the outside, so 1 is added to the distance to them.
        distance = (_distance(interior).ravel()[self.pixels] + 1).astype(np.float32)
        largest = np.ones(self.area.size, np.float32)
        np.maximum.at(largest, self.owner, distance)
        relative: NDArray[np.float32] = distance / largest[self.owner]
        return relative

    def offsets_to_centre(self) -> NDArray[np.float32]:
        """Compute the vector from each pixel to its object's centroid in px, (ndim, pixels)."""
        offsets = np.empty((self._numbers.ndim, self.pixels.size), np.float32)
        positions = np.unravel_index(self.pixels, self._numbers.shape)
        for offset, position in zip(offsets, positions, strict=True):
            centre = np.bincount(self.owner, weights=position, minlength=1) / self.area
            offset[:] = centre[self.owner] - position
        return offsets

    def smallness(self) -> NDArray[np.float32]:
        """Compute how much smaller than usual each pixel's object is; above 1 for small objects.

        It is 22.5 px divided by the diameter of a disc or ball of the object's size. A nucleus of
        8 px has a tenth of the pixels of one of 25 px, so it would hardly count in a mean over
        pixels, although it is equally important.
        """
        size = np.maximum(self.area, 16)
        flat = self._numbers.ndim == 2
        diameter = np.sqrt(4 / np.pi * size) if flat else np.cbrt(6 / np.pi * size)
        relative = (_USUAL_DIAMETER_PX / diameter).astype(np.float32)
        return relative[self.owner]

    def contact_zone(self) -> NDArray[np.bool_]:
        """Find where objects touch or nearly touch, with a rim, as a mask with the labels' axes.

        These pixels determine whether objects are merged.
        """
        largest = local_extreme(self._numbers, np.maximum, _CONTACT_PX)
        above_all = self._numbers.dtype.type(self.area.size)
        background_last = np.where(self._numbers == 0, above_all, self._numbers)
        smallest = local_extreme(background_last, np.minimum, _CONTACT_PX)
        return local_extreme(smallest < largest, np.logical_or, 1)

    def partly_outlined(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return for each pixel whether its object touches the outside of the annotated area."""
        from scipy import ndimage

        touching = np.zeros(self.area.size, bool)
        touching[self._numbers[ndimage.binary_dilation(~inside)]] = True
        return touching[self.owner]


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute the distance of each true pixel to the nearest false one; constant if none is."""
    if mask.ndim == 2:
        import mahotas  # several times faster than SciPy, and the network waits for it

        distance: NDArray[np.float64] = mahotas.distance(mask, "euclidean")
    elif mask.all():
        distance = np.zeros(mask.shape)
    else:
        from scipy.ndimage import distance_transform_edt

        distance = distance_transform_edt(mask)
    return distance


def local_extreme(values: NDArray[N], of_two: np.ufunc, radius_px: int) -> NDArray[N]:
    """Replace each pixel by the extreme value in a square (or cube) around it.

    Equivalent to `scipy.ndimage.maximum_filter` and similar filters, but three to ten times faster
    for small windows. It is computed for each patch while the network waits.

    Parameters
    ----------
    values
        Array of any axes; pixels beyond the edges are ignored.
    of_two
        Function that chooses between two values: `numpy.maximum`, `numpy.minimum` or
        `numpy.logical_or`.
    radius_px
        Extent of the window to either side in pixels.

    Returns
    -------
    array
        Array of the same shape and type.
    """
    for axis in range(values.ndim):
        result = values.copy()
        for shift in range(1, radius_px + 1):
            ahead = (slice(None),) * axis + (slice(shift, None),)
            behind = (slice(None),) * axis + (slice(-shift),)
            of_two(result[ahead], values[behind], out=result[ahead])
            of_two(result[behind], values[ahead], out=result[behind])
        values = result
    return values
