"""What training reports while it runs: small, plain events without arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "CheckpointSaved",
    "EpochDone",
    "Event",
    "FinishReason",
    "Finished",
    "Started",
    "StepDone",
]


class FinishReason(StrEnum):
    """Why training ended.

    Examples
    --------
    >>> from napari_unet.core.training import FinishReason
    >>> FinishReason("stopped")
    <FinishReason.STOPPED: 'stopped'>
    """

    COMPLETED = "completed"
    STOPPED = "stopped"
    NO_IMPROVEMENT = "no improvement"


@dataclass(frozen=True)
class Started:
    """Training starts, or resumes at `step`.

    Parameters
    ----------
    summary
        What will happen, in words.
    counts
        Images, groups and objects of the training and the validation side.
    step
        Steps done before.
    total_steps
        Steps in all, None with a budget in minutes.
    device, precision
        Where and how it computes.

    Examples
    --------
    >>> from napari_unet.core.training import Started
    >>> event = Started("training on 3 image(s)", {"train_images": 3}, 0, 100, "cpu", "float32")
    >>> f"{event.summary}: {event.total_steps} steps on {event.device}"
    'training on 3 image(s): 100 steps on cpu'
    """

    summary: str
    counts: dict[str, int]
    step: int
    total_steps: int | None
    device: str
    precision: str


@dataclass(frozen=True)
class StepDone:
    """One optimizer step is done; `progress` runs from 0 to 1.

    Examples
    --------
    >>> from napari_unet.core.training import StepDone
    >>> event = StepDone(25, loss=0.31, learning_rate=3e-3, progress=0.25, seconds_left=60.0)
    >>> f"{event.progress:.0%}, loss {event.loss}"
    '25%, loss 0.31'
    """

    step: int
    loss: float
    learning_rate: float
    progress: float
    seconds_left: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch is done and validated.

    Parameters
    ----------
    epoch, step
        Counted from 1.
    train_loss
        Mean over the epoch's steps.
    validation_loss
        None without validation.
    scores
        Scores of the validation images by name; empty without validation.
    is_best
        Whether the model is the best so far; False without validation.

    Examples
    --------
    >>> from napari_unet.core.training import EpochDone
    >>> event = EpochDone(3, 60, train_loss=0.4, scores={"mean_ap_by_image": 0.7}, is_best=True)
    >>> event.scores["mean_ap_by_image"]
    0.7
    """

    epoch: int
    step: int
    train_loss: float
    validation_loss: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    is_best: bool = False


@dataclass(frozen=True)
class CheckpointSaved:
    """Model and resumable state lie in the run folder.

    Examples
    --------
    >>> from napari_unet.core.training import CheckpointSaved
    >>> CheckpointSaved(60, "run").path
    'run'
    """

    step: int
    path: str


@dataclass(frozen=True)
class Finished:
    """Training ended.

    Parameters
    ----------
    reason
        Why.
    step
        Steps done in all.
    last_model
        Path of the model as it is now.
    best_model
        Path of the model with the best validation score, None without validation.
    best_scores
        The scores of the best model.
    seconds
        Time spent training, all sessions together.

    Examples
    --------
    >>> from napari_unet.core.training import Finished, FinishReason
    >>> event = Finished(FinishReason.COMPLETED, 100, "run/last.safetensors", None, {}, 42.0)
    >>> event.best_model or event.last_model
    'run/last.safetensors'
    """

    reason: FinishReason
    step: int
    last_model: str
    best_model: str | None
    best_scores: dict[str, float]
    seconds: float


Event = Started | StepDone | EpochDone | CheckpointSaved | Finished
