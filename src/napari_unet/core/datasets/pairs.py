"""Pairs of images and labels from folders, tables and arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.datasets.annotated_areas import describe_areas, with_areas
from napari_unet.core.datasets.folder_layouts import match_files
from napari_unet.core.datasets.groups import with_groups
from napari_unet.core.datasets.matched_files import EmptyPlanes, MatchedFiles
from napari_unet.core.datasets.splits import Split, split_block, split_by_group, split_random_state
from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.pair import Pair

__all__ = [
    "Dataset",
    "Split",
    "count_objects",
    "find_pairs",
    "load_pairs",
    "pairs_from_arrays",
    "split_block",
    "split_by_group",
    "split_random_state",
]


@dataclass(frozen=True)
class Dataset:
    """Pairs found in a folder or table, and skipped files with the reason.

    Examples
    --------
    >>> from napari_unet import Image, find_pairs, synthetic_nuclei, write_image, write_labels
    >>> for seed in range(2):
    ...     pixels, labels = synthetic_nuclei((64, 64), 6, seed=seed)
    ...     write_image(f"nuclei/images/{seed}.tif", Image(pixels, "YX"))
    ...     write_labels(f"nuclei/masks/{seed}.tif", labels)
    >>> dataset = find_pairs("nuclei")
    >>> [pair.name for pair in dataset.pairs]
    ['0', '1']
    >>> dataset.skipped
    ()
    """

    pairs: tuple[MatchedFiles, ...]
    skipped: tuple[tuple[Path, str], ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Group of each pair; its name if it has none."""
        return tuple(pair.group or pair.name for pair in self.pairs)

    def describe(self) -> str:
        """Describe the number of pairs and groups, and the skipped files with the reason."""
        text = f"{len(self.pairs)} image(s) with labels"
        if any(pair.group for pair in self.pairs):
            text += f" in {len(set(self.groups))} group(s)"
        if areas := describe_areas([pair.annotated for pair in self.pairs]):
            text += f", {areas}"
        if self.skipped:
            lines = [f"  {path.name}: {reason}" for path, reason in self.skipped]
            text += f"\n{len(lines)} skipped:\n" + "\n".join(lines)
        return text


def find_pairs(
    source: Path,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    groups: Path | str | None = None,
    group_pattern: str | None = None,
    annotated: Path | None = None,
) -> Dataset:
    """Find images and their labels.

    Recognised layouts are folders ``images`` and ``masks`` (or ``labels``); one folder with labels
    beside their images, recognised by suffixes such as ``_mask`` or ``_cp_masks``; ``<id>/images``
    and
    ``<id>/masks`` with one mask per object; a CSV table with the columns image, labels and,
    optionally, group.

    Parameters
    ----------
    source
        Path of the folder or CSV table.
    images, labels
        Folders to use instead of those that the layout suggests; relative to `source`.
    groups, group_pattern
        As in `groups.with_groups`.
    annotated
        Masks of the annotated areas, as in `annotated_areas.with_areas`; None: those in a folder
        ``annotated`` in `source`, if it exists.

    Returns
    -------
    Dataset
        Pairs in the order of their names (or of the table's rows).

    Raises
    ------
    ImageError
        If a folder or file is missing.
    LabelsError
        If no image has labels.
    SettingsError
        If an image has no group, or no area belongs to an image.

    Examples
    --------
    >>> from napari_unet import Image, find_pairs, synthetic_nuclei, write_image, write_labels
    >>> for seed in range(2):
    ...     pixels, labels = synthetic_nuclei((64, 64), 6, seed=seed)
    ...     write_image(f"nuclei/images/{seed}.tif", Image(pixels, "YX"))
    ...     write_labels(f"nuclei/masks/{seed}.tif", labels)
    >>> print(find_pairs("nuclei").describe())
    2 image(s) with labels
    """
    source = Path(source)
    matches = match_files(source, images, labels)
    found = with_groups(matches.found, groups, group_pattern)
    found = with_areas(found, source, annotated)
    return Dataset(tuple(found), tuple(matches.skipped))


