"""Measurements of segmented objects: the rows of ``objects.csv`` and ``summary.csv``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation.metrics import distinct_names
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.labels import checked_labels
from napari_unet.core.images.units import um_per_px

__all__ = ["find_centroids", "measure_objects", "median_diameter_px", "summarise_objects"]

_SLAB_PX = 2**22
"""Pixels measured at a time, so that memory use does not depend on the size of the image."""


def measure_objects(
    labels: Any,
    image: Image | None = None,
    *,
    pixel_size: PixelSize | None = None,
    confidence: Mapping[int, float] | ArrayLike | None = None,
    file: str | None = None,
    ndim: int = 2,
) -> list[dict[str, Any]]:
    """Measure every object of an image or stack.

    Parameters
    ----------
    labels
        Object ids, 0 is background: integers with the axes of the image except C, in TZYX order.
        Read in slabs, so a dask, zarr or memory-mapped array need not fit into memory.
    image
        Image of the labels, for the mean of each channel (raw values).
    pixel_size
        Pixel size; None: that of `image`, if it has one.
    confidence
        Confidence by id: a mapping, or an array whose entry ``i`` belongs to id ``i``.
    file
        Content of the column ``file``; None: the name of the image.
    ndim
        2: planes are measured one by one; 3: volumes.

    Returns
    -------
    list of dict
        One row per object and plane, ordered by plane and id: ``file, plane, id, area_px,
        area_um2, centroid_y, centroid_x, mean_<channel>, touches_border, confidence``. Centroids
        are in pixels. ``area_um2`` is included if the pixel size is known in a unit of length,
        ``mean_...`` with an image, ``confidence`` if it is passed. Volumes have ``volume_px`` and
        ``volume_um3`` instead of the area, and a ``centroid_z``.

    Raises
    ------
    LabelsError
        If the array is not labels or does not fit the image.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import PixelSize, measure_objects
    >>> labels = np.zeros((32, 32), np.uint8)
    >>> labels[4:8, 10:20] = 1
    >>> (row,) = measure_objects(labels, pixel_size=PixelSize((0.5, 0.5), "µm"))
    >>> row["area_px"], row["area_um2"], row["centroid_y"]
    (40, 10.0, 5.5)
    """
    labels = labels if hasattr(labels, "shape") else np.asarray(labels)
    _check(labels, image, ndim)
    pixel_size = pixel_size or (image.pixel_size if image else None)
    size_um = None if pixel_size is None else um_per_px(pixel_size)
    names = [f"mean_{name}" for name in _channel_names(image)]
    head = {"file": file if file is not None else (image.name if image else "")}
    rows = []
    for position, plane, channels in _planes(labels, image, ndim):
        found = _measure_plane(plane, channels)
        where = " ".join(f"{axis}={index}" for axis, index in position.items())
        for row in found.rows(names, size_um, confidence):
            rows.append({**head, "plane": where, **row})
    return rows


def summarise_objects(
    rows: Sequence[Mapping[str, Any]], file: str, *, um_known: bool = False
) -> dict[str, Any]:
    """Summarise the objects of one image in one row.

    Parameters
    ----------
    rows
        Rows of `measure_objects`; may be empty.
    file
        Name of the image.
    um_known
        Whether the pixel size is known, so that an image without objects gets areas in µm² too.

    Returns
    -------
    dict
        ``file, objects, objects_inside`` (those that do not touch the border), ``objects_at_border,
        area_px_total, area_px_median`` and, with a pixel size, ``area_um2_total,
        area_um2_median``. Totals include all objects, medians only those that do not touch the
        border, as the others are cut off. The median is None if there is no such object.
    """
    inside = [row for row in rows if not row["touches_border"]]
    summary: dict[str, Any] = {
        "file": file,
        "objects": len(rows),
        "objects_inside": len(inside),
        "objects_at_border": len(rows) - len(inside),
    }
    columns = [c for c in ("area_px", "volume_px") if rows and c in rows[0]] or ["area_px"]
    columns += [c for c in ("area_um2", "volume_um3") if rows and c in rows[0]]
    if um_known and not rows:
        columns.append("area_um2")
    for column in columns:
        summary[f"{column}_total"] = sum(row[column] for row in rows)
        values = [row[column] for row in inside]
        summary[f"{column}_median"] = float(np.median(values)) if values else None
    return summary


def find_centroids(
    labels: NDArray[Any], ids: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Find the centres of mass and the sizes of the objects with the given ids.

    Returns
    -------
    centroids
        Centroids in pixels, shape (ids, dimensions), in the order of the axes.
    areas
        Number of pixels, shape (ids,).
    """
    found = _measure_plane(labels, None)
    place = np.searchsorted(found.ids, ids)
    return found.centroid[place], found.area[place]


def median_diameter_px(area_px: ArrayLike) -> float:
    """Compute the median diameter of circles with these areas; expects at least one area."""
    return float(np.median(2 * np.sqrt(np.asarray(area_px) / np.pi)))


