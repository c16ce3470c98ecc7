"""Intake of images into live training, which keeps the labels of images that are not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import ImageError, UNetError
from napari_unet.core.images.normalization import IntensityRange
from napari_unet.core.live.commands import LiveImage, Paint
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.live.trainer import LiveTraining

__all__ = ["ImageIntake"]

Labels = NDArray[np.integer[Any]]


class ImageIntake:
    """Passes images and strokes to live training, and keeps the labels of unused images.

    Parameters
    ----------
    training
        Training that receives the images and strokes.

    Attributes
    ----------
    unused
        Labels of images that were refused or removed, by the name of the image.
    """

    def __init__(self, training: LiveTraining) -> None:
        self._training = training
        self._ranges: dict[str, list[IntensityRange]] = {}
        self._problems: dict[str, str] = {}
        self.unused: dict[str, Labels] = {}

    def put_all(self, images: Mapping[str, LiveImage], known: Mapping[str, Labels]) -> list[str]:
        """Add every image that can be used.

        Parameters
        ----------
        images
            Images by name.
        known
            Labels that were learned before, by name of the image.

        Returns
        -------
        list of str
            One sentence for each refused image, with the reason.

        Raises
        ------
        UNetError
            If the only image is refused.
        """
        problems = []
        for name, image in images.items():
            try:
                self.put(name, image, known.get(name))
            except UNetError as error:
                if len(images) == 1:
                    raise
                problems.append(str(error))
        return problems

    def put(self, name: str, image: LiveImage, known: Labels | None = None) -> None:
        """Add an image, or replace the image of the same name.

        Raises
        ------
        ImageError
            If the stack that contains the image has no intensity range.
        UNetError
            If the image or its labels cannot be used.
        """
        pixels = np.asarray(image.pixels)
        pixels = pixels[None] if pixels.ndim == 2 else pixels
        labels = image.labels
        labels = np.zeros(pixels.shape[-2:], np.uint8) if labels is None else np.asarray(labels)
        self.unused[name] = labels  # kept even if the image is refused
        ranges = self._ranges_of(name, image)
        self._training.put(name, pixels, labels, image.rgb, ranges, known)
        del self.unused[name]

    def remove(self, name: str) -> None:
        """Stop training on an image; keep its labels if anything is painted."""
        labels = self._training.labels().get(name)
        if labels is None:
            return
        if labels.any():
            self.unused[name] = labels
        self._training.remove(name)

    def paint(self, stroke: Paint, *, judged: bool = True) -> None:
        """Apply a stroke to the labels of an image, even if the image is not used."""
        block = np.asarray(stroke.block)
        if stroke.name in self._training.labels():
            self._training.edit(
                stroke.name,
                stroke.origin,
                block,
                judged=judged and stroke.judged,
                continues=stroke.continues,
            )
        elif stroke.name in self.unused:
            labels = self.unused[stroke.name]
            canvas = Canvas(np.empty((0, *labels.shape), np.float32), labels)
            canvas.edit(stroke.origin, block)
            self.unused[stroke.name] = canvas.labels

    def keep(self, labels: Iterator[tuple[str, Labels]]) -> None:
        """Keep the labels of images that are not open, if anything is painted on them."""
        self.unused |= {name: values for name, values in labels if values.any()}

    def _ranges_of(self, name: str, image: LiveImage) -> list[IntensityRange] | None:
        """Return the intensity range of the stack that contains an image; None: the image's own."""
        stack = image.scope_name
        if image.scope is not None:
            self._problems.pop(stack, None)
            scope = np.asarray(image.scope)
            try:
                self._ranges[stack] = self._training.ranges(scope, image.rgb, name)
            except UNetError as error:
                self._problems[stack] = str(error)
                raise
        if stack in self._problems:  # the image's own range would differ from the stack's
            raise ImageError(
                f"'{name}' is not used because its stack cannot be used: {self._problems[stack]}"
            )
        return self._ranges.get(stack)
