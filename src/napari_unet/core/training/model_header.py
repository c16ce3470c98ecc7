"""The header of a model to be trained, derived from its images, task and settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from napari_unet.core.evaluation.measure import median_diameter_px
from napari_unet.core.images.contrast import object_contrast
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.images.units import um_per_px
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.settings import TrainingSettings

__all__ = ["choose_normalization", "made_today", "model_info"]

_LOW_IN_COLOUR = 0.01
"""Low percentile for colour images. Objects are the darkest part of stained tissue; if there are
few, the 1st percentile is in the background, and a pale background would become as dark as the
objects of other images."""


def choose_normalization(
    given: Normalization, rgb: bool, start: ModelInfo | None = None
) -> Normalization:
    """Choose the normalisation of the training images.

    Parameters
    ----------
    given
        Normalisation in the settings; the default one means that none was chosen.
    rgb
        Whether the channels are red, green and blue.
    start
        Header of the model to start from.

    Returns
    -------
    Normalization
        The chosen normalisation; otherwise that of the model to start from; for colour images
        without a start model trained on colour, one that keeps dark and rare objects in the range.
    """
    if given != Normalization():
        return given
    if start is not None and (start.rgb or not rgb):
        return start.normalization
    return Normalization(low=_LOW_IN_COLOUR) if rgb else given


def model_info(
    pairs: list[Pair],
    task: Task,
    settings: TrainingSettings,
    start: Model | None,
    name: str,
) -> ModelInfo:
    """Build the header of the model to be trained.

    The architecture is that of the model to start from, if there is one, except for the number of
    channels. For the normalisation, see `choose_normalization`.

    Raises
    ------
    ModelFileError
        If the model to start from does not fit the images.
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
        object_diameter_px=_median_diameter_px(pairs) if task.labels_are_objects else None,
        contrast=object_contrast(pairs) if task.labels_are_objects else None,
        provenance=provenance,
    )


def made_today() -> dict[str, str]:
    """Return the versions of this package and of torch, and today's date."""
    import torch

    from napari_unet.version import __version__

    return {
        "version": __version__,
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }


def _common_pixel_size_um(images: list[Image]) -> tuple[float, float] | None:
    """Return the pixel size along Y and X if all images have the same."""
    first, *others = {i.pixel_size for i in images}
    size = None if first is None or others else um_per_px(first)
    return None if size is None else (size[-2], size[-1])


def _median_diameter_px(pairs: list[Pair]) -> float:
    """Compute the median diameter of circles with the areas of the objects, over all planes."""
    planes = [plane.labels for pair in pairs for plane in pair.planes()]
    areas = np.concatenate([np.unique(p[p > 0], return_counts=True)[1] for p in planes])
    return round(median_diameter_px(areas), 1)
