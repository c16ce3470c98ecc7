"""End of a live training: copies its model to the user's models and reports the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.core.errors import UNetError
from napari_unet.gui.app.background import Background
from napari_unet.gui.app.session import session

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

    from napari_unet.core.live.events import LiveFinished, LiveState
    from napari_unet.gui.live.run import LiveRun

__all__ = ["keep_model", "state_words"]


def keep_model(
    run: LiveRun,
    finished: LiveFinished,
    parent: QObject,
    done: Callable[[Path | None, str, str], None],
) -> None:
    """Copy the model of a training to the user's models, on another thread.

    Parameters
    ----------
    run
        The live training.
    finished
        Result of the training.
    parent
        `done` is not called after this object is destroyed.
    done
        Called with the model file (None if there is no model), a message and its kind.
    """
    model = finished.model
    if model is None:
        done(None, "No model was saved: too little was painted to train on.", "info")
        return

    def keep() -> Path:
        from napari_unet.core.models.catalogue import add_model

        return add_model(model, run.form.name)

    def kept(result: Any) -> None:
        if isinstance(result, UNetError):
            done(None, f"{result} The session is saved in {run.form.folder}.", "error")
            return
        session().models_changed.emit()
        how = f"Stopped after {finished.steps:,} steps. {_score_words(finished.score)}"
        done(result, f"{how} '{result.stem}' is ready in Predict.", "good")

    Background(keep, kept, parent)


def state_words(state: LiveState) -> str:
    """Describe the progress and the score of a training."""
    return f"Live, step {state.step:,}. {_score_words(state.score)}"


def _score_words(score: float | None) -> str:
    if score is None:
        return "Paint more strokes to get a score."
    return f"It predicted {score:.0%} of your latest strokes before learning them."
