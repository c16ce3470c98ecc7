"""Resuming the last run or live session, or any run on disk; names the button."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog

from napari_unet.gui.app.preferences import preferences
from napari_unet.gui.train.data import same_layers

if TYPE_CHECKING:
    from napari_unet.gui.live.controller import LiveController
    from napari_unet.gui.train.controller import TrainController
    from napari_unet.gui.train.layout import TrainLayout

__all__ = ["Resuming"]

_LONGEST_RUN_NAME = 20


class Resuming:
    """Offers to resume the last run or session, or any run on disk.

    Parameters
    ----------
    layout
        The controls of the Train widget.
    controller, live
        Run trainings and live trainings.
    resume
        Resumes the run or session in a folder.
    """

    def __init__(
        self,
        layout: TrainLayout,
        controller: TrainController,
        live: LiveController,
        resume: Callable[[Path], None],
    ) -> None:
        self._layout, self._controller, self._live = layout, controller, live
        self._resume = resume
        self._live_was_last = live.folder is not None
        layout.resume_button.changed.connect(self.resume_last)
        layout.other_run_button.changed.connect(self._choose_run)
        controller.began.connect(self._on_began)

    @property
    def folder(self) -> Path | None:
        """Folder of the run or live session that ended last, if it can be resumed."""
        return self._live.folder if self._live_was_last else self._controller.resumable

    def resume_last(self) -> None:
        """Resume the run or live session that ended last."""
        if (folder := self.folder) is not None:
            self._resume(folder)

    def note_live(self) -> None:
        """Offer the live session that ended, if it can be resumed."""
        self._live_was_last = self._live.folder is not None

    def show(self) -> None:
        """Show Resume if nothing runs and there is something to resume."""
        busy = self._controller.busy or self._live.running
        self._layout.resume_button.visible = not busy and self.folder is not None

    def name_button(self) -> None:
        """Name the run on the button if it used other data than is chosen now."""
        folder, button = self.folder, self._layout.resume_button
        if folder is None:
            return
        if self._live_was_last:
            button.text = "Resume live"
            button.tooltip = f"Continue the Live session in {folder}"
            return
        same = same_layers(self._controller.sources, self._layout.choice())
        fits = len(folder.name) <= _LONGEST_RUN_NAME
        button.text = "Resume" if same or not fits else f"Resume '{folder.name}'"
        what = "this run" if same else f"the run '{folder.name}', trained on other data,"
        button.tooltip = f"Continue {what} in {folder}"

    def _on_began(self) -> None:
        self._live_was_last = False

    def _choose_run(self) -> None:
        runs = preferences().data_folder / "runs"
        start = str(runs if runs.is_dir() else Path.home())
        folder = QFileDialog.getExistingDirectory(
            self._layout.native, "Choose the folder of a run", start
        )
        if folder:
            self._resume(Path(folder))