@dataclass(frozen=True)
class _Found:
    """Measurements of the objects of one plane or volume."""

    ids: NDArray[np.intp]
    area: NDArray[np.intp]
    centroid: NDArray[np.float64]
    mean: NDArray[np.float64]
    at_border: NDArray[np.bool_]

    def rows(
        self,
        mean_names: Sequence[str],
        size_um: tuple[float, ...] | None,
        confidence: Mapping[int, float] | ArrayLike | None,
    ) -> Iterator[dict[str, Any]]:
        """Yield one row per object."""
        ndim = self.centroid.shape[1]
        size, unit = ("area", "um2") if ndim == 2 else ("volume", "um3")
        pixel_um = None if size_um is None or len(size_um) < ndim else np.prod(size_um[-ndim:])
        for i, object_id in enumerate(self.ids.tolist()):
            row: dict[str, Any] = {"id": object_id, f"{size}_px": int(self.area[i])}
            if pixel_um is not None:
                row[f"{size}_{unit}"] = float(self.area[i] * pixel_um)
            for axis, value in zip("zyx"[-ndim:], self.centroid[i].tolist(), strict=True):
                row[f"centroid_{axis}"] = value
            row.update(zip(mean_names, self.mean[:, i].tolist(), strict=True))
            row["touches_border"] = bool(self.at_border[i])
            if confidence is not None:
                row["confidence"] = _confidence_of(confidence, object_id)
            yield row


def _measure_plane(labels: Any, channels: Any | None) -> _Found:
    """Measure one plane (YX) or volume (ZYX), a slab of its first axis at a time."""
    ids = _find_ids(labels)
    n = ids.size
    area, at_border = np.zeros(n, np.intp), np.zeros(n, bool)
    sums = np.zeros((labels.ndim, n))
    totals = np.zeros((0 if channels is None else len(channels), n))
    top = int(ids[-1]) if n else 0
    table = np.zeros(top + 1, np.intp) if top < 2**26 else None
    if table is not None:
        table[ids] = np.arange(n)
    for slab in _slabs(labels.shape):
        values = np.asarray(labels[slab])
        where = np.nonzero(values)
        flat = values[where]
        place = np.searchsorted(ids, flat) if table is None else table[flat]
        area += np.bincount(place, minlength=n)
        at_border[place[_on_border(where, slab.start, labels.shape)]] = True
        for axis, index in enumerate(where):
            sums[axis] += np.bincount(place, weights=index, minlength=n)
        sums[0] += slab.start * np.bincount(place, minlength=n)
        for c in range(len(totals)):
            pixels = np.asarray(channels[c][slab])[where] if channels is not None else 0
            totals[c] += np.bincount(place, weights=pixels, minlength=n)
    return _Found(ids, area, (sums / area).T, totals / area, at_border)


def _on_border(
    where: tuple[NDArray[np.intp], ...], start: int, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return whether pixels are on the Y or X border; Z is ignored, as few volumes are deep."""
    y, x = where[-2] + (start if len(shape) == 2 else 0), where[-1]
    return np.isin(y, (0, shape[-2] - 1)) | np.isin(x, (0, shape[-1] - 1))


def _find_ids(labels: Any) -> NDArray[np.intp]:
    slabs = _slabs(labels.shape)
    top = max((int(checked_labels(labels[slab]).max(initial=0)) for slab in slabs), default=0)
    if top < 2**26:
        seen = np.zeros(top + 1, bool)
        for slab in slabs:
            seen[np.asarray(labels[slab]).ravel()] = True
        seen[0] = False
        return np.flatnonzero(seen)
    found = [np.unique(np.asarray(labels[slab])) for slab in slabs]
    ids = np.unique(np.concatenate(found)).astype(np.intp)
    return ids[ids > 0]


def _slabs(shape: tuple[int, ...]) -> list[slice]:
    step = max(1, _SLAB_PX // max(1, int(np.prod(shape[1:]))))
    return [slice(i, min(i + step, shape[0])) for i in range(0, shape[0], step)]


def _planes(
    labels: Any, image: Image | None, ndim: int
) -> Iterator[tuple[dict[str, int], Any, Any | None]]:
    """Yield position, labels (YX or ZYX) and channels (C first) of each plane or volume."""
    if image is not None:
        for position, channels in image.planes(ndim):
            yield position, labels[tuple(position.values())], channels
        return
    leading = labels.shape[: labels.ndim - ndim]
    axes = {0: (), 1: ("T",) if ndim == 3 else ("plane",), 2: ("T", "Z")}[len(leading)]
    for index in itertools.product(*(range(n) for n in leading)):
        yield dict(zip(axes, index, strict=True)), labels[index], None


def _check(labels: Any, image: Image | None, ndim: int) -> None:
    if image is not None and tuple(labels.shape) != image.label_shape:
        raise LabelsError(
            f"The labels have shape {tuple(labels.shape)} and the image '{image.name}' "
            f"{image.label_shape} ({image.label_axes}): expected the same. Choose the labels that "
            "belong to this image."
        )
    if not ndim <= labels.ndim <= 4:
        raise LabelsError(
            f"The labels have {labels.ndim} dimension(s): expected {ndim} to 4, with axes from "
            "TZYX. Choose other labels."
        )


def _channel_names(image: Image | None) -> list[str]:
    if image is None:
        return []
    if image.rgb:
        return ["red", "green", "blue"]
    names = image.channel_names or map(str, range(image.channels))
    return list(distinct_names(dict(enumerate(names))).values())


def _confidence_of(confidence: Mapping[int, float] | ArrayLike, object_id: int) -> float | None:
    if isinstance(confidence, Mapping):
        value = confidence.get(object_id)
    else:
        array = np.asarray(confidence)
        value = array[object_id] if object_id < array.size else None
    return None if value is None else float(value)
