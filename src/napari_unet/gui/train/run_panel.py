"""Progress and curves of a running training, and the message at its end."""

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
    FinishReason.STOPPED: "Stopped after {time}; you can resume the run any time.",
    FinishReason.NO_IMPROVEMENT: "Ended early after {time} because the score stopped improving.",
}


class RunPanel:
    """Progress and curves of a run; `container` is the widget for the form.

    Attributes
    ----------
    progress
        The progress bar with the Stop button.
    curves
        The plot; None before the first run.
    device
        Device that "auto" stands for; empty if unknown.
    """

    def __init__(self) -> None:
        self.progress = ProgressRow(
            stop_tooltip="Stop after the current step. You can use the model and resume the run."
        )
        self.container: Container[Any] = plain_container([self.progress])
        self.curves: CurvePlot | None = None
        self._score = OBJECT_SCORES.primary
        self._noted_s = 0.0
        self.device = _only_device()

    def wait(self, text: str) -> None:
        """Show an empty bar and Stop; a moving bar would cost too much time."""
        self.progress.start(text)
        self.progress.show_progress(0, _RESOLUTION, None, text)

    def start(self, task: Task, history: Sequence[Mapping[str, float]]) -> None:
        """Show empty curves, or those of the completed part of a run."""
        from napari_unet.gui.forms.plots import CurvePlot

        self._score = task.scores.primary
        title = f"{self._score.label}, validation"
        if self.curves is not None:
            self.curves.hide()
            self.curves.deleteLater()
        self.curves = CurvePlot(title)
        self.curves.hide()  # until there is a point to draw
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
        # Update everything in one repaint; otherwise each change of the bar repaints the window.
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
    """Describe the score of the best model and its validation images; empty without a score."""
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
    """Return the message at the end of a run (reason, score, model) and its kind."""
    how = _REASONS[finished.reason].format(time=duration_words(finished.seconds))
    score = score_words(task, finished.best_scores, validated)
    scored = (
        f"The best model has {score}."
        if score
        else "There is no score because nothing was validated."
    )
    doubtful = bool(score) and validated is not None and validated.few
    return f"{how} {scored} '{model}' is ready in Predict.", "warning" if doubtful else "good"


def _only_device() -> str:
    """Return "cpu" if there is no other device, found out without importing torch; else empty."""
    cards = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")
    return "" if cards or sys.platform == "darwin" or preferences().address else "cpu"
