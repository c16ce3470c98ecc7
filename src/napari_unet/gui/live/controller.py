"""Live training from start to stop: sends strokes to the training and shows its previews."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_unet.compute import Ended, WorkerLost
from napari_unet.core.errors import Cancelled, UNetError
from napari_unet.core.live.events import (
    LiveFinished,
    LivePreview,
    LiveState,
    LiveSuggestion,
    LiveTrouble,
)
from napari_unet.core.live.session import LiveSession
from napari_unet.gui.app.jobs import QtJob
from napari_unet.gui.app.session import session
from napari_unet.gui.live.ending import keep_model, state_words
from napari_unet.gui.live.follower import PaintFollower
from napari_unet.gui.live.notices import Notices
from napari_unet.gui.live.run import LiveRun
from napari_unet.gui.live.sender import CommandSender
from napari_unet.gui.live.tidying import tidy_up

if TYPE_CHECKING:
    import napari

    from napari_unet.core.tasks.semantic import ClassInfo
    from napari_unet.gui.layers.pair_row import PairRow
    from napari_unet.gui.live.form import LiveForm
    from napari_unet.gui.live.previews import MapKind

__all__ = ["LiveController"]

_LOOK_MS = 120
_NOTICE_S = 12.0
_MOST_LOST = 3
_NOTHING_OPEN = "Live has no image to train on. Choose an image and its labels in the table above."


class LiveController(QObject):
    """Runs one live training at a time.

    Parameters
    ----------
    viewer
        The viewer whose layers are painted on; also shows the preview.
    parent
        The widget; the training stops when it is destroyed.

    Attributes
    ----------
    told
        Signal: a message for the user and its kind (info, good, warning, error).
    running_changed
        Signal: whether a training runs.
    stated
        Signal: each `LiveState`.
    proposed
        Signal: whether there is a proposal to accept or reject.
    map_removed
        Signal: the kind of map whose layers the user removed.
    notices
        Decide when a message is shown.
    model, folder
        Model file and folder of the last session; None if there is none.
    """

    told = Signal(str, str)
    running_changed = Signal(bool)
    stated = Signal(object)
    proposed = Signal(bool)
    map_removed = Signal(str)

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._run: LiveRun | None = None
        self._follower: PaintFollower | None = None
        self._sender = CommandSender()
        self._qt_job: QtJob | None = None
        self._maps: set[MapKind] = set()
        self.notices = Notices(self.told.emit)
        self.model: Path | None = None
        self.folder: Path | None = tidy_up(viewer)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)

    @property
    def running(self) -> bool:
        """Whether a training runs."""
        return self._run is not None

    # -- commands of the user ---------------------------------------------------------------------

    def start(self, form: LiveForm) -> None:
        """Start with the strokes painted so far; there need not be any yet.

        Raises
        ------
        UNetError
            If images and labels do not match.
        """
        run, sender = LiveRun(form, form.task()), CommandSender()
        follower = PaintFollower(self._viewer, run, sender, self.notices, self.proposed.emit)
        follower.previews.want(self._maps)
        run.begin(form.resumed or [p for row in form.rows for p in follower.planes_of(row)])
        self._submit(run, follower, sender, resume=bool(form.resumed))
        self._run, self._follower, self._sender = run, follower, sender
        if form.resumed:
            follower.search_within(0.0)  # for strokes painted since then
        self._timer.start()
        self.running_changed.emit(True)
        if form.notice:
            self.notices.say(f"{form.notice} {_hint(run)}", "warning", read_s=_NOTICE_S)
        else:
            self.notices.say(_hint(run))
        follower.classes.check(run.painted)

    def use_rows(self, rows: Sequence[PairRow]) -> None:
        """Train on these images from now on: add new ones and remove all others."""
        if self._follower is None or self._qt_job is None:
            return
        try:
            self._follower.use_rows(rows)
        except UNetError as error:
            self.notices.complain(str(error))

    def use_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Use the names, colours and background that the user chose."""
        if self._follower is not None and self._qt_job is not None:
            self._follower.classes.use(classes)

    def show_map(self, kind: MapKind, wanted: bool) -> None:
        """Show or hide the layers with the uncertainty or the class probabilities."""
        self._maps = self._maps | {kind} if wanted else self._maps - {kind}
        if self._follower is not None:
            self._follower.previews.want(self._maps)
            self._follower.view_again()

    def stop(self) -> None:
        """Stop the training and save the model and the strokes."""
        run, follower, job = self._run, self._follower, self._qt_job
        try:
            self._look()
            if run is not None and follower is not None:
                follower.search()
                run.describe()  # layers may have been renamed
        except UNetError as error:
            self.notices.complain(str(error))
        finally:
            if run is not None:
                run.stopping = True
            if job is not None:
                job.stop()

    def suggest(self) -> None:
        """Ask where painting would help most, and move the view there."""
        run, follower = self._run, self._follower
        if run is None or follower is None:
            return
        if not run.ready:
            self.notices.say(_hint(run))
            return
        self._look()  # recent strokes and changes of the view count
        if follower.view is not None:
            follower.suggestions.ask(follower.view[0])
        elif not run.planes:  # else an error has explained why it cannot be shown
            self.notices.say(_NOTHING_OPEN)

    def accept(self) -> None:
        """Add the corrected proposal to the strokes; it does not count in the score."""
        self._look()  # earlier strokes count in the score
        if self._follower is not None:
            self._follower.accept()

    def reject(self) -> None:
        """Remove the proposal."""
        if self._follower is not None:
            self._follower.suggestions.reject()

    def _look(self) -> None:
        """Send all changes since the last call."""
        follower = self._follower
        if follower is None or self._qt_job is None:
            return
        for kind in follower.previews.find_removed():
            self.map_removed.emit(kind)
        try:
            follower.look()
        except UNetError as error:
            self.notices.complain(str(error))

    # -- events of the training ------------------------------------------------------------------

    def _submit(
        self, run: LiveRun, follower: PaintFollower, sender: CommandSender, *, resume: bool
    ) -> None:
        request = run.request(resume=resume)
        follower.view_again()
        self._qt_job = QtJob(session().engine.submit(request), self)
        self._qt_job.event.connect(self._take)
        self._qt_job.ended.connect(self._end)
        sender.job = self._qt_job.job
        follower.suggestions.ask_again()

    def _take(self, event: object) -> None:
        run, follower = self._run, self._follower
        if run is None or follower is None:
            return
        if isinstance(event, LiveState):
            run.ready, run.state = event.ready, event
            self.stated.emit(event)
            if self.notices.progress_due:
                self._show_state(run, follower)
        elif isinstance(event, LivePreview) and event.name in run.planes:
            self._show(run, follower, event)
        elif isinstance(event, LiveSuggestion) and event.name in run.planes:
            follower.suggestions.take(event)
        elif isinstance(event, LiveTrouble):
            self.notices.complain(event.sentence)

    def _show(self, run: LiveRun, follower: PaintFollower, preview: LivePreview) -> None:
        run.ready = True  # its state may arrive a moment later
        self._show_state(run, follower)
        if preview.applied < follower.classes.changed_by:  # shows the previous classes
            return
        about = {"run": str(run.form.folder), "model": run.form.name}
        try:
            follower.previews.show(run.planes[preview.name], preview, run.task, about)
        except UNetError as error:  # the image was replaced
            self.notices.complain(str(error))

    def _show_state(self, run: LiveRun, follower: PaintFollower) -> None:
        """Show the progress, together with a preview: each text change redraws the window."""
        if run.state is None or follower.suggestions.busy:
            return
        going = run.ready and run.planes
        self.notices.say_progress(state_words(run.state) if going else _hint(run))

    def _end(self, ended: Ended) -> None:
        run, follower = self._run, self._follower
        self._qt_job = self._sender.job = None
        if run is None or follower is None:
            return
        if isinstance(ended.error, WorkerLost) and run.lost < _MOST_LOST and not run.stopping:
            self._restart(run, follower, ended.error)
            return
        self._timer.stop()
        if isinstance(ended.result, LiveFinished):
            keep_model(run, ended.result, self, self._kept)
        elif isinstance(ended.error, Cancelled):
            self._finish("Stopped before training began.", "info")
        else:
            self._finish(str(ended.error), "error")

    def _restart(self, run: LiveRun, follower: PaintFollower, error: WorkerLost) -> None:
        """Start again with all strokes after the compute process ended unexpectedly."""
        run.lost += 1
        self.notices.say(f"{error} Live training continues with all your strokes.", "warning")
        try:
            self._submit(run, follower, self._sender, resume=True)
        except UNetError as problem:
            self._timer.stop()
            self._finish(str(problem), "error")

    def _kept(self, model: Path | None, text: str, kind: str) -> None:
        self.model = model or self.model
        self._finish(text, kind)

    def _finish(self, text: str, kind: str) -> None:
        if self._run is not None and self._follower is not None:
            self._follower.suggestions.give_up()
            self._follower.previews.want(())
            folder = self._run.form.folder
            self.folder = folder if LiveSession(folder).exists else None
        self._run = self._follower = None
        self.notices.say(text, kind)
        self.running_changed.emit(False)


def _hint(run: LiveRun) -> str:
    return run.form.hint if run.planes else _NOTHING_OPEN
