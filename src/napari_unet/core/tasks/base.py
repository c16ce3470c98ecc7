"""The interface of every task, and what holds for all of them unless they say otherwise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.pair import Pair
from napari_unet.core.settings import Settings, parse_settings
from napari_unet.core.tasks.adjustments import Adjustment, adjustments_of, merge_adjustments

__all__ = ["Head", "Task"]


Labels = NDArray[np.integer[Any]]


Targets = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Head:
    """One group of output channels.

    Parameters
    ----------
    name
        What it predicts.
    channels
        How many output channels it has.
    activation
        What turns its logits into outputs.
    vector
        Whether the channels are the components of a vector along the spatial axes (which turns
        with the image when the image is flipped or rotated).

    Examples
    --------
    >>> from napari_unet.core.tasks import Head
    >>> Head("offset", channels=2, activation="linear", vector=True).channels
    2
    """

    name: str
    channels: int
    activation: Literal["sigmoid", "softmax", "linear"]
    vector: bool = False


class Task(Settings, ABC):
    """What the labels of a model mean, and everything that follows from it.

    Arrays have axes YX or ZYX after the first. Subclasses declare ``kind`` as a `Literal` with a
    default; `napari_unet.core.tasks.any_task.register_task` makes them known to model files.

    Parameters
    ----------
    sparse
        Whether 0 means "not annotated" instead of background.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import Instances
    >>> task = Instances()
    >>> labels = np.zeros((64, 64), np.uint16)
    >>> labels[10:30, 10:30] = 1
    >>> targets, weight = task.encode(labels, np.ones(labels.shape, bool))
    >>> targets.shape, weight.shape
    ((4, 64, 64), (3, 64, 64))
    """

    kind: str
    sparse: bool = False

    @property
    @abstractmethod
    def reach_px(self) -> int:
        """How far from a block's edge its decoded labels may depend on what lies beyond."""

    @property
    @abstractmethod
    def heads(self) -> tuple[Head, ...]:
        """The output groups, in the order of the network's output channels."""

    @abstractmethod
    def check(self, pairs: list[Pair]) -> None:
        """Raise `LabelsError` if the pairs' labels cannot teach this task."""

    @abstractmethod
    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Turn labels into targets (T, ...) and one weight per head (H, ...), 0 = ignore."""

    @abstractmethod
    def decode(self, outputs: NDArray[np.float32]) -> Labels:
        """Turn activated outputs (channels, ...) into labels."""

    # -- what may be adjusted after a prediction --------------------------------------------------

    @classmethod
    def possible_adjustments(cls) -> tuple[Adjustment, ...]:
        """List what any task of this kind lets a user adjust, with the defaults as values."""
        return merge_adjustments([cls])

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """What can be adjusted after a prediction, with its current values."""
        return adjustments_of(self)

    def adjusted(self, values: Mapping[str, float]) -> Self:
        """Return the same task with other values of its adjustments.

        Parameters
        ----------
        values
            Values by `Adjustment.name`; those left out stay as they are.

        Raises
        ------
        SettingsError
            If a value is out of range, or the task has no adjustment of that name.
        """
        for name in values.keys() - {a.name for a in self.adjustments}:
            words = name.removesuffix("_px").replace("_", "-")
            raise SettingsError(
                f"The task has no {words}: {self.why_not_adjustable(name)}. Leave it out."
            )
        return self._with_adjustments(dict(values)) if values else self

    def why_not_adjustable(self, name: str) -> str:
        """Explain in half a sentence why there is no adjustment of that name."""
        known = ", ".join(a.name for a in self.adjustments) or "nothing"
        return f"expected among {known}"

    def _with_adjustments(self, values: dict[str, float]) -> Self:
        return parse_settings(type(self), self.model_dump() | values)
