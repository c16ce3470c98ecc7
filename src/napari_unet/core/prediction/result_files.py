"""Write labels and probabilities to TIFF files, or to Zarr if they exceed memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image, write_labels
from napari_unet.core.io.raw_files import write_array
from napari_unet.core.system.atomic_files import remove

if TYPE_CHECKING:
    from napari_unet.core.prediction.prediction import Prediction

__all__ = ["result_paths", "write_prediction"]

_WHAT = ("labels", "probability")


def result_paths(folder: Path, name: str) -> list[Path]:
    """Return every path that a prediction of this name may be written to."""
    return [folder / f"{name}_{what}{suffix}" for what in _WHAT for suffix in (".tif", ".zarr")]


def write_prediction(
    prediction: Prediction, image: Image, folder: Path, name: str
) -> tuple[Path, Path | None]:
    """Write labels, and probabilities if there are any.

    Parameters
    ----------
    prediction
        Prediction to write. Arrays in memory become ``<name>_labels.tif`` (uint16, uint32 above
        65,535) and ``<name>_probability.tif`` (float32); arrays on disk are copied chunk by chunk
        to OME-Zarr of these names.
    image
        The predicted image, for axes and pixel size.
    folder
        Folder of the results; created if missing.
    name
        Start of the file names. Results of this name from an earlier prediction are removed.

    Returns
    -------
    labels, probabilities
        The paths; None if there are no probabilities.

    Raises
    ------
    StorageError
        If the files cannot be written.
    """
    labels = prediction.labels
    stem = folder / f"{name}_labels"
    if isinstance(labels, np.ndarray):
        path = stem.with_name(stem.name + ".tif")
        write_labels(path, labels, image.label_axes, image.pixel_size)
    else:
        path = stem.with_name(stem.name + ".zarr")
        write_array(path, labels, image.label_axes, image.pixel_size)
    maps = None
    if prediction.probabilities is not None:
        maps = _write_probabilities(prediction, image, folder / f"{name}_probability")
    for old in {*result_paths(folder, name)} - {path, maps}:  # left by an earlier prediction
        remove(old)
    return path, maps


def _write_probabilities(prediction: Prediction, image: Image, stem: Path) -> Path:
    maps = prediction.probabilities
    names, axes = None, image.label_axes
    if maps.ndim > len(axes):
        axes = "".join(a for a in "TZCYX" if a in axes + "C")
        task = prediction.model.task
        names = tuple(c.name for c in task.output_channels[: task.heads[0].channels])
    if isinstance(maps, np.ndarray):
        path = stem.with_name(stem.name + ".tif")
        write_image(
            path, Image(maps, axes, stem.name, pixel_size=image.pixel_size, channel_names=names)
        )
    else:
        path = stem.with_name(stem.name + ".zarr")
        write_array(path, maps, axes, image.pixel_size, names)
    return path
