"""How a live training ends: its model is copied to the user's models, and a sentence says so."""

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
        The training.
    finished
        How it ended.
    parent
        When it is gone, `done` is no longer called.
    done
        Called with the model's file, None without one, and a sentence and its kind.
    """
    model = finished.model
    if model is None:
        done(None, "Stopped before anything was learned: too little is painted.", "info")
        return

    def keep() -> Path:
        from napari_unet.core.models.catalogue import add_model

        return add_model(model, run.form.name)

    def kept(result: Any) -> None:
        if isinstance(result, UNetError):
            done(None, f"{result} The session is complete in {run.form.folder}.", "error")
            return
        session().models_changed.emit()
        how = f"Stopped after {finished.steps:,} steps. {_score_words(finished.score)}"
        done(result, f"{how} '{result.stem}' is ready in Predict.", "good")

    Background(keep, kept, parent)


def state_words(state: LiveState) -> str:
    """Describe how far a training is and how good."""
    return f"Live, step {state.step:,}. {_score_words(state.score)}"


def _score_words(score: float | None) -> str:
    if score is None:
        return "Too few strokes to judge it."
    return f"It foresaw {score:.0%} of the latest strokes."
