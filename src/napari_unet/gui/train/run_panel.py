"""A training under way: progress and time left, the curves, and words about how it ended."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.core.tasks.base import Task
from napari_unet.core.tasks.scores import OBJECT_SCORES
from napari_unet.core.training.events import EpochDone, Finished, FinishReason, Started, StepDone
from napari_unet.gui.app.preferences import preferences
from napari_unet.gui.forms import ProgressRow, duration_words, plain_container

if TYPE_CHECKING:
    from magicgui.widgets import Container

    from napari_unet.gui.forms.plots import CurvePlot
    from napari_unet.gui.train.validation import Validated

__all__ = ["RunPanel", "ending_words", "score_words"]

_NOTE_EVERY_S = 1.0
_RESOLUTION = 1000

_REASONS = {
    FinishReason.COMPLETED: "Finished after {time}.",
    FinishReason.STOPPED: "Stopped after {time}; everything is kept.",
    FinishReason.NO_IMPROVEMENT: "Ended early after {time}, as nothing improved any more.",
}


class RunPanel:
    """Progress and curves; `container` goes into the form.

    Attributes
    ----------
    progress
        The bar, with Stop.
    curves
        The plot, once there was something to draw.
    device
        Where "auto" computes, as far as that is known; else empty.
    """

    def __init__(self) -> None:
        self.progress = ProgressRow(
            stop_tooltip="Stop after the step at hand. Everything is kept: the model can be used, "
            "and the run can be resumed."
        )
        self.container: Container[Any] = plain_container([self.progress])
        self.curves: CurvePlot | None = None
        self._score = OBJECT_SCORES.primary
        self._noted_s = 0.0
        self.device = _only_device()

    def wait(self, text: str) -> None:
        """Show the bar and Stop while nothing is measured yet; a moving bar costs too much."""
        self.progress.start(text)
        self.progress.show_progress(0, _RESOLUTION, None, text)

    def start(self, task: Task, history: Sequence[Mapping[str, float]]) -> None:
        """Show empty curves, or those of the part of a run that is done."""
        from napari_unet.gui.forms.plots import CurvePlot

        self._score = task.scores.primary
        title = f"{self._score.label}, validation"
        if self.curves is not None:
            self.curves.hide()
            self.curves.deleteLater()
        self.curves = CurvePlot(title)
        self.curves.hide()  # until there is a point
        self.container.native.layout().addWidget(self.curves)
        for row in history:
            self._add_epoch(int(row["step"]), row)
            if "train_loss" in row:
                self.curves.add("train_loss", row["step"], row["train_loss"])
                self.curves.show()

    def take(self, event: object) -> None:
        """Show an event of the run."""
        if isinstance(event, Started):
            self.device = event.device
            self.progress.show_progress(0, _RESOLUTION, None, "Training")
        elif isinstance(event, StepDone):
            self._take_step(event)
        elif isinstance(event, EpochDone):
            scores = dict(event.scores)
            if event.validation_loss is not None:
                scores["validation_loss"] = event.validation_loss
            self._add_epoch(event.step, scores)

    def _take_step(self, event: StepDone) -> None:
        if self.curves is not None:
            self.curves.add("train_loss", event.step, event.loss)
            self.curves.show()
        now = time.monotonic()
        if now - self._noted_s < _NOTE_EVERY_S:
            return
        self._noted_s = now
        left = max(0.0, event.seconds_left) if event.seconds_left < 1e8 else None
        # All at once, and none of it at once: the bar would repaint the window by itself.
        bar = self.progress.native
        bar.setUpdatesEnabled(False)
        self.progress.show_progress(
            round(_RESOLUTION * event.progress), _RESOLUTION, left, f"Step {event.step:,}"
        )
        bar.setUpdatesEnabled(True)
        if self.curves is not None:
            self.curves.refresh()

    def _add_epoch(self, step: int, scores: Mapping[str, float]) -> None:
        if self.curves is None:
            return
        if "validation_loss" in scores:
            self.curves.add("validation_loss", step, scores["validation_loss"])
        if self._score.key in scores:
            self.curves.add(f"{self._score.label}, validation", step, scores[self._score.key])


def score_words(task: Task, scores: Mapping[str, float], validated: Validated | None = None) -> str:
    """Say the score by which the best model was chosen, and on what; empty without one."""
    primary = task.scores.primary
    if primary.key not in scores:
        return ""
    where = "the validation images" if validated is None else validated.words()
    doubt = ": too few to trust" if validated is not None and validated.few else ""
    return f"{primary.label} {scores[primary.key]:.2f} on {where}{doubt}"


def ending_words(
    finished: Finished,
    task: Task,
    model: str,
    validated: Validated | None = None,
) -> tuple[str, str]:
    """Say how a run ended, what it scored, and where its model is; and the kind of message."""
    how = _REASONS[finished.reason].format(time=duration_words(finished.seconds))
    score = score_words(task, finished.best_scores, validated)
    scored = f"The best model has {score}." if score else "Nothing was validated: no score."
    doubtful = bool(score) and validated is not None and validated.few
    return f"{how} {scored} '{model}' is ready in Predict.", "warning" if doubtful else "good"


def _only_device() -> str:
    """Say "cpu" where nothing else can be: no torch here that could be asked."""
    cards = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")
    return "" if cards or sys.platform == "darwin" or preferences().address else "cpu"
