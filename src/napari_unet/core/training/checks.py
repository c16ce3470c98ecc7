"""Checks of the data before a run: labels, channels, split and division."""

from __future__ import annotations

from napari_unet.core.datasets.splits import Split
from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.division import Division

__all__ = ["check_data", "check_division"]


def check_data(pairs: list[Pair], task: Task, split: Split | None = None) -> None:
    """Check that the task can be trained on the data.

    Raises
    ------
    LabelsError
        If there are no images or no labels to train on.
    SettingsError
        If the images differ in their channels, or the split does not fit them.
    """
    if not pairs:
        raise LabelsError(
            "There is nothing to train on: expected at least one image with labels. Add one."
        )
    examples = {p.image.channels: p.name for p in pairs}
    if len(examples) > 1:
        listed = ", ".join(f"{c} in '{n}'" for c, n in sorted(examples.items()))
        raise SettingsError(
            f"The images differ in their number of channels: {listed}. Expected the same number in "
            "all. Choose the channels to use."
        )
    _check_kind_of_channels([p.image for p in pairs])
    task.check(pairs)
    if split is not None:
        _check_split(split, len(pairs))


def _check_kind_of_channels(images: list[Image]) -> None:
    """Raise `SettingsError` if channels differ in order, or only some images are in colour."""
    named = [image for image in images if image.channel_names]
    for image in named[1:]:
        first, other = named[0].channel_names or (), image.channel_names or ()
        if first != other and sorted(first) == sorted(other):
            raise SettingsError(
                f"'{image.name}' has the channels {', '.join(other)}, but '{named[0].name}' has "
                f"{', '.join(first)}: expected the same order. Choose the channels by name."
            )
    examples = {image.rgb: image.name for image in images}
    if len(examples) > 1:
        raise SettingsError(
            f"'{examples[True]}' is in colour, but '{examples[False]}' has {images[0].channels} "
            "separate channels: expected images of one kind. Save them in the same way, or choose "
            "one channel."
        )


def check_division(division: Division) -> None:
    """Raise `LabelsError` if nothing is labelled in the planes to train on."""
    if any(plane.labelled for plane in division.train):
        return
    raise LabelsError(
        f"None of the {len(division.train)} plane(s) to train on has a label in its annotated area "
        f"({len(division.validation)} are held out for validation). Label another image, or "
        "change the annotated area or the split."
    )


def _check_split(split: Split, images: int) -> None:
    both = set(split.train) & set(split.validation)
    unknown = {*split.train, *split.validation} - set(range(images))
    if both or unknown or not split.train:
        raise SettingsError(
            f"The split trains on the images {list(split.train)} and validates on "
            f"{list(split.validation)}: expected numbers from 0 to {images - 1}, at least one to "
            "train on and none in both lists. Correct the split, or leave it out."
        )
