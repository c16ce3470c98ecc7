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
    "LivePreview",
    "LiveState",
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
class LivePreview:
    """What a live training makes of a part of an image.

    Parameters
    ----------
    name
        The image.
    origin
        Where the part begins, (y, x).
    labels
        Class ids, axes YX.
    uncertainty
        0 (sure) to 255 (undecided), axes YX.
    probability
        0 to 255 of each class but the background, or of objects, axes CYX; None where nobody asked.
    step
        After how many steps.
    applied
        The last message that had been taken in.
    """

    name: str
    origin: tuple[int, int]
    labels: NDArray[np.integer[Any]]
    uncertainty: NDArray[np.uint8]
    probability: NDArray[np.uint8] | None
    step: int
    applied: int


@dataclass(frozen=True)
class LiveState:
    """How a live training goes.

    Parameters
    ----------
    step, loss
        How many steps, and the loss of the last; NaN before the first.
    applied
        The last message that was taken in.
    digests
        Hash of the labels of each image, see `Canvas.digest`.
    score, counts
        See `napari_unet.core.live.strokes.StrokeScores`.
    ready
        Whether two classes are painted.
    """

    step: int
    loss: float
    applied: int
    digests: dict[str, str]
    score: float | None
    counts: dict[int, int]
    ready: bool


@dataclass(frozen=True)
class LiveSuggestion:
    """Where the model is least certain and nothing is painted, and what it makes of it.

    Parameters
    ----------
    name
        The image.
    origin
        Where the window begins, (y, x); None: there is none.
    labels
        Class ids in the window, axes YX.
    reason
        Why there is none: a sentence.
    """

    name: str
    origin: tuple[int, int] | None
    labels: NDArray[np.integer[Any]] | None
    reason: str = ""


@dataclass(frozen=True)
class LiveTrouble:
    """Why something that was told to a live training, or saving it, did not work: a sentence."""

    sentence: str


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
