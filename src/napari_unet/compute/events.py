"""Events of a job, besides those of training."""

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
    """Progress of a job.

    Parameters
    ----------
    done
        Number of finished blocks or files; a fraction counts a part of the current file.
    total
        Number of all blocks or files.
    seconds_left
        Estimated time left in seconds; None: unknown.
    """

    done: float
    total: int
    seconds_left: float | None = None


@dataclass(frozen=True)
class Preview:
    """Prediction of the preview image by the network in training.

    Parameters
    ----------
    labels
        Predicted labels, axes YX.
    step
        Training step of the prediction.
    """

    labels: NDArray[np.integer[Any]]
    step: int


@dataclass(frozen=True)
class Ended:
    """The last event of every job.

    Parameters
    ----------
    result
        Result of the job; None if it failed.
    error
        Error that ended the job; None if it succeeded.
    """

    result: Any | None
    error: UNetError | None


@dataclass(frozen=True)
class Accepted:
    """A worker has started the job; listeners do not receive this event."""

    worker: str


@dataclass(frozen=True)
class PreviewReady:
    """A preview can be fetched from the worker; listeners do not receive this event."""

    step: int


@dataclass(frozen=True)
class Over:
    """The last event of the worker, before the result; listeners do not receive it."""
