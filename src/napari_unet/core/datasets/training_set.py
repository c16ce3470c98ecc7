"""A training set that grows by correction: a folder of images and corrected labels.

images/<name>.tif         the image
masks/<name>.tif          its labels as last corrected (in labels/ instead, if that exists)
earlier_masks/<name>_1.tif  its earlier labels, numbered from the oldest
groups.csv                the groups of images that a split keeps together
training_set.json         the model from which every round of training starts
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
    """Result of adding an image.

    Parameters
    ----------
    image, labels
        Paths of the stored files.
    earlier
        Path of the backup of the image's previous labels; None if the image is new or its labels
        are unchanged.
    images
        Number of images in the set.
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
    """Store an image and its labels in a training set.

    Nothing is lost: if the set already has the image, its previous labels are kept in
    ``earlier_masks``; another image of the same name becomes ``<name>_2``.

    Parameters
    ----------
    folder
        Folder of the training set; created if missing. It may hold other images and labels.
    image
        Image with any subset of the axes TZCYX; stored with its pixel size.
    labels
        Integers from 0, the axes of the image without C.
    name
        Name in the set; None: the image's name.
    group
        Name of the group, for example of all planes of one stack; a split keeps groups together.
        None: a separate group.
    model
        Path of the model from which training on this set starts; stored if the set has none yet.

    Returns
    -------
    Added

    Raises
    ------
    LabelsError
        If the labels are invalid or do not match the image, or the folder holds images and labels
        in another layout.
    SettingsError
        If ``groups.csv`` exists but is not a table of groups.
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
        _remove(place.before)  # another format, backed up above; two label files would not match
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
        As for `find_training_set`, and if a file cannot be read.
    """
    return load_pairs(find_training_set(folder))


def base_model(folder: Path | str) -> Path | None:
    """Return the model from which training on this set starts; None if unknown or missing.

    Every round starts from this model, not from the previous round's, and trains on all images of
    the set, so that forgetting does not accumulate.
    """
    try:
        about = json.loads((Path(folder) / _ABOUT).read_text(encoding="utf-8"))
        path = Path(about["base_model"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if path.is_file() else None


def _usable(name: str) -> str:
    """Convert a name to a file name that is valid on every system."""
    name = bare_name(Path(name.replace("/", "_").replace("\\", "_")))
    return re.sub(r"[^\w.-]+", "_", name).strip("._ ")[:100] or "image"


@dataclass(frozen=True)
class _Place:
    """Paths for an image and its labels, and the labels that it already has."""

    name: str
    image: Path
    is_new: bool
    labels: Path
    before: Path | None


def _place(folder: Path, name: str, image: Image) -> _Place:
    """Find this image under its name in the set, or else the first free name."""
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
    """Return the folders of a set's images and labels, whether or not they exist."""
    images = labels = None
    if folder.is_dir():
        images, labels = named_folders(folder)
        if (images is None or labels is None) and _has_pairs(folder):
            raise LabelsError(
                f"'{folder}' holds images and labels, but not in two folders 'images' and "
                "'masks' as in a training set: they would no longer be found. Move them to these "
                "folders, or choose another folder."
            )
    return images or folder / "images", labels or folder / "masks"


def _has_pairs(folder: Path) -> bool:
    try:
        return bool(match_files(folder).found)
    except UNetError:  # nothing was found
        return False


def _by_name(folder: Path, name_of: Callable[[Path], str]) -> defaultdict[str, list[Path]]:
    found = defaultdict(list)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_image_file(path) and not path.name.startswith("."):
            found[name_of(path)].append(path)
    return found


def _is_for(image: Image, images: list[Path], labels: list[Path]) -> bool:
    """Return whether a name is free, or belongs to this image and at most one label file."""
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
    """Return the axes longer than 1; a file need not keep the others."""
    return [axis for axis, n in image.sizes.items() if n > 1]


def _keep_earlier(folder: Path, place: _Place, labels: NDArray[Any]) -> Path | None:
    """Back up the labels that are about to be replaced, if they differ; return the path."""
    before = place.before
    if before is None:
        return None
    try:
        if np.array_equal(np.squeeze(read_labels(before)), np.squeeze(labels)):
            return None
    except UNetError:  # damaged: backed up unchanged
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
