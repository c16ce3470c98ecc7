"""Controller of trainings: prepares, submits, follows, stops and resumes them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_unet.compute import Ended, Preview, ResumeRequest, TrainRequest
from napari_unet.core.errors import Cancelled, UNetError
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.events import Finished
from napari_unet.gui.app.background import Background
from napari_unet.gui.app.jobs import QtJob
from napari_unet.gui.app.session import session
from napari_unet.gui.layers.preview import PreviewLayer, PreviewSource
from napari_unet.gui.train.run_panel import RunPanel, ending_words
from napari_unet.gui.train.validation import Validated, validated_by_request, validated_by_run

if TYPE_CHECKING:
    import napari

__all__ = ["TrainController"]


@dataclass
class _Run:
    """Facts about the current run."""

    folder: Path
    task: Task
    name: str
    replaces: bool
    sources: Mapping[str, Any]
    validated: Validated | None


class TrainController(QObject):
    """Runs one training at a time and shows it in a panel.

    Parameters
    ----------
    viewer
        The viewer that shows the preview.
    panel
        Panel for progress and curves.
    parent
        The widget; the run stops when it is destroyed.

    Attributes
    ----------
    told
        Signal: a message for the user and its kind (info, good, warning, error).
    busy_changed
        Signal: whether a run is being prepared or is running.
    began
        Signal: the run was submitted; before that, it may still be refused.
    """

    told = Signal(str, str)
    busy_changed = Signal(bool)
    began = Signal()

    def __init__(self, viewer: napari.Viewer, panel: RunPanel, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._panel = panel
        self._run: _Run | None = None
        self._qt_job: QtJob | None = None
        self._stopping = False
        self._preview: PreviewLayer | None = None
        self.busy = False
        self.resumable: Path | None = None
        self.model: Path | None = None
        panel.progress.stopped.connect(self.stop)

    def train(self, prepare: Callable[[], TrainRequest], preview: PreviewSource | None) -> None:
        """Start a run with the request that `prepare` makes on another thread."""

        def both() -> Any:
            request = prepare()
            return request, validated_by_request(request)

        def ready(result: Any) -> None:
            if self._refused(result):
                return
            request, validated = result
            folder, sources = request.run_folder, request.sources
            run = _Run(folder, request.task, request.name, False, sources, validated)
            self._submit(request, run, preview, [])

        self._begin("Preparing …")
        Background(both, ready, self)

    def resume(
        self, folder: Path, prepare: Callable[[], ResumeRequest], preview: PreviewSource | None
    ) -> None:
        """Resume the run in `folder`; otherwise like `train`."""

        def both() -> Any:
            from napari_unet.core.training.run_folder import RunFolder

            run = RunFolder(folder)
            settings = run.settings()
            request = prepare()
            validated = validated_by_run(folder, request.pairs)
            return request, settings, validated, run.read_history()

        def ready(result: Any) -> None:
            if self._refused(result):
                return
            request, settings, validated, history = result
            info = settings.info
            run = _Run(folder, info.task, info.name, True, settings.sources, validated)
            self._submit(request, run, preview, history)

        self._begin("Finding the images of the run …")
        Background(both, ready, self)

    @property
    def sources(self) -> Mapping[str, Any]:
        """Sources of the data of the last run; empty before the first run."""
        return {} if self._run is None else self._run.sources

    def stop(self) -> None:
        """Stop after the current step; the run can be resumed."""
        self._stopping = True
        if self._qt_job is not None:
            self._qt_job.stop()

    def _begin(self, text: str) -> None:
        self._stopping = False
        self._set_busy(True)
        self.told.emit("", "info")
        self._panel.wait(text)

    def _refused(self, result: Any) -> bool:
        """Report an error or a stop while preparing; return whether there is nothing to submit."""
        if isinstance(result, UNetError):
            self._finish(str(result), "error")
        elif self._stopping:
            self._finish("Stopped before training began; nothing was written.", "info")
        else:
            return False
        return True

    def _submit(
        self,
        request: TrainRequest | ResumeRequest,
        run: _Run,
        preview: PreviewSource | None,
        history: list[dict[str, float]],
    ) -> None:
        self.resumable = None
        self.began.emit()
        self._run = run
        self._preview = None
        if preview is not None and request.preview is not None:
            about = {"run": str(run.folder), "model": run.name}
            self._preview = PreviewLayer(self._viewer, preview, run.task, about)
        self._panel.start(run.task, history)
        self._panel.wait("Starting …")
        self._qt_job = QtJob(session().engine.submit(request), self)
        self._qt_job.event.connect(self._take)
        self._qt_job.ended.connect(self._end)

    def _take(self, event: object) -> None:
        if isinstance(event, Preview):
            if self._preview is not None:
                self._preview.show(event.labels, event.step)
        else:
            self._panel.take(event)

    def _end(self, ended: Ended) -> None:
        self._qt_job = None
        run = self._run
        assert run is not None
        if isinstance(ended.result, Finished):
            self._keep_model(run, ended.result)
            return
        self._look_for_state(run)
        if isinstance(ended.error, Cancelled):
            self._finish(str(ended.error), "info")
        else:
            self._finish(str(ended.error or "The run ended without a result."), "error")

    def _keep_model(self, run: _Run, finished: Finished) -> None:
        """Copy the model to the user's models, on another thread because file access is slow."""

        def keep() -> Path:
            from napari_unet.core.models.catalogue import add_model

            model = Path(finished.best_model or finished.last_model)
            return add_model(model, run.name, replace=run.replaces and _is_earlier_state(run))

        def kept(result: Any) -> None:
            if finished.reason == "stopped":
                self.resumable = run.folder
            if isinstance(result, UNetError):
                self._finish(f"{result} The completed run is in {run.folder}.", "error")
                return
            self.model = result
            session().models_changed.emit()
            self._finish(*ending_words(finished, run.task, result.stem, run.validated))

        Background(keep, kept, self)

    def _look_for_state(self, run: _Run) -> None:
        """After a failure, offer to resume the last checkpoint, or remove an empty folder."""
        if (run.folder / "state.safetensors").is_file():
            self.resumable = run.folder
        with contextlib.suppress(OSError):
            run.folder.rmdir()

    def _finish(self, text: str, kind: str) -> None:
        self._panel.progress.finish()
        self.told.emit(text, kind)
        self._set_busy(False)

    def _set_busy(self, busy: bool) -> None:
        self.busy = busy
        self.busy_changed.emit(busy)


def _is_earlier_state(run: _Run) -> bool:
    """Return whether the existing model of this name is an earlier state of this run."""
    from napari_unet.core.models.catalogue import own_folder
    from napari_unet.core.models.model_file import read_info

    earlier, last = own_folder() / f"{run.name}.safetensors", run.folder / "last.safetensors"
    try:
        ours, theirs = read_info(last), read_info(earlier)
    except UNetError:
        return False
    same = ("started_from", "settings", "counts")
    return ours.trained_on == theirs.trained_on and all(
        ours.provenance.get(key) == theirs.provenance.get(key) for key in same
    )
