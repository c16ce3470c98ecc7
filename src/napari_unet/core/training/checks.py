"""Before a run: does the data fit the task, and what will the model's header say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from napari_unet.core.training.settings import TrainingSettings, UNetConfig
from napari_unet.core.images.contrast import object_contrast
from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.image import Image, Pair
from napari_unet.core.evaluation.measure import median_diameter_px, um_per_px
from napari_unet.core.models.model_file import Model, ModelInfo
from napari_unet.core.images.normalization import choose_normalization
from napari_unet.core.datasets.splits import Split
from napari_unet.core.tasks.any_task import Instances, Semantic
from napari_unet.core.training.validation import Division

__all__ = ["check_data", "check_division", "made_today", "model_info"]


def check_data(pairs: list[Pair], task: Semantic | Instances, split: Split | None = None) -> None:
    """Raise where the data cannot teach the task.

    Raises
    ------
    LabelsError
        When there is nothing to learn from.
    SettingsError
        When the images differ in their channels, or the split does not fit them.
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


def model_info(
    pairs: list[Pair],
    task: Semantic | Instances,
    settings: TrainingSettings,
    start: Model | None,
    name: str,
) -> ModelInfo:
    """Write the header of the model to be trained.

    The architecture is that of the model to start from, if there is one, but for the number of
    channels; for the normalisation see `choose_normalization`.

    Raises
    ------
    ModelFileError
        When the model to start from does not fit the images.
    """
    first = pairs[0].image
    outputs = sum(head.channels for head in task.heads)
    unet = UNetConfig(
        in_channels=first.channels,
        out_channels=outputs,
        depth=settings.depth,
        base_channels=settings.base_channels,
        norm=settings.norm,
        dropout=settings.dropout,
        upsampling=settings.upsampling,
    )
    provenance: dict[str, Any] = {}
    if start is not None:
        start.info.check_start(first)
        unet = start.info.unet.model_copy(
            update={"in_channels": first.channels, "out_channels": outputs}
        )
        provenance = {"started_from": start.info.name}
    return ModelInfo(
        unet=unet,
        task=task,
        normalization=choose_normalization(
            settings.normalization, first.rgb, None if start is None else start.info
        ),
        name=name,
        channel_names=first.channel_names,
        rgb=first.rgb,
        pixel_size_um=_common_pixel_size_um([p.image for p in pairs]),
        object_diameter_px=_median_diameter_px(pairs) if isinstance(task, Instances) else None,
        contrast=object_contrast(pairs) if isinstance(task, Instances) else None,
        provenance=provenance,
    )


def made_today() -> dict[str, str]:
    """Say what makes a model today: version of this package, of torch, and the date."""
    import torch

    import napari_unet

    return {
        "version": napari_unet.__version__,
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _common_pixel_size_um(images: list[Image]) -> tuple[float, float] | None:
    """Pixel size along Y and X if all images have the same."""
    first, *others = {i.pixel_size for i in images}
    size = None if first is None or others else um_per_px(first)
    return None if size is None else (size[-2], size[-1])


def _median_diameter_px(pairs: list[Pair]) -> float:
    """Median diameter of circles of the objects' areas, over all planes."""
    planes = [plane.labels for pair in pairs for plane in pair.planes()]
    areas = np.concatenate([np.unique(p[p > 0], return_counts=True)[1] for p in planes])
    return round(median_diameter_px(areas), 1)
