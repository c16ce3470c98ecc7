"""The images of a live training and the labels that are painted on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation.measure import median_diameter_px
from napari_unet.core.images.normalization import IntensityRange, apply_ranges
from napari_unet.core.live.label_meaning import BACKGROUND_ID
from napari_unet.core.live.sources import Sources
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.models.model import ModelInfo

__all__ = ["Canvases"]

Labels = NDArray[np.integer[Any]]


class Canvases:
    """Images of one kind by their names, what is painted on them, and what was learned from.

    Attributes
    ----------
    by_name
        The images, normalised, with their labels.
    """

    def __init__(self) -> None:
        self.by_name: dict[str, Canvas] = {}
        self._in_colour: dict[str, bool] = {}
        self._sources = Sources()
        self._measured: tuple[float | None, int] = None, 0

    def __getitem__(self, name: str) -> Canvas:
        return self.by_name[name]

    @property
    def channels(self) -> int:
        """Number of channels of the first image, and so of all."""
        return int(next(iter(self.by_name.values())).image.shape[0])

    @property
    def rgb(self) -> bool:
        """Whether the channels of the first image, and so of all, are red, green and blue."""
        return self._in_colour[next(iter(self.by_name))]

    def put(
        self,
        name: str,
        image: NDArray[Any],
        labels: Labels,
        ranges: Sequence[IntensityRange],
        rgb: bool = False,
        known: Labels | None = None,
    ) -> None:
        """Add an image, or replace it; parameters as for `LiveTraining.put`."""
        self.by_name[name] = Canvas(apply_ranges(image, list(ranges)), labels, known)
        self._in_colour[name] = rgb
        self._sources.put(name, image)

    def check(self, name: str, channels: int, rgb: bool, like: ModelInfo | None) -> None:
        """Check whether an image is of the same kind as the others.

        Parameters
        ----------
        name
            The image; one of the same name is about to be replaced.
        channels, rgb
            How many channels it has, and whether they are red, green and blue.
        like
            Header of the network that learned from earlier images; None: nothing was learned.

        Raises
        ------
        LabelsError
            If it is not.
        """
        names = [other for other in self.by_name if other != name]
        counts = {self.by_name[other].image.shape[0] for other in names}
        colours = {self._in_colour[other] for other in names}
        if like is not None:
            counts, colours = {like.unet.in_channels}, {like.rgb}
        if counts and channels not in counts:
            raise LabelsError(
                f"'{name}' has {channels} channel(s), the other images {min(counts)}: "
                "expected the same. Choose images of one kind."
            )
        if colours and rgb not in colours:
            raise LabelsError(
                f"'{name}' and the other images are not alike: some are in colour, others not. "
                "Choose images of one kind."
            )

    def remove(self, name: str) -> None:
        """Remove an image, if it is there."""
        self._measure()
        self.by_name.pop(name, None)

    def note_learned(self) -> None:
        """Remember the images that something is painted on as learned from."""
        self._sources.note(name for name, canvas in self.by_name.items() if canvas.by_class)

    def load(self, info: ModelInfo) -> None:
        """Take over from a header what was learned from."""
        self._sources.load(info)
        objects = info.provenance.get("counts", {}).get("train_objects", 0)
        self._measured = info.object_diameter_px, objects

    def describe(self, info: ModelInfo, steps: int) -> ModelInfo:
        """Add to a header what was learned from, and how wide the painted objects are.

        Parameters
        ----------
        info
            The header.
        steps
            Steps taken.
        """
        if not info.task.labels_are_objects:
            return self._sources.describe(info, steps, None)
        self._measure()
        diameter, objects = self._measured
        info = info.model_copy(update={"object_diameter_px": diameter})
        return self._sources.describe(info, steps, objects)

    def _measure(self) -> None:
        """Note how wide the painted objects are, and how many; if none are left, keep the last."""
        areas = [
            len(pixels)
            for canvas in self.by_name.values()
            for number, pixels in canvas.by_class.items()
            if number != BACKGROUND_ID
        ]
        if areas:
            self._measured = round(median_diameter_px(areas), 1), len(areas)