def load_pairs(
    dataset: Dataset,
    channels: Sequence[str | int] | None = None,
    axes: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    repair: Collection[str] = (),
    empty_planes: EmptyPlanes = "ignore",
) -> list[Pair]:
    """Read all pairs of a data set.

    Parameters
    ----------
    dataset
        From `find_pairs`.
    channels, axes
        As in `napari_unet.core.io.image_files.read_image`.
    progress
        Function called with the number of pairs read so far and in total.
    repair
        Kinds of issues to repair in the labels, see `label_check.repair_labels`.
    empty_planes
        As in `napari_unet.core.images.pair.Pair`.

    Raises
    ------
    ImageError, LabelsError
        If a file cannot be read, or the images differ in their number of channels.

    Examples
    --------
    >>> from napari_unet import Image, find_pairs, load_pairs, synthetic_nuclei
    >>> from napari_unet import write_image, write_labels
    >>> for seed in range(2):
    ...     pixels, labels = synthetic_nuclei((64, 64), 6, seed=seed)
    ...     write_image(f"nuclei/images/{seed}.tif", Image(pixels, "YX"))
    ...     write_labels(f"nuclei/masks/{seed}.tif", labels)
    >>> pairs = load_pairs(find_pairs("nuclei"))
    >>> pairs[0].name, pairs[0].labels.shape
    ('0', (64, 64))
    """
    pairs: list[Pair] = []
    for files in dataset.pairs:
        pair = files.load_pair(channels, axes, repair, empty_planes)
        first = pairs[0].image if pairs else pair.image
        if pair.image.channels != first.channels:
            raise ImageError(
                f"'{pair.name}' has {pair.image.channels} channel(s), '{first.name}' has "
                f"{first.channels}: expected the same in all images. Choose channels that every "
                "image has, or train on one kind of image."
            )
        pairs.append(pair)
        if progress is not None:
            progress(len(pairs), len(dataset.pairs))
    return pairs


def pairs_from_arrays(
    images: Sequence[Any],
    labels: Sequence[Any],
    *,
    axes: str | None = None,
    names: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    pixel_size: PixelSize | None = None,
) -> list[Pair]:
    """Create pairs from arrays.

    Parameters
    ----------
    images
        Arrays, or `Image` objects.
    labels
        One array per image, axes of the image without channels.
    axes
        One letter per axis of the image arrays, see `Image.from_array`.
    names, groups
        One per image. None: ``image 0``, ``image 1``, ...; each image is its own group.
    pixel_size
        Pixel size of the arrays.

    Raises
    ------
    LabelsError
        If the number of labels (names, groups) differs from that of images, or labels do not match
        their image.
    ImageError
        If an array is not an image.

    Examples
    --------
    >>> from napari_unet import pairs_from_arrays, synthetic_nuclei
    >>> image, labels = synthetic_nuclei((64, 64), 6)
    >>> (pair,) = pairs_from_arrays([image], [labels], names=["field 1"])
    >>> pair.image.axes, pair.name
    ('YX', 'field 1')
    """
    for what, values in (("label arrays", labels), ("names", names), ("groups", groups)):
        if values is not None and len(values) != len(images):
            raise LabelsError(
                f"{len(images)} image(s) and {len(values)} {what}: expected one for each image."
            )
    pairs = []
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        if not isinstance(image, Image):
            name = names[i] if names is not None else f"image {i}"
            image = Image.from_array(image, axes, name=name, pixel_size=pixel_size)
        pairs.append(Pair(image, label, group=None if groups is None else groups[i]))
    return pairs


def count_objects(labels: NDArray[np.integer]) -> int:
    """Count the distinct ids above 0."""
    return int(np.count_nonzero(np.unique(labels)))
