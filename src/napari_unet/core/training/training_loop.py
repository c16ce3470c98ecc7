"""One run of the training loop: steps, validations, checkpoints and the budget."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.blocks import BlockNetwork
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import read_info
from napari_unet.core.system.allocator import keeping_freed_memory
from napari_unet.core.system.device import Compute
from napari_unet.core.training.checks import check_division
from napari_unet.core.training.division import Division, divide
from napari_unet.core.training.events import (
    CheckpointSaved,
    EpochDone,
    Event,
    Finished,
    FinishReason,
    Started,
    StepDone,
)
from napari_unet.core.training.learner import Learner
from napari_unet.core.training.model_header import made_today
from napari_unet.core.training.run_folder import RunFolder, RunSettings, SavedState
from napari_unet.core.training.sampling import Batch, PatchSampler, normalized, prefetched
from napari_unet.core.training.settings import TrainingSettings
from napari_unet.core.training.validation import ValidationSet

__all__ = ["Loop", "OnPreview", "Preview", "ShouldStop"]

ShouldStop = Callable[[], bool]
OnPreview = Callable[[Model, int], None]

_CHECKPOINT_S = 60
"""Longest time between two checkpoints, so that a crash in a long epoch loses little work."""


class Preview:
    """Periodic preview of the model during training."""

    def __init__(self, show: OnPreview | None, every_s: float) -> None:
        self._show = show
        self._every_s = every_s
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for another preview."""
        return self._show is not None and time.monotonic() - self._last >= self._every_s

    def __call__(self, model: Callable[[], Model], step: int) -> None:
        """Show the model; the interval to the next preview starts when this one is done."""
        if self._show is not None:
            self._show(model(), step)
            self._last = time.monotonic()


@dataclass
class Position:
    """Position of a run: plain values that are saved with the state."""

    step: int = 0
    epoch: int = 0
    seconds: float = 0.0
    epoch_loss: float = 0.0
    epoch_start: int = 0
    best_score: float = -math.inf
    best_scores: dict[str, float] = field(default_factory=dict)
    epochs_without_improvement: int = 0
    finished: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)


