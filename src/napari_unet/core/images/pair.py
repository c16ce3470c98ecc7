"""An image with its labels, and its planes as a network processes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.labels import as_labels

__all__ = ["Pair", "Plane"]


@dataclass(frozen=True)
class Plane:
    """One plane of a pair (a volume for a 3-D network), as a network processes it.

    Parameters
    ----------
    image
        Raw values, axes CYX (or CZYX).
    labels
        Integers, axes YX (or ZYX).
    annotated
        True in the annotated area, same axes as `labels`; None: everywhere.
    name
        Name of the pair and position in its stack.
    group
        Name of the group; a split keeps groups together.
    rgb
        Whether the channels are red, green and blue.
    scope
        Data that the plane is normalised with, axes CYX or CZYX, see `Image.scope`; None: its own.
    """

    image: NDArray[Any]
    labels: NDArray[np.integer[Any]]
    annotated: NDArray[np.bool_] | None
    name: str
    group: str
    rgb: bool = False
    scope: Any = None

    @property
    def labelled(self) -> bool:
        """Whether the annotated area has any labels."""
        painted = self.labels > 0
        return bool((painted if self.annotated is None else painted & self.annotated).any())


@dataclass(frozen=True)
class Pair:
    """An image and its labels; all training data consists of pairs.

    Parameters
    ----------
    image
        The image.
    labels
        Integers from 0; axes of the image without C. Bool and whole-numbered floats are converted.
        The meaning of 0 depends on the task.
    annotated
        Mask of the annotated area, same shape as `labels`; None: everywhere.
    group
        Name of the group; a split keeps groups together. None: the image's name.
    empty_planes
        Meaning of a plane of a stack without labels: ``"ignore"`` (not annotated yet) or
        ``"background"`` (annotated, but empty).

    Raises
    ------
    LabelsError
        If the labels are invalid or do not match the image.

    Examples
    --------
    >>> from napari_unet import Image, Pair, synthetic_nuclei
    >>> pixels, labels = synthetic_nuclei((64, 64), 6)
    >>> pair = Pair(Image(pixels, "YX", name="field 1"), labels, group="slide A")
    >>> pair.name, pair.group
    ('field 1', 'slide A')
    """

    image: Image
    labels: NDArray[Any]
    annotated: NDArray[np.bool_] | None = None
    group: str | None = None
    empty_planes: Literal["ignore", "background"] = "ignore"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", as_labels(self.labels, self.name))
        for what, array in (("labels", self.labels), ("annotated areas", self.annotated)):
            if array is not None and array.shape != self.image.label_shape:
                raise LabelsError(
                    f"'{self.name}': the image has shape {self.image.label_shape} "
                    f"({self.image.label_axes}) and its {what} {array.shape}. "
                    f"Expected the same: choose the {what} that belong to this image."
                )

    @property
    def name(self) -> str:
        """Name of the image."""
        return self.image.name

    def planes(self, ndim: int = 2) -> list[Plane]:
        """Return the annotated planes of the pair (volumes for `ndim` 3)."""
        leading = self.image.label_axes[: -ndim if ndim else None]
        planes = []
        scopes: dict[int | None, Any] = {}
        for position, data in self.image.planes(ndim):
            index = tuple(position[a] for a in leading)
            labels = self.labels[index]
            annotated = None if self.annotated is None else self.annotated[index]
            if leading and self.empty_planes == "ignore" and not labels.any():
                continue
            where = "".join(f" {a}={i}" for a, i in position.items())
            time = position.get("T")
            if "Z" in position and time not in scopes:
                scopes[time] = self.image.scope(position)
            planes.append(
                Plane(
                    image=np.asarray(data),
                    labels=labels,
                    annotated=annotated,
                    name=self.name + where,
                    group=self.group or self.name,
                    rgb=self.image.rgb,
                    scope=scopes.get(time),
                )
            )
        return planes
