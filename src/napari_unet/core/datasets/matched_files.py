"""The files that belong to one image, matched by folder, table or name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.datasets.label_reading import read_area, read_truth
from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.io.image_files import read_image, read_labels

__all__ = ["EmptyPlanes", "MatchedFiles"]

EmptyPlanes = Literal["ignore", "background"]
"""Meaning of a plane of a stack without labels; see `napari_unet.core.images.pair.Pair`."""


@dataclass(frozen=True)
class MatchedFiles:
    """The files that belong to one image: an image file, label files, or both.

    Parameters
    ----------
    name
        Name in messages and results.
    image
        Path of the image file; None if there are only labels.
    labels
        Paths of the ground truth: one label file, or several masks of one object each.
    prediction
        Path of the label file to score against the ground truth.
    annotated
        Path of the mask of the annotated area; None: everywhere.
    group
        Name of the group; a split keeps groups together. None: a separate group.
    row_name
        Name in tables if it differs from `name`: the file name, with folders if it is not unique.
    """

    name: str
    image: Path | None = None
    labels: tuple[Path, ...] = ()
    prediction: Path | None = None
    annotated: Path | None = None
    group: str | None = None
    row_name: str = ""

    @property
    def path(self) -> Path:
        """The image file; if there is none, the first file of the labels."""
        return self.labels[0] if self.image is None else self.image

    def load_pair(
        self,
        channels: Sequence[str | int] | None = None,
        axes: str | None = None,
        repair: Collection[str] = (),
        empty_planes: EmptyPlanes = "ignore",
    ) -> Pair:
        """Read image, labels and annotated area.

        Parameters
        ----------
        channels, axes
            As in `napari_unet.core.io.image_files.read_image`.
        repair
            Kinds of issues to repair in the labels, see `napari_unet.core.datasets.label_repair`.
        empty_planes
            As in `napari_unet.core.images.pair.Pair`.

        Raises
        ------
        ImageError, LabelsError
            If one of the files is missing or cannot be read, or they do not match.
        """
        if self.image is None or not self.labels:
            raise ImageError(f"'{self.name}' has no image or no labels: expected files of both.")
        image = replace(read_image(self.image, channels, axes=axes), name=self.name)
        labels = read_truth(self.labels, image.label_axes, repair, self.name)
        return Pair(image, labels, self.load_area(image.label_axes), self.group, empty_planes)

    def load_comparison(self, axes: str | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Read the prediction and the ground truth.

        Parameters
        ----------
        axes
            As in `napari_unet.core.io.image_files.read_labels`.

        Raises
        ------
        LabelsError
            If a file is missing or cannot be read.
        """
        if self.prediction is None or not self.labels:
            raise LabelsError(f"'{self.name}' has no prediction or no ground truth: expected both.")
        prediction = read_labels(self.prediction, axes=axes)
        if len(self.labels) == 1:
            return prediction, read_labels(self.labels[0], axes=axes)
        return prediction, read_truth(self.labels, name=self.name)

    def load_area(self, axes: str | None = None) -> NDArray[np.bool_] | None:
        """Read the mask of the annotated area, or return None without one; raises `LabelsError`."""
        return None if self.annotated is None else read_area(self.annotated, axes)

    def load_image(self, axes: str | None = None) -> Image | None:
        """Read the image, or return None without one; raises `ImageError`."""
        return None if self.image is None else read_image(self.image, axes=axes)
