"""Validation data of a score, and whether it is enough for a reliable score. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.core.images.pair import Pair

if TYPE_CHECKING:
    from napari_unet.compute import TrainRequest
    from napari_unet.core.datasets.splits import Split
    from napari_unet.core.models.unet_config import UNetConfig
    from napari_unet.core.tasks.base import Task
    from napari_unet.core.training.division import Division
    from napari_unet.core.training.settings import TrainingSettings

__all__ = ["Validated", "validated_by_request", "validated_by_run", "without_pixels"]

_FEW_PIXELS = 1000
_FEW_OBJECTS = 20


@dataclass(frozen=True)
class Validated:
    """Data that a model is validated on.

    Parameters
    ----------
    images
        Number of images; each plane of a stack counts.
    strip
        Whether only a strip of each image is used.
    objects
        Number of objects; None if pixels are scored.
    pixels
        Number of scored pixels.
    painted
        Whether only painted pixels are scored.
    """

    images: int
    strip: bool
    objects: int | None
    pixels: int
    painted: bool

    @property
    def few(self) -> bool:
        """Whether the data is too little for a reliable score."""
        if self.objects is not None:
            return self.objects < _FEW_OBJECTS
        return self.pixels < _FEW_PIXELS

    def words(self) -> str:
        """Describe the data, to follow the word "on"."""
        images = f"{self.images} image" if self.images == 1 else f"{self.images} images"
        where = f"a strip of {images}" if self.strip else images
        if self.objects is not None:
            return f"{where} with {self.objects} object{'' if self.objects == 1 else 's'}"
        painted = "painted " if self.painted else ""
        return f"{where}, {self.pixels:,} {painted}pixel{'' if self.pixels == 1 else 's'}"


def validated_by_request(request: TrainRequest) -> Validated | None:
    """Return the validation data of a new run, None without validation; takes a moment."""
    from napari_unet.core.models.model_file import read_info
    from napari_unet.core.models.unet_config import UNetConfig

    settings = request.settings
    if settings is None:
        return None
    unet = UNetConfig(depth=settings.depth)
    if request.start is not None:
        unet = read_info(request.start).unet
    return _validated(request.pairs, request.task, unet, settings, request.split)


def validated_by_run(folder: Path, pairs: Sequence[Pair]) -> Validated | None:
    """Return the validation data of a resumed run, None without validation; takes a moment."""
    from napari_unet.core.training.run_folder import RunFolder

    run = RunFolder(folder).settings()
    return _validated(pairs, run.info.task, run.info.unet, run.training, run.split)


def _validated(
    pairs: Sequence[Pair],
    task: Task,
    unet: UNetConfig,
    settings: TrainingSettings,
    split: Split | None,
) -> Validated | None:
    from napari_unet.core.training.division import divide

    if unet.ndim != 2:
        return None
    stand_ins = [without_pixels(p) for p in pairs]
    fraction, seed = settings.validation_fraction, settings.seed
    division = divide(stand_ins, unet, fraction, seed, split, fingerprints=False)
    return None if division.kind == "none" else _facts(division, task)


def _facts(division: Division, task: Task) -> Validated:
    objects = division.counts["validation_objects"] if task.labels_are_objects else None
    pixels = 0
    for plane in division.validation:
        scored = np.ones(plane.labels.shape, bool) if plane.annotated is None else plane.annotated
        pixels += int((scored & (plane.labels > 0) if task.sparse else scored).sum())
    strip = division.kind == "block"
    return Validated(len(division.validation), strip, objects, pixels, task.sparse)


def without_pixels(pair: Pair) -> Pair:
    """Return the pair without its unused planes, and with an image that takes no memory."""
    labels, annotated, axes = pair.labels, pair.annotated, pair.image.axes
    shape = pair.image.label_shape
    if len(shape) > 2 and pair.empty_planes == "ignore":
        painted = labels.reshape(-1, labels.shape[-2] * labels.shape[-1]).any(axis=1)
        labels = labels.reshape(-1, *shape[-2:])[painted]
        if annotated is not None:
            annotated = annotated.reshape(-1, *shape[-2:])[painted]
        shape, axes = labels.shape, "TCYX" if "C" in axes else "TYX"
        if not painted.any():  # a pair needs at least one plane
            labels, annotated = pair.labels[:1].reshape(-1, *shape[-2:])[:1], None
            shape = labels.shape
    sizes = dict(zip(axes.replace("C", ""), shape, strict=True)) | {"C": pair.image.channels}
    nothing = np.broadcast_to(np.zeros((), np.uint8), [sizes[a] for a in axes])
    image = replace(pair.image, data=nothing, axes=axes, pixel_size=None)
    return replace(pair, image=image, labels=labels, annotated=annotated)