class Loop:
    """One run of the training loop.

    Parameters
    ----------
    pairs
        Images with labels.
    run
        Settings of the run.
    compute
        Device and precision.
    folder
        Folder of the run.
    """

    def __init__(
        self, pairs: list[Pair], run: RunSettings, compute: Compute, folder: RunFolder
    ) -> None:
        self._run = run
        self._settings = settings = run.training
        self._task = task = run.info.task
        self._compute = compute
        self._folder = folder
        fraction, seed = settings.validation_fraction, settings.seed
        division = divide(pairs, run.info.unet, fraction, seed, run.split)
        check_division(division)
        self._division = division
        self._sampler = PatchSampler(
            normalized(division.train, settings.normalization), task, settings
        )
        self._validation = ValidationSet(
            normalized(division.validation, settings.normalization), task
        )
        self._epoch_steps = settings.epoch_steps or _default_epoch_steps(division, settings)
        self._position = Position()
        self._validation_s = 0.0
        self.learner = Learner(run.info, settings, compute)

    def start_from(self, model: Model) -> None:
        """Load the weights of a trained network that fit."""
        self.learner.start_from(model, self._run.info, self._sampler.batch(0))

    # -- state ---------------------------------------------------------------------------------

    def restore(self, state: SavedState) -> None:
        """Restore the saved state of a run."""
        self.learner.restore(state.tensors, state.values["learner"])
        self._position = Position(**state.values["position"])

    def check_same_images(self) -> None:
        """Raise `SettingsError` if the images differ from those that the run was started with."""
        before = read_info(self._folder.last_model).trained_on
        now = self._division.trained_on
        if [(i.name, i.group, i.role) for i in before] != [(i.name, i.group, i.role) for i in now]:
            raise SettingsError(
                "The images, their groups or their use for training and validation differ from "
                f"those that the run in {self._folder.path} was started with. Restore them, or "
                "start a new run from the last model of this one."
            )
        for old, new in zip(before, now, strict=True):
            if old.sha256 != new.sha256:
                raise SettingsError(
                    f"'{new.name}' is not the image that the run in {self._folder.path} was "
                    "started with: its pixels differ. Restore it, or start a new run from the last "
                    "model of this one."
                )

    def _state(self) -> SavedState:
        tensors, values = self.learner.state()
        return SavedState(tensors, {"position": vars(self._position), "learner": values})

    def _model(self) -> Model:
        """Build the current averaged model."""
        latest = self._position.history[-1] if self._position.history else {}
        current = latest.get("step") == self._position.step
        scores = {k: v for k, v in latest.items() if k not in _HISTORY_COLUMNS} if current else {}
        info = self._run.info.model_copy(
            update={
                "trained_on": self._division.trained_on,
                "scores": scores,
                "provenance": self._provenance(),
            }
        )
        return Model(info, self.learner.weights())

    def _provenance(self) -> dict[str, Any]:
        return {
            **self._run.info.provenance,
            **made_today(),
            "steps": self._position.step,
            "seconds": round(self._position.seconds, 1),
            "validation": self._division.kind,
            "counts": self._division.counts,
            "settings": self._settings.model_dump(mode="json"),
        }

    # -- the loop ------------------------------------------------------------------------------

    def run(self, should_stop: ShouldStop, preview: Preview) -> Iterator[Event]:
        """Train until the budget is spent, the score stops improving, or `should_stop` is True."""
        self._preview = preview
        yield self._started()
        self._saved = time.monotonic()
        self._clock = self._saved - self._position.seconds
        reason = self._end_reason()
        ahead = 2 if self._compute.spares_a_core else 0
        drawn = prefetched(self._sampler, self._position.step, ahead)
        with keeping_freed_memory(), contextlib.closing(drawn) as batches:
            while reason is None:
                if self._progress() >= 1:
                    reason = FinishReason.COMPLETED
                elif should_stop():
                    reason = FinishReason.STOPPED
                else:
                    yield self._step(next(batches))
                    if self._position.step % self._epoch_steps == 0:
                        yield from self._end_epoch()
                        reason = self._improvement_reason()
                        continue
                    if preview.due:
                        preview(self._model, self._position.step)
                    if time.monotonic() - self._saved > _CHECKPOINT_S:
                        self._save(self._model())
                        yield CheckpointSaved(self._position.step, str(self._folder.path))
        yield from self._finish(reason)

    def _started(self) -> Started:
        total = self._total_steps()
        budget = self._settings.budget
        where = f"{self._compute.device} in {self._compute.precision}"
        return Started(
            summary=f"{self._division.describe()}; {budget} on {where}",
            counts=self._division.counts,
            step=self._position.step,
            total_steps=total,
            device=str(self._compute.device),
            precision=self._compute.precision,
        )

    def _step(self, batch: Batch) -> StepDone:
        rate = self._settings.learning_rate * _schedule(self._progress(), self._settings.warmup)
        loss = self.learner.learn(batch, self._position.step, rate)
        position = self._position
        position.step += 1
        position.seconds = time.monotonic() - self._clock
        position.epoch_loss += loss
        progress = self._progress()
        left = position.seconds * (1 - progress) / progress if progress else math.inf
        return StepDone(position.step, loss, rate, min(1.0, progress), left)

    def _end_epoch(self) -> Iterator[Event]:
        start = time.monotonic()
        position = self._position
        position.epoch += 1
        steps = position.step - position.epoch_start
        train_loss = position.epoch_loss / max(1, steps)
        position.epoch_loss, position.epoch_start = 0.0, position.step
        loss, scores = self._validate()
        row = {"epoch": position.epoch, "step": position.step, "train_loss": train_loss}
        row |= {"validation_loss": loss} if loss is not None else {}
        position.history.append(row | scores)
        improved = self._note_improvement(scores)
        model = self._model()
        if improved:
            self._folder.save_best(model)
        self._save(model)
        self._validation_s = time.monotonic() - start
        position.seconds = time.monotonic() - self._clock
        yield EpochDone(position.epoch, position.step, train_loss, loss, scores, improved)
        yield CheckpointSaved(position.step, str(self._folder.path))
        self._preview(self._model, position.step)

    def _validate(self) -> tuple[float | None, dict[str, float]]:
        if not self._division.validation:
            return None, {}
        network = BlockNetwork(self._model(), self._compute)
        loss, scores = self._validation.score(network)
        return loss, {k: v for k, v in scores.items() if math.isfinite(v)}

    def _note_improvement(self, scores: dict[str, float]) -> bool:
        score = scores.get(self._task.scores.primary.key)
        position = self._position
        if score is None:  # no validation
            return False
        if score <= position.best_score:
            position.epochs_without_improvement += 1
            return False
        position.best_score, position.best_scores = score, scores
        position.epochs_without_improvement = 0
        return True

    def _end_reason(self) -> FinishReason | None:
        """Return why a resumed run has already ended, even if it was killed before saving this."""
        if self._position.finished:
            return FinishReason(self._position.finished)
        return self._improvement_reason()

    def _improvement_reason(self) -> FinishReason | None:
        patience = self._settings.patience
        if patience and self._position.epochs_without_improvement >= patience:
            return FinishReason.NO_IMPROVEMENT
        return None

    def _finish(self, reason: FinishReason) -> Iterator[Event]:
        position = self._position
        if not position.finished:
            if reason is not FinishReason.STOPPED:
                if position.step > position.epoch_start:
                    yield from self._end_epoch()
                position.finished = reason.value
            self._save(self._model())
            yield CheckpointSaved(position.step, str(self._folder.path))
        validated = bool(position.best_scores)
        yield Finished(
            reason=reason,
            step=position.step,
            last_model=str(self._folder.last_model),
            best_model=str(self._folder.best_model) if validated else None,
            best_scores=position.best_scores,
            seconds=position.seconds,
        )

    def _save(self, model: Model) -> None:
        """Write the checkpoint; the state comes last, when everything it describes is on disk."""
        self._folder.save_last(model)
        self._folder.write_history(self._position.history, self._task.scores)
        self._folder.save_state(self._state())
        self._saved = time.monotonic()

    # -- the budget ----------------------------------------------------------------------------

    def _total_steps(self) -> int | None:
        budget = self._settings.budget
        if budget.epochs is not None:
            return budget.epochs * self._epoch_steps
        return budget.steps

    def _progress(self) -> float:
        """Compute the spent fraction of the budget, with a reserve for the last validation."""
        total = self._total_steps()
        if total is not None:
            return self._position.step / total
        minutes = self._settings.budget.minutes or math.inf
        return (self._position.seconds + self._validation_s) / (60 * minutes)


_HISTORY_COLUMNS = ("epoch", "step", "train_loss", "validation_loss")


def _schedule(progress: float, warmup: float) -> float:
    """Compute the factor of the learning rate: a linear rise, then a cosine to zero.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017.
    """
    if progress < warmup:
        return max(progress / warmup, 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def _default_epoch_steps(division: Division, settings: TrainingSettings) -> int:
    pixels = sum(p.labels.size for p in division.train)
    patch = settings.patch_px ** division.train[0].labels.ndim
    return int(np.clip(round(pixels / (patch * settings.batch_size)), 20, 400))
