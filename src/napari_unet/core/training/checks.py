"""Before a run: does the data fit the task, and what will the model's header say."""

from __future__ import annotations

from napari_unet.core.datasets.splits import Split
from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.division import Division

__all__ = ["check_data", "check_division"]


def check_data(pairs: list[Pair], task: Task, split: Split | None = None) -> None:
    """Raise where the data cannot teach the task.

    Raises
    ------
    LabelsError
        If there is nothing to learn from.
    SettingsError
        If the images differ in their channels, or the split does not fit them.
    """
    if not pairs:
        raise LabelsError(
            "There is nothing to train on: no image with labels was given. Give at least one."
        )
    examples = {p.image.channels: p.name for p in pairs}
    if len(examples) > 1:
        listed = ", ".join(f"{c} in '{n}'" for c, n in sorted(examples.items()))
        raise SettingsError(
            f"The images differ in their number of channels: {listed}. Expected the same in all: "
            "choose the channels to use."
        )
    _check_kind_of_channels([p.image for p in pairs])
    task.check(pairs)
    if split is not None:
        _check_split(split, len(pairs))


def _check_kind_of_channels(images: list[Image]) -> None:
    """Raise `SettingsError` where the same channels come in another order, or some are colours."""
    named = [image for image in images if image.channel_names]
    for image in named[1:]:
        first, other = named[0].channel_names or (), image.channel_names or ()
        if first != other and sorted(first) == sorted(other):
            raise SettingsError(
                f"'{image.name}' has the channels {', '.join(other)}, '{named[0].name}' "
                f"{', '.join(first)}: expected one order. Choose the channels by name."
            )
    examples = {image.rgb: image.name for image in images}
    if len(examples) > 1:
        raise SettingsError(
            f"'{examples[True]}' is in colour, '{examples[False]}' has {images[0].channels} "
            "channels of its own: expected images of one kind. Save them alike, or choose one "
            "channel."
        )


def check_division(division: Division) -> None:
    """Raise `LabelsError` where nothing is labelled in what is left to train on."""
    if any(plane.labelled for plane in division.train):
        return
    raise LabelsError(
        f"None of the {len(division.train)} plane(s) to train on has a label where labels count "
        f"({len(division.validation)} are held back for validation). Label another image, or "
        "change the annotated area or the split."
    )


def _check_split(split: Split, images: int) -> None:
    both = set(split.train) & set(split.validation)
    unknown = {*split.train, *split.validation} - set(range(images))
    if both or unknown or not split.train:
        raise SettingsError(
            f"The split trains on the images {list(split.train)} and validates on "
            f"{list(split.validation)}: expected numbers from 0 to {images - 1}, at least one to "
            "train on and none on both sides. Correct it, or leave it out."
        )
