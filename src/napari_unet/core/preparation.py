"""Before a run: does the data fit the task, and what will the model's header say."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_unet.core.config import TrainingSettings, UNetConfig
from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images import Image, Pair
from napari_unet.core.measure import um_per_px
from napari_unet.core.model_file import Model, ModelInfo
from napari_unet.core.tasks import Instances, Semantic

__all__ = ["check_data", "model_info"]


def check_data(pairs: list[Pair], task: Semantic | Instances) -> None:
    """Raise where the data cannot teach the task.

    Raises
    ------
    LabelsError
        When there is nothing to learn from.
    SettingsError
        When the images differ in their number of channels.
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
    task.check(pairs)


def model_info(
    pairs: list[Pair],
    task: Semantic | Instances,
    settings: TrainingSettings,
    start: Model | None,
    name: str,
) -> ModelInfo:
    """Write the header of the model to be trained.

    Architecture and normalisation are those of the model to start from, if there is one.

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
        dropout=settings.dropout,
        upsampling=settings.upsampling,
    )
    normalization = settings.normalization
    provenance: dict[str, Any] = {}
    if start is not None:
        start.info.check_image(first)
        unet = start.info.unet.model_copy(update={"out_channels": outputs})
        normalization = start.info.normalization
        provenance = {"started_from": start.info.name}
    return ModelInfo(
        unet=unet,
        task=task,
        normalization=normalization,
        name=name,
        channel_names=first.channel_names,
        rgb=first.rgb,
        pixel_size_um=_common_pixel_size_um([p.image for p in pairs]),
        object_diameter_px=_median_diameter_px(pairs) if isinstance(task, Instances) else None,
        provenance=provenance,
    )


def _common_pixel_size_um(images: list[Image]) -> tuple[float, float] | None:
    """Pixel size along Y and X if all images have the same."""
    first, *others = {i.pixel_size for i in images}
    size = None if first is None or others else um_per_px(first)
    return None if size is None else (size[-2], size[-1])


def _median_diameter_px(pairs: list[Pair]) -> float:
    """Median diameter of circles of the objects' areas, over all planes."""
    planes = [plane.labels for pair in pairs for plane in pair.planes()]
    areas = np.concatenate([np.unique(p[p > 0], return_counts=True)[1] for p in planes])
    return float(np.round(np.median(2 * np.sqrt(areas / np.pi)), 1))
