"""Runs of the Predict widget: predict images or files, decode again, and measure objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined]

from napari_unet.compute import DecodeRequest, Ended, Progress
from napari_unet.core.errors import Cancelled, UNetError
from napari_unet.gui.app.background import Background
from napari_unet.gui.app.jobs import QtJob
from napari_unet.gui.app.session import session
from napari_unet.gui.predict.form import short
from napari_unet.gui.predict.results import Result, features_of, hash_of, show, show_again

if TYPE_CHECKING:
    import napari

    from napari_unet.compute import FilesRequest, Job, Request
    from napari_unet.core.images.image import Image
    from napari_unet.core.prediction.prediction import Prediction
    from napari_unet.core.records.prediction_record import PredictionRecord
    from napari_unet.gui.predict.form import PredictForm

__all__ = ["PredictRun"]

Tone = Literal["info", "good", "warning", "error"]

_PREDICTING = "Predicting …"
_REASONS = (
    "lower the threshold, or check that the objects resemble those of the training images in size "
    "and brightness."
)

_MEASURE_MS = 300
"""Objects are measured once the sliders have not moved for this time."""

_MOST_KEPT = 4
"""The worker keeps the outputs for the sliders for at most this many images."""


class PredictRun(QObject):
    """Submits requests to the engine, and shows their results as layers.

    Parameters
    ----------
    viewer
        Viewer of the layers.
    parent
        The parent widget; closing it stops the current job.

    Attributes
    ----------
    results
        Results of the last prediction.
    history
        All results whose layers still exist.
    files
        Record of the last predicted folder; None if there is none.
    files_last
        Whether the folder was predicted after the last result in the viewer.
    told
        Signal: a sentence for the user, and its tone.
    progressed
        Signal: finished share (0 to 1), and the seconds left, or None.
    busy_changed
        Signal: whether a prediction is running.
    measured
        Signal: a result whose objects were measured, and the rows.
    """

    told = Signal(str, str)
    progressed = Signal(float, object)
    busy_changed = Signal(bool)
    measured = Signal(object, object)

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.results: list[Result] = []
        self.history: list[Result] = []
        self.files: PredictionRecord | None = None
        self.files_last = False
        self._files_done = 0
        self._waiting: list[tuple[Result, Request]] = []
        self._asked: list[Result] = []
        self._job: Job | None = None
        self._decoding: set[str] = set()
        self._wanted: Mapping[str, float] | None = None
        self._fresh: list[tuple[Result, Prediction]] = []
        self._done = self._all = 0
        self._starting = False
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(_MEASURE_MS)
        self._quiet.timeout.connect(self._measure)

    @property
    def busy(self) -> bool:
        """Whether a prediction is running."""
        return self._job is not None

    def start(self, form: PredictForm, results: Sequence[Result]) -> None:
        """Predict images one after another."""
        keep = len(results) <= _MOST_KEPT
        for result in results:
            result.decodable = keep
        self.results = []
        self._waiting = [(r, form.request(r.image, keep_outputs=keep)) for r in results]
        self._done, self._all = 0, len(results)
        self._asked = list(results)
        self._tell_start()
        self._next()

    def start_files(self, request: FilesRequest, record: PredictionRecord) -> None:
        """Predict files; the results are files, and `record` describes the run."""
        self._waiting, self.results = [], []
        self._done, self._all, self._files_done = 0, 1, 0
        self._tell_start()
        self._run(request, partial(self._files_ended, record), self._take_of_files)

    def _tell_start(self) -> None:
        self._starting = session().engine.state != "ready"
        text = "Starting the compute process …" if self._starting else _PREDICTING
        self.told.emit(text, "info")

    def stop(self) -> None:
        """Stop the running prediction; finished results are kept."""
        self._waiting = []
        if self._job is not None:
            self._job.stop()

    def forget(self) -> None:
        """Detach the sliders from shown and running predictions, after the model has changed."""
        for result in self._asked:
            result.decodable = False
        self.results = []
        self._wanted = None

    # -- predicting -----------------------------------------------------------------------------

    def _next(self) -> None:
        result, request = self._waiting.pop(0)
        result.job = self._run(request, partial(self._ended, result)).id

    def _run(
        self,
        request: Request,
        ended: Callable[[Ended], None],
        take: Callable[[object], None] | None = None,
    ) -> Job:
        was_busy = self.busy
        self._job = job = session().engine.submit(request)
        relay = QtJob(job, self)
        relay.event.connect(take or self._take)
        relay.ended.connect(ended)
        if not was_busy:
            self.busy_changed.emit(True)
        return job

    def _take(self, event: object) -> None:
        if isinstance(event, Progress):
            if self._starting:
                self._starting = False
                self.told.emit(_PREDICTING, "info")
            share = (self._done + event.done / max(1, event.total)) / max(1, self._all)
            self.progressed.emit(share, event.seconds_left)

    def _take_of_files(self, event: object) -> None:
        from napari_unet.core.prediction.batch import FileFailed, FilePredicted

        if isinstance(event, FileFailed):
            self.told.emit(f"{event.input.name}: {event.problem}", "warning")
        else:
            self._files_done += isinstance(event, FilePredicted)
            self._take(event)

    def _ended(self, result: Result, event: Ended) -> None:
        self._done += 1
        problem = event.error
        if event.result is not None:
            problem = self._show(result, event.result)
        if problem is None and self._waiting:
            self._next()
            return
        self._finish(problem)

    def _show(self, result: Result, prediction: Prediction) -> UNetError | None:
        try:
            show(self._viewer, result, prediction)
        except UNetError as error:  # the image has changed
            return error
        self.results.append(result)
        self.files_last = False
        layers = self._viewer.layers
        self.history = [r for r in self.history if r.layer in layers] + [result]
        self._note_fresh(result, prediction)
        self._measure()
        return None

    def _finish(self, problem: UNetError | None) -> None:
        left = len(self._waiting)
        self._waiting, self._job = [], None
        self.busy_changed.emit(False)
        shown = len(self.results)
        if problem is not None:
            kept = f" Finished before: {_count(shown, 'image')}." if shown else ""
            undone = f" {left} more were not started." if left else ""
            tone: Tone = "info" if isinstance(problem, Cancelled) else "error"
            self.told.emit(f"{problem}{kept}{undone}", tone)
        elif shown == 1:
            self.told.emit(*_outcome(self.results[0]))
        else:
            self.told.emit(f"Done: {shown} images, one new layer each.", "good")

    def _files_ended(self, record: PredictionRecord, event: Ended) -> None:
        self._job = None
        if self._files_done:  # a stopped run may also have finished files
            sha256 = record.model_sha256 or hash_of(Path(record.model))
            self.files = record.model_copy(update={"model_sha256": sha256})
            self.files_last = True
        self.busy_changed.emit(False)
        if event.error is not None:
            tone = "info" if isinstance(event.error, Cancelled) else "error"
            self.told.emit(str(event.error), tone)
            return
        self.told.emit(*_files_sentence(event.result))

    # -- decoding again -------------------------------------------------------------------------

    def redecode(self, adjustments: Mapping[str, float]) -> None:
        """Decode the shown results with new settings; of several calls only the last one counts."""
        self._wanted = adjustments
        if not self._decoding and not self.busy:
            self._decode_next()

    def _decode_next(self) -> None:
        adjustments = self._wanted
        shown = [r for r in self.results if r.layer is not None and r.layer in self._viewer.layers]
        self.results = shown
        if adjustments is None:
            return
        for result in shown:
            now = result.record.decoding()
            if result.decodable and now != now | dict(adjustments):
                self._decoding.add(result.job)
                ended = partial(self._decoded, result)
                request = DecodeRequest(result.job, adjustments)
                QtJob(session().engine.submit(request), self).ended.connect(ended)

    def _decoded(self, result: Result, event: Ended) -> None:
        self._decoding.discard(result.job)
        if event.result is None:
            result.decodable = False
            self.told.emit(f"{event.error} Press Predict to apply the settings.", "warning")
        elif result in self.results and result.layer in self._viewer.layers:
            self._show_decoded(result, event.result)
        if not self._decoding:
            self._decode_next()

    def _show_decoded(self, result: Result, prediction: Prediction) -> None:
        name = _name(result)
        result.record = result.record.model_copy(update={"task": prediction.model.task})
        try:
            written = show_again(self._viewer, result, prediction)
        except UNetError as error:
            result.decodable = False
            self.told.emit(str(error), "error")
            return
        if written:
            self.told.emit(f"Updated: {_found(result)}'{name}'.", "good")
        else:
            stays = f"'{name}' was edited and is not changed"
            self.told.emit(f"{stays}: the new labels are in '{_name(result)}'.", "info")
        self._note_fresh(result, prediction)
        self._quiet.start()

    # -- measuring ------------------------------------------------------------------------------

    def _note_fresh(self, result: Result, prediction: Prediction) -> None:
        self._fresh = [(r, p) for r, p in self._fresh if r is not result]
        self._fresh.append((result, prediction))

    def _measure(self) -> None:
        for result, prediction in self._fresh:
            work = partial(_measure_objects, prediction, result.image)
            Background(work, partial(self._on_measured, result, result.round), self)
        self._fresh = []

    def _on_measured(self, result: Result, number: int, found: Any) -> None:
        from napari_unet.gui.layers import set_features

        if isinstance(found, UNetError):
            self.told.emit(f"The objects could not be measured: {found}", "warning")
        elif result.round == number and result.layer is not None:
            rows, columns = found
            set_features(result.layer, columns)
            self.measured.emit(result, rows)
            only = [row["class"] for row in rows if row.get("share") == 1]
            if only:
                self.told.emit(
                    f"All of '{_name(result)}' is '{only[0]}'. If that is wrong, {_REASONS}",
                    "warning",
                )


def _measure_objects(
    prediction: Prediction, image: Image
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Measure objects or classes as rows and columns; runs on another thread."""
    from napari_unet.gui.layers import feature_columns

    rows = features_of(prediction, image)
    return rows, feature_columns(rows)


