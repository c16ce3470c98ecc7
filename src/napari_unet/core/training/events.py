"""Events that training yields while it runs: small, plain objects without arrays."""

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
    """Reason for the end of training.

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
    """Event: training starts, or resumes at `step`.

    Parameters
    ----------
    summary
        Data, budget and device in words.
    counts
        Numbers of images, groups and objects for training and for validation.
    step
        Number of steps done before.
    total_steps
        Total number of steps; None for a budget in minutes.
    device, precision
        Device and precision of the computation.

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
    """Event: one optimizer step is done; `progress` runs from 0 to 1.

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
    """Event: an epoch is done and validated.

    Parameters
    ----------
    epoch, step
        Number of the epoch and of its last step, from 1.
    train_loss
        Mean loss over the steps of the epoch.
    validation_loss
        Loss on the validation images; None without validation.
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
    """Event: the model and the resumable state were written to the run folder.

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
    """Event: training has ended.

    Parameters
    ----------
    reason
        Reason for the end.
    step
        Total number of steps done.
    last_model
        Path of the latest model.
    best_model
        Path of the model with the best validation score; None without validation.
    best_scores
        Scores of the best model.
    seconds
        Total training time in seconds, including the time before resuming.

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
