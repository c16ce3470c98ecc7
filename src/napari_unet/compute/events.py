"""What a job tells about itself, beside the events of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_unet.core.errors import UNetError

__all__ = [
    "Accepted",
    "Ended",
    "Over",
    "Preview",
    "PreviewReady",
    "Progress",
]


@dataclass(frozen=True)
class Progress:
    """So much is done: blocks of a prediction, or files (with fractions for the one at hand)."""

    done: float
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True)
class Preview:
    """What the network in training makes of the preview image; `labels` has axes YX."""

    labels: NDArray[np.integer[Any]]
    step: int


@dataclass(frozen=True)
class Ended:
    """The last event of every job: its result, or why there is none."""

    result: Any | None
    error: UNetError | None


@dataclass(frozen=True)
class Accepted:
    """A worker has begun; not shown to listeners."""

    worker: str


@dataclass(frozen=True)
class PreviewReady:
    """The worker has a preview to be fetched; not shown to listeners."""

    step: int


@dataclass(frozen=True)
class Over:
    """The worker's last event: the result is about to follow; not shown to listeners."""
