"""Provenance of a live model: the images it learned from and the model it started from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray

from napari_unet.core.images.fingerprint import image_hash, plane_hashes
from napari_unet.core.images.image import Image
from napari_unet.core.models.model import ModelInfo, TrainedOn
from napari_unet.core.training.model_header import made_today

__all__ = ["Sources", "origin"]


class Sources:
    """The images that live training has learned from, including images that were removed."""

    def __init__(self) -> None:
        self._here: dict[str, TrainedOn] = {}
        self._learned: dict[str, TrainedOn] = {}

    def put(self, name: str, image: NDArray[Any]) -> None:
        """Compute the fingerprint of an image of raw values, axes CYX."""
        pixels = image[0] if len(image) == 1 else image  # the axes that `Image` stores
        planes = plane_hashes(Image(image, "CYX")) if len(image) > 1 else ()
        self._here[name] = TrainedOn(
            name=name, group=name, role="training", sha256=image_hash(pixels), planes=planes
        )

    def note(self, names: Iterable[str]) -> None:
        """Record images, by name, as learned from."""
        self._learned |= {self._here[name].sha256: self._here[name] for name in names}

    def load(self, info: ModelInfo) -> None:
        """Read from a header which images the model has learned from."""
        self._learned = {image.sha256: image for image in info.trained_on}

    def describe(self, info: ModelInfo, steps: int, objects: int | None) -> ModelInfo:
        """Return a header with the provenance of the model.

        Parameters
        ----------
        info
            Header to extend; its provenance already names the model that training started from.
        steps
            Number of optimizer steps so far.
        objects
            Number of painted objects; None if labels are classes.
        """
        images = len(self._learned)
        counts = {"train_images": images, "train_groups": images}
        if objects is not None:
            counts["train_objects"] = objects
        made = {**made_today(), "steps": steps, "validation": "none", "counts": counts}
        made["live"] = True
        return info.model_copy(
            update={
                "trained_on": tuple(self._learned.values()),
                "provenance": info.provenance | made,
            }
        )


def origin(start: ModelInfo | None, name: str) -> dict[str, Any]:
    """Return the model that `name` started from, even if it was resumed from its own file."""
    if start is None:
        return {}
    own = start.name == name and start.provenance
    found = start.provenance.get("started_from") if own else start.name
    return {"started_from": found} if found else {}
