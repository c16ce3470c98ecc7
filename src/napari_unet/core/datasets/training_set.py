"""A training set that grows by correction: a folder to which images and mended labels are added.

images/<name>.tif         the image
masks/<name>.tif          its labels, as they were corrected last (or labels/, where that is there)
earlier_masks/<name>_1.tif  what they were before that, 1 being the oldest
groups.csv                which images must stay on one side of a split
training_set.json         the model to start from, so that every round starts from the same one
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.datasets.folder_layouts import label_owner, match_files, named_folders
from napari_unet.core.datasets.groups import note_group, read_groups
from napari_unet.core.datasets.pairs import Dataset, find_pairs, load_pairs
from napari_unet.core.errors import ImageError, LabelsError, UNetError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.io.formats import bare_name, format_of, is_image_file
from napari_unet.core.io.image_files import read_image, read_labels, write_image, write_labels
from napari_unet.core.io.tiff import TIFF
from napari_unet.core.system.atomic_files import (
    atomic_path,
    atomic_write_text,
    exists,
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
        If the labels are not labels or do not fit the image, or the folder holds images and
        labels in another layout.
    SettingsError
        If there is a ``groups.csv`` that is no table of groups.
    StorageError
        If the folder cannot be written.
    """
    folder = Path(folder)
    pair = Pair(image, labels)
    _groups(folder)  # raises before anything is written
    place = _place(folder, _usable(name or image.name), image)
    if place.is_new:
        write_image(place.image, image)
    try:
        earlier = _keep_earlier(folder, place, pair.labels)
        unchanged = place.before if earlier is None else None
        if unchanged is None:
            write_labels(place.labels, pair.labels, image.label_axes, image.pixel_size)
    except BaseException:
        if place.is_new:
            place.image.unlink(missing_ok=True)
        raise
    if place.before not in (None, unchanged, place.labels):
        _remove(place.before)  # another format, kept above; two label files of one image are none
    note_group(folder / _GROUPS, place.name, group or place.name)
    if model is not None and base_model(folder) is None:
        about = {"base_model": str(Path(model).absolute())}
        atomic_write_text(folder / _ABOUT, json.dumps(about, indent=1))
    return Added(
        place.image, unchanged or place.labels, earlier, len(find_training_set(folder).pairs)
    )


def find_training_set(folder: Path | str) -> Dataset:
    """Find the images and labels of a training set, with their groups.

    Raises
    ------
    ImageError
        If there is no such folder.
    LabelsError
        If no image has labels.
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


@dataclass(frozen=True)
class _Place:
    """Where an image and its labels belong, and the labels that it has already."""

    name: str
    image: Path
    is_new: bool
    labels: Path
    before: Path | None


def _place(folder: Path, name: str, image: Image) -> _Place:
    """Where this image is under its name already, or the first name that is free."""
    images, labels = _folders(folder)
    there = _by_name(images, bare_name)
    owned = _by_name(labels, lambda p: bare_name(p) if bare_name(p) in there else label_owner(p))
    candidate, number = name, 1
    while not _is_for(image, there[candidate], owned[candidate]):
        number += 1
        candidate = f"{name}_{number}"
    is_new = not there[candidate]
    image_path = images / f"{candidate}.tif" if is_new else there[candidate][0]
    before = next(iter(owned[candidate]), None)
    labels_path = labels / f"{candidate}.tif"
    if before is not None and format_of(before) is TIFF:
        labels_path = before
    return _Place(candidate, image_path, is_new, labels_path, before)


def _folders(folder: Path) -> tuple[Path, Path]:
    """Folders of the images and of the labels of a set, there or not."""
    images = labels = None
    if folder.is_dir():
        images, labels = named_folders(folder)
        if (images is None or labels is None) and _has_pairs(folder):
            raise LabelsError(
                f"'{folder}' holds images and labels, but not in two folders 'images' and "
                "'masks', which a training set has: those that are there would no longer be "
                "found. Move them there, or choose another folder."
            )
    return images or folder / "images", labels or folder / "masks"


def _has_pairs(folder: Path) -> bool:
    try:
        return bool(match_files(folder).found)
    except UNetError:  # nothing is there
        return False


def _by_name(folder: Path, name_of: Callable[[Path], str]) -> defaultdict[str, list[Path]]:
    found = defaultdict(list)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_image_file(path) and not path.name.startswith("."):
            found[name_of(path)].append(path)
    return found


def _is_for(image: Image, images: list[Path], labels: list[Path]) -> bool:
    """Whether a name is free, or that of this very image with no more than one file of labels."""
    if len(images) > 1 or len(labels) > 1:
        return False
    return not images or _same_image(images[0], image)


def _same_image(path: Path, image: Image) -> bool:
    try:
        there = read_image(path)
    except ImageError:
        return False
    data = np.asarray(image.data)
    if data.dtype.kind == "f":  # written as float32
        data = data.astype(np.float32)
    same_axes = _longer_axes(there) == _longer_axes(image)
    return same_axes and np.array_equal(np.squeeze(there.data), np.squeeze(data))


def _longer_axes(image: Image) -> list[str]:
    """Axes without those of length 1, which a file need not keep."""
    return [axis for axis, n in image.sizes.items() if n > 1]


def _keep_earlier(folder: Path, place: _Place, labels: NDArray[Any]) -> Path | None:
    """Copy the labels that are about to be replaced aside, if they are others."""
    before = place.before
    if before is None:
        return None
    try:
        if np.array_equal(np.squeeze(read_labels(before)), np.squeeze(labels)):
            return None
    except UNetError:  # damaged: kept as it is
        pass
    number = 1
    while exists(kept := folder / "earlier_masks" / f"{place.name}_{number}{before.suffix}"):
        number += 1
    try:
        with atomic_path(kept) as temporary:
            if before.is_dir():
                shutil.copytree(before, temporary)
            else:
                shutil.copyfile(before, temporary)
    except OSError as error:
        raise storage_error(error, kept) from error
    return kept


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise storage_error(error, path) from error


def _groups(folder: Path) -> dict[str, str]:
    path = folder / _GROUPS
    return read_groups(path) if path.is_file() else {}
