"""Live training: every stroke goes to the network while it learns; what is in view comes back."""

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
_NOTHING_OPEN = "Live has no image to learn from: choose one and its labels in the table above."


class LiveController(QObject):
    """Runs one live training.

    Parameters
    ----------
    viewer
        Whose layers are painted on; gets the preview.
    parent
        The widget: with it the training is stopped.

    Attributes
    ----------
    told
        Signal: a sentence for the user and its kind (info, good, warning, error).
    running_changed
        Signal: whether it runs.
    stated
        Signal: each `LiveState`.
    proposed
        Signal: whether there is a proposal to accept or reject.
    map_removed
        Signal: a kind of map whose layers a person removed.
    notices
        Decides when a sentence is told.
    model, folder
        The model that the last session made, and where that session is.
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
        """Whether it runs."""
        return self._run is not None

    # -- what the user asks for -------------------------------------------------------------------

    def start(self, form: LiveForm) -> None:
        """Begin with what is painted now; there need not be anything yet.

        Raises
        ------
        UNetError
            If images and labels do not fit together.
        """
        run, sender = LiveRun(form, form.task()), CommandSender()
        follower = PaintFollower(self._viewer, run, sender, self.notices, self.proposed.emit)
        follower.previews.want(self._maps)
        run.begin(form.resumed or [p for row in form.rows for p in follower.planes_of(row)])
        self._submit(run, follower, sender, resume=bool(form.resumed))
        self._run, self._follower, self._sender = run, follower, sender
        if form.resumed:
            follower.search_within(0.0)  # for what was painted since
        self._timer.start()
        self.running_changed.emit(True)
        if form.notice:
            self.notices.say(f"{form.notice} {_hint(run)}", "warning", read_s=_NOTICE_S)
        else:
            self.notices.say(_hint(run))
        follower.classes.check(run.painted)

    def use_rows(self, rows: Sequence[PairRow]) -> None:
        """Learn from these images from now on; those that are new come along, others go."""
        if self._follower is None or self._qt_job is None:
            return
        try:
            self._follower.use_rows(rows)
        except UNetError as error:
            self.notices.complain(str(error))

    def use_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Take over names, colours and the background that a person chose."""
        if self._follower is not None and self._qt_job is not None:
            self._follower.classes.use(classes)

    def show_map(self, kind: MapKind, wanted: bool) -> None:
        """Show or hide how unsure the model is, or how probable each class is, as layers."""
        self._maps = self._maps | {kind} if wanted else self._maps - {kind}
        if self._follower is not None:
            self._follower.previews.want(self._maps)
            self._follower.view_again()

    def stop(self) -> None:
        """Stop; the model and the strokes are kept."""
        run, follower, job = self._run, self._follower, self._qt_job
        try:
            self._look()
            if run is not None and follower is not None:
                follower.search()
                run.describe()  # layers may have other names by now
        except UNetError as error:
            self.notices.complain(str(error))
        finally:
            if run is not None:
                run.stopping = True
            if job is not None:
                job.stop()

    def suggest(self) -> None:
        """Ask where painting would help most; the view goes there."""
        run, follower = self._run, self._follower
        if run is None or follower is None:
            return
        if not run.ready:
            self.notices.say(_hint(run))
            return
        self._look()  # what was painted, or asked to be shown, a moment ago counts
        if follower.view is not None:
            follower.suggestions.ask(follower.view[0])
        elif not run.planes:  # else it was said why it cannot be shown
            self.notices.say(_NOTHING_OPEN)

    def accept(self) -> None:
        """Take the proposal over, as corrected; it does not count in the score."""
        self._look()  # strokes that were painted before are judged
        if self._follower is not None:
            self._follower.accept()

    def reject(self) -> None:
        """Take the proposal away."""
        if self._follower is not None:
            self._follower.suggestions.reject()

    def _look(self) -> None:
        """Send what changed since the last time."""
        follower = self._follower
        if follower is None or self._qt_job is None:
            return
        for kind in follower.previews.taken_away():
            self.map_removed.emit(kind)
        try:
            follower.look()
        except UNetError as error:
            self.notices.complain(str(error))

    # -- what comes back -------------------------------------------------------------------------

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
                self._tell_state(run, follower)
        elif isinstance(event, LivePreview) and event.name in run.planes:
            self._show(run, follower, event)
        elif isinstance(event, LiveSuggestion) and event.name in run.planes:
            follower.suggestions.take(event)
        elif isinstance(event, LiveTrouble):
            self.notices.complain(event.sentence)

    def _show(self, run: LiveRun, follower: PaintFollower, preview: LivePreview) -> None:
        run.ready = True  # the state that says so may come a moment later
        self._tell_state(run, follower)
        if preview.applied < follower.classes.changed_by:  # of the classes before
            return
        about = {"run": str(run.form.folder), "model": run.form.name}
        try:
            follower.previews.show(run.planes[preview.name], preview, run.task, about)
        except UNetError as error:  # the image was replaced by another
            self.notices.complain(str(error))

    def _tell_state(self, run: LiveRun, follower: PaintFollower) -> None:
        """Tell how it goes: with a preview, as each change of a text has the window drawn anew."""
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
            self._go_on(run, follower, ended.error)
            return
        self._timer.stop()
        if isinstance(ended.result, LiveFinished):
            keep_model(run, ended.result, self, self._kept)
        elif isinstance(ended.error, Cancelled):
            self._finish("Stopped before it began.", "info")
        else:
            self._finish(str(ended.error), "error")

    def _go_on(self, run: LiveRun, follower: PaintFollower, error: WorkerLost) -> None:
        """Start again with all strokes after the compute process was lost."""
        run.lost += 1
        self.notices.say(f"{error} Live training goes on with all your strokes.", "warning")
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
