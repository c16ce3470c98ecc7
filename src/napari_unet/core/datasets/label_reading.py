"""Reading of the labels and the annotated area of one image."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.datasets.label_repair import repair_labels
from napari_unet.core.errors import LabelsError
from napari_unet.core.io.image_files import labels_of_array, read_label_array

__all__ = ["combine_masks", "read_area", "read_truth"]

_log = logging.getLogger(__name__)


def read_truth(
    paths: Sequence[Path], axes: str | None = None, repair: Collection[str] = (), name: str = ""
) -> NDArray[Any]:
    """Read the labels of an image, each file once.

    Parameters
    ----------
    paths
        Path of the label file, or of several masks of one object each.
    axes
        Axes of a single file, if it does not name them.
    repair
        Kinds of issues to repair, see `napari_unet.core.datasets.label_repair`.
    name
        Name of the image, for the log.

    Raises
    ------
    LabelsError
        If a file cannot be read, or does not hold labels.
    """
    if len(paths) > 1:
        labels, overlap_px = combine_masks(read_label_array(p) for p in paths)
        if overlap_px:
            _log.info("'%s': %d pixels belong to more than one mask", name, overlap_px)
        return repair_labels(labels, repair, is_colour=False) if repair else labels
    array, is_colour = read_label_array(paths[0], axes_if_unnamed=axes)
    grey = is_colour and (array == array[..., :1]).all()
    if repair and (grey or not is_colour or "colours" in repair):
        if grey:
            array = array[..., 0]
        return repair_labels(array, repair, is_colour=is_colour and not grey)
    if is_colour or array.dtype.kind not in "ui":
        return labels_of_array(array, is_colour, paths[0].name)
    return array


def read_area(path: Path, axes: str | None = None) -> NDArray[np.bool_]:
    """Read the annotated area of an image: all pixels above 0.

    Parameters
    ----------
    path
        Path of the mask.
    axes
        Axes of the mask, if the file does not name them.

    Raises
    ------
    LabelsError
        If the file cannot be read.
    """
    array, is_colour = read_label_array(path, axes_if_unnamed=axes)
    return np.asarray((array > 0).any(axis=-1) if is_colour else array > 0)


def combine_masks(masks: Iterable[tuple[NDArray[Any], bool]]) -> tuple[NDArray[np.uint16], int]:
    """Combine masks of one object each into one label image.

    Parameters
    ----------
    masks
        Masks of the same shape as `read_label_array` returns them; values above 0 are the object.

    Returns
    -------
    labels
        1 for the first mask, 2 for the second, ...; if masks overlap, the earlier one is kept.
    overlap_px
        Number of pixels of later masks that overlap an earlier one.

    Raises
    ------
    LabelsError
        If the masks differ in shape or there are more than 65,535.
    """
    labels: NDArray[np.uint16] | None = None
    overlap_px = 0
    for i, (array, is_colour) in enumerate(masks, start=1):
        mask = (array > 0).any(axis=-1) if is_colour else array > 0
        if labels is None:
            labels = np.zeros(mask.shape, np.uint16)
        if mask.shape != labels.shape or i > 65_535:
            raise LabelsError(
                f"Mask {i} has shape {mask.shape}, the first one {labels.shape}: expected up to "
                "65,535 masks of one shape. Check that they belong to one image."
            )
        free = labels == 0
        overlap_px += int((mask & ~free).sum())
        labels[mask & free] = i
    if labels is None:
        raise LabelsError("There are no masks to combine: expected one per object.")
    return labels, overlap_px
