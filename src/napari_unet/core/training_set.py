"""A training set that grows by correction: a folder to which images and mended labels are added.

images/<name>.tif         the image
masks/<name>.tif          its labels, as they were corrected last
earlier_masks/<name>_1.tif  what they were before that, 1 being the oldest
groups.csv                which images must stay on one side of a split
training_set.json         the model to start from, so that every round starts from the same one
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.datasets import Dataset, find_pairs, load_pairs
from napari_unet.core.errors import ImageError, UNetError
from napari_unet.core.files import bare_name, read_image, read_labels, write_image, write_labels
from napari_unet.core.folder_layouts import read_table
from napari_unet.core.images import Image, Pair
from napari_unet.core.storage import (
    atomic_path,
    atomic_write_csv,
    atomic_write_text,
    storage_error,
)

__all__ = [
    "Added",
    "add_to_training_set",
    "base_model",
    "find_training_set",
    "training_set_pairs",
]

_GROUPS = "groups.csv"
_ABOUT = "training_set.json"


@dataclass(frozen=True)
class Added:
    """What became of an image that was added.

    Parameters
    ----------
    image, labels
        The files.
    earlier
        Where the labels that this image had before are kept; None where it is new, or where the
        labels are the same.
    images
        How many images the set has now.
    """

    image: Path
    labels: Path
    earlier: Path | None
    images: int


def add_to_training_set(
    folder: Path | str,
    image: Image,
    labels: NDArray[Any],
    name: str | None = None,
    *,
    group: str | None = None,
    model: Path | str | None = None,
) -> Added:
    """Store an image and its labels.

    Nothing is lost: the same image under the same name gets the new labels, and those that it had
    are kept in ``earlier_masks``; another image under a name that is taken becomes ``<name>_2``.

    Parameters
    ----------
    folder
        The training set; made if missing. It may hold images and labels from elsewhere.
    image
        Axes any subset of TZCYX; written with its pixel size.
    labels
        Integers from 0, the axes of the image without C.
    name
        What to call it; None: the image's name.
    group
        Images of one group never end up on both sides of a split, such as the planes of one
        stack; None: the image is a group of its own.
    model
        The model to start from when training on this set; remembered when the set has none yet.

    Returns
    -------
    Added

    Raises
    ------
    LabelsError
        When the labels are not labels or do not fit the image.
    StorageError
        When the folder cannot be written.
    """
    folder = Path(folder)
    pair = Pair(image, labels)
    name = _free_name(folder / "images", _usable(name or image.name), image)
    image_path, labels_path = folder / "images" / f"{name}.tif", folder / "masks" / f"{name}.tif"
    is_new = not image_path.exists()
    if is_new:
        write_image(image_path, image)
    try:
        earlier = _keep_earlier(labels_path, pair.labels)
        write_labels(labels_path, pair.labels, image.label_axes, image.pixel_size)
    except BaseException:
        if is_new:
            image_path.unlink(missing_ok=True)
        raise
    _note_group(folder, name, group or name)
    if model is not None and base_model(folder) is None:
        about = {"base_model": str(Path(model).absolute())}
        atomic_write_text(folder / _ABOUT, json.dumps(about, indent=1))
    return Added(image_path, labels_path, earlier, len(find_training_set(folder).pairs))


def find_training_set(folder: Path | str) -> Dataset:
    """Find the images and labels of a training set, with their groups.

    Raises
    ------
    ImageError
        When there is no such folder.
    LabelsError
        When no image has labels.
    """
    folder = Path(folder)
    dataset = find_pairs(folder)
    groups = _groups(folder)
    pairs = tuple(replace(p, group=groups.get(p.name, p.group)) for p in dataset.pairs)
    return replace(dataset, pairs=pairs)


def training_set_pairs(folder: Path | str) -> list[Pair]:
    """Read all images and labels of a training set.

    Raises
    ------
    ImageError, LabelsError
        As `find_training_set`, and when a file cannot be read.
    """
    return load_pairs(find_training_set(folder))


def base_model(folder: Path | str) -> Path | None:
    """Model that training on this set starts from; None where none is known or it is gone.

    Every round starts from this one and not from the round before, on all images of the set, so
    that rounds do not pile up forgetting.
    """
    try:
        about = json.loads((Path(folder) / _ABOUT).read_text(encoding="utf-8"))
        path = Path(about["base_model"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if path.is_file() else None


def _usable(name: str) -> str:
    """A name that is a file name on every system."""
    name = bare_name(Path(name.replace("/", "_").replace("\\", "_")))
    return re.sub(r"[^\w.-]+", "_", name).strip("._ ")[:100] or "image"


def _free_name(images: Path, name: str, image: Image) -> str:
    """The name under which this image is there already, or the first that is free."""
    candidate, number = name, 1
    while (path := images / f"{candidate}.tif").exists() and not _same_image(path, image):
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def _same_image(path: Path, image: Image) -> bool:
    try:
        there = read_image(path)
    except ImageError:
        return False
    data = np.asarray(image.data)
    if data.dtype.kind == "f":  # written as float32
        data = data.astype(np.float32)
    return there.axes == image.axes and np.array_equal(np.asarray(there.data), data)


def _keep_earlier(path: Path, labels: NDArray[Any]) -> Path | None:
    """Copy the labels that are about to be replaced aside, if they are others."""
    if not path.exists():
        return None
    try:
        if np.array_equal(read_labels(path), labels):
            return None
    except UNetError:  # damaged: kept as it is
        pass
    folder = path.parent.parent / "earlier_masks"
    number = 1
    while (kept := folder / f"{path.stem}_{number}.tif").exists():
        number += 1
    try:
        with atomic_path(kept) as temporary:
            shutil.copyfile(path, temporary)
    except OSError as error:
        raise storage_error(error, kept) from error
    return kept


def _groups(folder: Path) -> dict[str, str]:
    path = folder / _GROUPS
    if not path.is_file():
        return {}
    return {
        row["name"]: row["group"] for row in read_table(path) if row.keys() >= {"name", "group"}
    }


def _note_group(folder: Path, name: str, group: str) -> None:
    groups = _groups(folder) | {name: group}
    rows = [{"name": n, "group": g} for n, g in sorted(groups.items())]
    atomic_write_csv(folder / _GROUPS, rows, ["name", "group"])
