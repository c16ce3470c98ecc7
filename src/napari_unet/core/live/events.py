"""Events of live training: its progress, its previews and its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "LiveEvent",
    "LiveFinished",
    "LivePreview",
    "LiveState",
    "LiveSuggestion",
    "LiveTrouble",
]


@dataclass(frozen=True)
class LivePreview:
    """Prediction of part of an image.

    Parameters
    ----------
    name
        Name of the image.
    origin
        First pixel of the part, (y, x).
    labels
        Class ids, or objects 1, 2, ... on background 0, axes YX.
    uncertainty
        Uncertainty from 0 (certain) to 255 (undecided), axes YX.
    probability
        Probability from 0 to 255 of each class except the background, or of objects, axes CYX; None
        unless `ShowView` asked for it.
    step
        Number of training steps before the prediction.
    applied
        Number of the last command applied before the prediction.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet.core.live import LivePreview
    >>> labels = np.ones((64, 64), np.uint8)
    >>> preview = LivePreview("cells", (0, 0), labels, 0 * labels, None, step=20, applied=3)
    >>> preview.labels.shape
    (64, 64)
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
    """Progress of live training.

    Parameters
    ----------
    step, loss
        Number of training steps, and the loss of the last one; NaN before the first.
    applied
        Number of the last command that was applied.
    digests
        Hash of the labels of each image, see `Canvas.digest`.
    score, counts
        See `napari_unet.core.live.strokes.StrokeScores`.
    ready
        Whether at least two classes are painted.

    Examples
    --------
    >>> from napari_unet.core.live import LiveState
    >>> state = LiveState(120, 0.31, 5, {}, score=0.87, counts={1: 4, 2: 3}, ready=True)
    >>> f"Step {state.step}: {state.score:.0%} of the latest strokes were predicted."
    'Step 120: 87% of the latest strokes were predicted.'
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
    """Answer to `Suggest`: the least certain unpainted window of an image, and its prediction.

    Parameters
    ----------
    name
        Name of the image.
    origin
        First pixel of the suggested labels, (y, x); None if there is no such window.
    labels
        Suggested labels, axes YX, 0 for pixels without a suggestion; None if there is no such
        window.
    reason
        Sentence that explains why there is no such window.

    Examples
    --------
    >>> from napari_unet.core.live import LiveSuggestion
    >>> LiveSuggestion("cells", None, None, "Everything is painted.").reason
    'Everything is painted.'
    """

    name: str
    origin: tuple[int, int] | None
    labels: NDArray[np.integer[Any]] | None
    reason: str = ""


@dataclass(frozen=True)
class LiveTrouble:
    """A sentence that explains why a command or saving the session failed; training continues.

    Examples
    --------
    >>> from napari_unet.core.live import LiveTrouble
    >>> LiveTrouble("The disk is full.").sentence
    'The disk is full.'
    """

    sentence: str


@dataclass(frozen=True)
class LiveFinished:
    """The last event.

    Parameters
    ----------
    model
        Path of the model file; None if nothing was learned.
    steps
        Number of training steps.
    score
        As in `LiveState`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from napari_unet.core.live import LiveFinished
    >>> LiveFinished(Path("session/last.safetensors"), 240, 0.87).model.name
    'last.safetensors'
    """

    model: Path | None
    steps: int
    score: float | None


LiveEvent = LiveState | LivePreview | LiveSuggestion | LiveTrouble | LiveFinished
"""Any event that `run_live` yields."""
