"""The images of live training and the labels painted on them."""

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
    """Images of the same kind, the labels painted on them, and a record of the images learned from.

    Attributes
    ----------
    by_name
        Normalised images with their labels, by name.
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
        """Number of channels of each image."""
        return int(next(iter(self.by_name.values())).image.shape[0])

    @property
    def rgb(self) -> bool:
        """Whether the channels of the images are red, green and blue."""
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
        """Check that an image is of the same kind as the others.

        Parameters
        ----------
        name
            Name of the image; an image of the same name is ignored, because it will be replaced.
        channels, rgb
            Number of channels, and whether they are red, green and blue.
        like
            Header of the network that learned from earlier images; None: nothing was learned.

        Raises
        ------
        LabelsError
            If the channels differ from those of the other images.
        """
        names = [other for other in self.by_name if other != name]
        counts = {self.by_name[other].image.shape[0] for other in names}
        colours = {self._in_colour[other] for other in names}
        if like is not None:
            counts, colours = {like.unet.in_channels}, {like.rgb}
        if counts and channels not in counts:
            raise LabelsError(
                f"'{name}' has {channels} channel(s), the other images have {min(counts)}. Choose "
                "images with the same channels."
            )
        if colours and rgb not in colours:
            raise LabelsError(
                f"'{name}' and the other images differ: some are in colour, others are not. Choose "
                "images with the same channels."
            )

    def remove(self, name: str) -> None:
        """Remove an image if it exists."""
        self._measure()
        self.by_name.pop(name, None)

    def note_learned(self) -> None:
        """Record every image with painted labels as learned from."""
        self._sources.note(name for name, canvas in self.by_name.items() if canvas.by_class)

    def load(self, info: ModelInfo) -> None:
        """Read from a header which images were learned from."""
        self._sources.load(info)
        objects = info.provenance.get("counts", {}).get("train_objects", 0)
        self._measured = info.object_diameter_px, objects

    def describe(self, info: ModelInfo, steps: int) -> ModelInfo:
        """Return a header with the images learned from and the diameter of the painted objects.

        Parameters
        ----------
        info
            Header to extend.
        steps
            Number of training steps so far.
        """
        if not info.task.labels_are_objects:
            return self._sources.describe(info, steps, None)
        self._measure()
        diameter, objects = self._measured
        info = info.model_copy(update={"object_diameter_px": diameter})
        return self._sources.describe(info, steps, objects)

    def _measure(self) -> None:
        """Measure diameter and number of the painted objects; if none are left, keep the last."""
        areas = [
            len(pixels)
            for canvas in self.by_name.values()
            for number, pixels in canvas.by_class.items()
            if number != BACKGROUND_ID
        ]
        if areas:
            self._measured = round(median_diameter_px(areas), 1), len(areas)
