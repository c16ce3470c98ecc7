"""TODO: core/tasks/base.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.images.pair import Pair

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
    """

    name: str
    channels: int
    activation: Literal["sigmoid", "softmax", "linear"]
    vector: bool = False


class Task(Protocol):
    """What every task offers; arrays have axes YX or ZYX after the first."""

    sparse: bool

    @property
    def reach_px(self) -> int:
        """How far from a block's edge its decoded labels may depend on what lies beyond."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """The output groups, in the order of the network's output channels."""

    def check(self, pairs: list[Pair]) -> None:
        """Raise `LabelsError` where the pairs' labels cannot teach this task."""

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Turn labels into targets (T, ...) and one weight per head (H, ...), 0 = ignore."""

    def decode(self, outputs: NDArray[np.float32]) -> Labels:
        """Turn activated outputs (channels, ...) into labels."""