def _name(result: Result) -> str:
    return short(str(result.layer.name if result.layer is not None else result.source.name))


def _outcome(result: Result) -> tuple[str, Tone]:
    if result.objects == 0:
        nothing = f"No objects were found in '{_name(result)}'. If there are any, {_REASONS}"
        return " ".join([nothing, *result.notes]), "warning"
    done = f"Done: {_found(result)}'{_name(result)}'."
    return " ".join([done, *result.notes]), "good"


def _found(result: Result) -> str:
    return "" if result.objects is None else f"{_count(result.objects, 'object')} in "


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _files_sentence(done: Any) -> tuple[str, Tone]:
    """Summarise the prediction of files in a sentence, with its tone."""
    text = f"{_count(len(done.predicted), 'image')} predicted"
    objects = sum(int(file.summary.get("objects", 0)) for file in done.predicted)
    text += f", {_count(objects, 'object')}" if objects else ""
    if done.predicted:
        text += f". Labels and tables are in '{done.predicted[0].labels.parent}'"
    text += "."
    if done.skipped:
        text += f" {_count(len(done.skipped), 'file')} skipped."
    if not done.failed:
        return text, "good"
    first = done.failed[0]
    return f"{text} {len(done.failed)} failed; {first.input.name}: {first.problem}", "warning"
