"""Live training: every stroke goes to the network while it learns; what is in view comes back."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_unet.compute import (
    Ended,
    LiveRequest,
    WorkerLost,
)
from napari_unet.core.errors import Cancelled, UNetError
from napari_unet.core.live import commands
from napari_unet.core.live.events import (
    LiveFinished,
    LivePreview,
    LiveState,
    LiveSuggestion,
    LiveTrouble,
)
from napari_unet.core.live.session import LiveSession
from napari_unet.core.tasks.base import Task
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.gui.app.background import Background
from napari_unet.gui.app.jobs import QtJob
from napari_unet.gui.app.session import session
from napari_unet.gui.live.form import MOST_CLASSES, LiveForm, default_classes
from napari_unet.gui.live.planes import (
    LivePlane,
    is_turned,
    key_of,
    look_of,
    painted_positions,
    plane_in_view,
    region_in_view,
)
from napari_unet.gui.live.previews import LivePreviews, MapKind, is_live_map
from napari_unet.gui.live.proposal import Proposal

if TYPE_CHECKING:
    import napari

    from napari_unet.gui.layers.pair_row import PairRow

__all__ = ["LiveController", "session_of"]

_LOOK_MS = 120
_READING_S, _NOTICE_S = 4.0, 12.0
_LONGEST_UNTOLD_S = 2.0
_SEARCH_S = 0.5
_PAINT_CLASSES = (
    "Live: paint a stroke of at least two classes. To count objects, stop, and choose them above."
)
_NOTHING_OPEN = "Live has no image to learn from: choose one and its labels in the table above."
_PAINT_OBJECTS = (
    "Live: paint some background with label 1, and a few objects, each whole and with a label of "
    "its own from 2 on (M takes the next)."
)
_SESSION_KEY = "napari-unet live session"
"""In the metadata of a Labels layer that is painted on: folder of the session, its name there."""


@dataclass
class _Run:
    """A live training under way."""

    form: LiveForm
    task: Task
    previews: LivePreviews
    planes: dict[str, LivePlane] = field(default_factory=dict)
    number: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    described: dict[str, Any] = field(default_factory=dict)
    row: PairRow | None = None
    ready: bool = False
    state: LiveState | None = None
    view: tuple[str, tuple[int, int, int, int]] | None = None
    seen: object = None
    search_s: float = math.inf
    asked: str = ""
    proposal: Proposal | None = None
    told_task: int = 0
    lost: int = 0
    stopping: bool = False
    known_scopes: set[str] = field(default_factory=set)

    @property
    def hint(self) -> str:
        """What to paint first, or what to choose to be painted."""
        if not self.planes:
            return _NOTHING_OPEN
        return _PAINT_OBJECTS if self.form.objects else _PAINT_CLASSES

    def describe(self) -> None:
        """Keep what finds images and layers again; see `train_live_start.resumed_form`."""
        for plane in self.planes.values():
            self.described[plane.name] = {
                "images": [str(layer.name) for layer in plane.images],
                "labels": str(plane.layer.name),
                "axes": plane.axes,
                "position": plane.position,
            }
            plane.layer.metadata[_SESSION_KEY] = str(self.form.folder), str(plane.layer.name)
        LiveSession(self.form.folder).describe(
            {
                "name": self.form.name,
                "start": None if self.form.start is None else str(self.form.start),
                "objects": self.form.objects,
                "axes": self.form.axes,
                "channels": None if self.form.channels is None else list(self.form.channels),
                "planes": self.described,
            }
        )


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
        self._run: _Run | None = None
        self._qt_job: QtJob | None = None
        self._maps: set[MapKind] = set()
        self.model: Path | None = None
        self.folder: Path | None = None
        self._quiet_until_s = self._told_s = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._tidy_up()

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._run is not None

    def start(self, form: LiveForm) -> None:
        """Begin with what is painted now; there need not be anything yet.

        Raises
        ------
        UNetError
            When images and labels do not fit together.
        """
        run = _Run(form, form.task(), LivePreviews(self._viewer))
        run.previews.want(self._maps)
        planes = form.resumed or [p for row in form.rows for p in self._planes_of(form, row)]
        run.planes = {plane.name: plane for plane in planes}
        run.task = form.task(_painted(run.planes.values()))
        run.described = dict(form.absent)
        run.describe()
        self._submit(run, form.start, resume=bool(form.resumed))
        self._run = run
        run.search_s = 0.0 if form.resumed else math.inf  # what was painted since
        self._timer.start()
        self.running_changed.emit(True)
        if form.notice:
            self.told.emit(f"{form.notice} {run.hint}", "warning")
            self._quiet_until_s = time.monotonic() + _NOTICE_S
        else:
            self.told.emit(run.hint, "info")
        self._check_classes(run, _painted(run.planes.values()))

    def use_rows(self, rows: Sequence[PairRow]) -> None:
        """Learn from these images from now on; those that are new come along, others go."""
        run = self._run
        if run is None or self._qt_job is None:
            return
        run.form = replace(run.form, rows=tuple(rows))
        run.seen = None
        try:
            self._drop_others(run)
            known = {plane.key for plane in run.planes.values()}
            for row in rows:
                if key_of(row.images, row.labels) not in known:
                    for plane in self._planes_of(run.form, row):
                        self._add(run, plane)
        except UNetError as error:
            self._complain(str(error))

    def use_classes(self, classes: Sequence[ClassInfo]) -> None:
        """Take over names, colours and the background that a person chose."""
        run = self._run
        if run is None or self._qt_job is None or run.task.labels_are_objects:
            return
        known = {c.id: c.model_copy(update={"background": False}) for c in run.task.label_classes}
        known |= {c.id: c for c in classes if c.id}
        self._use_task(run, default_classes(list(known.values()), ()))

    def show_map(self, kind: MapKind, wanted: bool) -> None:
        """Show how unsure the model is, or how probable each class, as layers; or no longer."""
        self._maps = self._maps | {kind} if wanted else self._maps - {kind}
        if self._run is not None:
            self._run.previews.want(self._maps)
            self._run.seen = self._run.view = None  # what is in view is asked for anew

    def stop(self) -> None:
        """Stop; the model and the strokes are kept."""
        run, job = self._run, self._qt_job
        try:
            self._look()
            if run is not None:
                self._search(run)
                run.describe()  # layers may have other names by now
        except UNetError as error:
            self._complain(str(error))
        finally:
            if run is not None:
                run.stopping = True
            if job is not None:
                job.stop()

    def suggest(self) -> None:
        """Ask where painting would help most; the view goes there."""
        run = self._run
        if run is None:
            return
        if not run.ready:
            self.told.emit(run.hint, "info")
            return
        self._look()  # what was painted, or asked to be shown, a moment ago counts
        if run.view is None:
            if not run.planes:
                self.told.emit(_NOTHING_OPEN, "info")
            return  # else it was said why it cannot be shown
        self.told.emit("Looking for where it is least certain …", "info")
        if run.asked != run.view[0]:  # else the answer is on its way
            run.asked = run.view[0]
            self._tell(commands.Suggest(run.asked, number=next(run.number)))

    def accept(self) -> None:
        """Take the proposal over, as corrected; it does not count in the score."""
        self._look()  # strokes that were painted before are judged
        run = self._run
        if run is None or run.proposal is None:
            return
        plane = run.proposal.plane
        try:
            run.proposal.accept()
        except UNetError as error:
            self._complain(str(error))
            return
        self._tell_strokes(run, plane, judged=False)
        self._propose(run, None)

    def reject(self) -> None:
        """Take the proposal away."""
        run = self._run
        if run is not None and run.proposal is not None:
            run.proposal.remove()
            self._propose(run, None)

    def _propose(self, run: _Run, proposal: Proposal | None) -> None:
        run.proposal = proposal
        self.proposed.emit(proposal is not None)

    # -- what happens in napari ------------------------------------------------------------------

    def _look(self) -> None:
        """Tell what changed since the last time."""
        run = self._run
        if run is None or self._qt_job is None:
            return
        try:
            self._notice_removed(run)
            self._drop_others(run)
            self._follow_view(run)
            for name, plane in list(run.planes.items()):
                try:
                    self._tell_strokes(run, plane)
                except UNetError as error:  # the others go on
                    self._complain(str(error))
                if plane.drawing and plane.layer.n_edit_dimensions > 2:
                    run.search_s = time.monotonic() + _SEARCH_S
                needed = run.view is not None and run.view[0] == name
                needed |= run.proposal is not None and run.proposal.plane is plane
                needed |= run.asked == name
                if not needed and not plane.sent.any() and plane.position:
                    self._drop(run, plane)  # only looked at: a stack has many planes
            shown = run.planes.get(run.view[0]) if run.view is not None else None
            if shown is not None and is_turned(self._viewer, shown):
                run.search_s = min(run.search_s, time.monotonic() + _LONGEST_UNTOLD_S)
            if time.monotonic() > run.search_s:
                self._search(run)
        except UNetError as error:
            self._complain(str(error))

    def _notice_removed(self, run: _Run) -> None:
        """Take back what belongs to layers that a person removed."""
        for kind in run.previews.taken_away():
            self.map_removed.emit(kind)
        if run.proposal is not None and run.proposal.layer not in self._viewer.layers:
            self._propose(run, None)

    def _tidy_up(self) -> None:
        """Of a form that was closed while it ran: what it showed goes, its session is offered."""
        from napari_unet.gui.layers import our_metadata, was_edited

        for layer in list(self._viewer.layers):
            kind = (our_metadata(layer) or {}).get("kind")
            if is_live_map(layer) or (kind == "proposal" and not was_edited(layer)):
                self._viewer.layers.remove(layer)
            elif (known := session_of(layer)) is not None and LiveSession(known[0]).exists:
                self.folder = known[0]

    def _search(self, run: _Run) -> None:
        """Come along to planes that are painted and were never in view, as by a brush in 3D."""
        run.search_s = math.inf
        for row in run.form.rows:
            if row.labels in self._viewer.layers:
                key = key_of(row.images, row.labels)
                known = [p.position for p in run.planes.values() if p.key == key]
                for at in painted_positions(row.images, row.labels, run.form.axes):
                    if at not in known:
                        self._add(run, self._plane_in_view(run.form, row, at))

    def _drop_others(self, run: _Run) -> None:
        """Take away what was deleted or taken off the table; the session keeps its strokes."""
        rows = [r for r in run.form.rows if r.labels in self._viewer.layers]
        wanted = {key_of(r.images, r.labels) for r in rows}
        for plane in [p for p in run.planes.values() if p.key not in wanted]:
            self._drop(run, plane)

    def _drop(self, run: _Run, plane: LivePlane) -> None:
        if run.planes.pop(plane.name, None) is None:
            return  # a layer that was taken away with another plane led here
        if not plane.sent.any():
            run.described.pop(plane.name, None)
        others = any(p.key == plane.key for p in run.planes.values())
        run.previews.forget(plane, image=not others)
        if run.asked == plane.name:
            run.asked = ""
        if run.proposal is not None and run.proposal.plane is plane:
            run.proposal.give_up()
            self._propose(run, None)
        if run.view is not None and run.view[0] == plane.name:
            run.view = run.seen = None
            self._tell(commands.ShowView("", number=next(run.number)))
        self._tell(commands.RemoveImage(plane.name, number=next(run.number)))

    def _tell_strokes(self, run: _Run, plane: LivePlane, *, judged: bool = True) -> None:
        change = plane.change()
        continues, plane.drawing = judged and plane.drawing, judged and change is not None
        if change is None:
            return
        painted = np.unique(change[1]).tolist()
        self._add_classes(run, painted)
        self._check_classes(run, painted)
        number = next(run.number)
        strokes = commands.Paint(
            plane.name, *change, judged=judged, continues=continues, number=number
        )
        self._tell(strokes)

    def _follow_view(self, run: _Run) -> None:
        """Preview what is in view, of the selected image if it is one of those that are painted."""
        form = run.form
        rows = [r for r in form.rows if r.labels in self._viewer.layers]
        seen = look_of(self._viewer)
        if not rows or seen == run.seen:
            return
        run.seen = seen
        active = self._viewer.layers.selection.active
        last = next((r for r in rows if run.row is not None and r.same(run.row)), rows[0])
        run.row = next((r for r in rows if active is r.labels or active in r.images), last)
        plane = self._plane_in_view(form, run.row)
        known = (p for p in run.planes.values() if p.key == plane.key)
        found = next((p for p in known if p.position == plane.position), None)
        if found is None:
            self._add(run, found := plane)
        view = found.name, region_in_view(self._viewer, found)
        if view != run.view:
            run.view = view
            probable = "probability" in self._maps
            self._tell(commands.ShowView(*view, probability=probable, number=next(run.number)))

    def _plane_in_view(
        self, form: LiveForm, row: PairRow, position: Mapping[str, int] | None = None
    ) -> LivePlane:
        return plane_in_view(
            self._viewer, row.images, row.labels, form.axes, form.channels, position
        )

    def _planes_of(self, form: LiveForm, row: PairRow) -> list[LivePlane]:
        """Give the plane in view, and of a stack every plane that is painted on."""
        seen = self._plane_in_view(form, row)
        painted = painted_positions(row.images, row.labels, form.axes)
        others = [self._plane_in_view(form, row, at) for at in painted if at != seen.position]
        return [seen, *others]

    def _add(self, run: _Run, plane: LivePlane) -> None:
        """Learn from a plane, too."""
        first, count = plane.name, itertools.count(2)
        while plane.name in run.described:  # the strokes of a layer that was deleted are kept
            plane.name = f"{first} ({next(count)})"
        run.planes[plane.name] = plane
        self._add_classes(run, _painted([plane]))
        self._tell(
            commands.PutImage(plane.name, plane.told(run.known_scopes), number=next(run.number))
        )
        run.describe()

    def _add_classes(self, run: _Run, painted: Sequence[int]) -> None:
        """Tell of classes that are painted for the first time."""
        if run.task.labels_are_objects:
            return
        self._use_task(run, default_classes(run.task.label_classes, painted))

    def _check_classes(self, run: _Run, painted: Sequence[int]) -> None:
        """Say what is not learned."""
        if run.task.labels_are_objects:
            return
        if more := {i for i in painted if i > 0} - {c.id for c in run.task.label_classes}:
            self._complain(
                f"Label {min(more)} is not learned: Live tells {MOST_CLASSES} classes apart at "
                "most. Where each label is an object of its own, stop, choose objects above, and "
                "start Live again."
            )

    def _use_task(self, run: _Run, task: Semantic) -> None:
        if task != run.task:
            run.task, run.told_task = task, next(run.number)
            self._tell(commands.ChangeClasses(task, number=run.told_task))
            run.previews.forget_colours()

    def _tell(self, message: commands.Command) -> None:
        if self._qt_job is not None:
            self._qt_job.job.tell(message)

    # -- what comes back -------------------------------------------------------------------------

    def _submit(self, run: _Run, start: Path | None, *, resume: bool = False) -> None:
        run.known_scopes.clear()
        images = {name: plane.told(run.known_scopes) for name, plane in run.planes.items()}
        request = LiveRequest(
            run.task,
            images,
            run.form.folder,
            start=start,
            resume=resume,
            device=run.form.device,
            name=run.form.name,
        )
        run.view = run.seen = None
        self._qt_job = QtJob(session().engine.submit(request), self)
        self._qt_job.event.connect(self._take)
        self._qt_job.ended.connect(self._end)
        if run.asked:
            self._tell(commands.Suggest(run.asked, number=next(run.number)))

    def _take(self, event: object) -> None:
        run = self._run
        if run is None:
            return
        if isinstance(event, LiveState):
            run.ready, run.state = event.ready, event
            self.stated.emit(event)
            if time.monotonic() > self._told_s + _LONGEST_UNTOLD_S:
                self._tell_state(run)
        elif isinstance(event, LivePreview) and event.name in run.planes:
            run.ready = True  # the state that says so may come a moment later
            self._tell_state(run)
            if event.applied < run.told_task:  # of the classes before
                return
            about = {"run": str(run.form.folder), "model": run.form.name}
            try:
                run.previews.show(run.planes[event.name], event, run.task, about)
            except UNetError as error:  # the image was replaced by another
                self._complain(str(error))
        elif isinstance(event, LiveSuggestion) and event.name in run.planes:
            self._on_suggestion(run, event)
        elif isinstance(event, LiveTrouble):
            self._complain(event.sentence)

    def _tell_state(self, run: _Run) -> None:
        """Say how it goes: with a preview, as each change of a text has the window drawn anew."""
        if run.state is None or run.proposal is not None or run.asked:
            return
        if time.monotonic() > self._quiet_until_s:
            going = run.ready and run.planes
            self.told.emit(_words(run.state) if going else run.hint, "info")
            self._told_s = time.monotonic()

    def _complain(self, sentence: str) -> None:
        """Say what is wrong, long enough to be read; it goes on."""
        self.told.emit(sentence, "error")
        self._quiet_until_s = time.monotonic() + _READING_S

    def _on_suggestion(self, run: _Run, suggestion: LiveSuggestion) -> None:
        if suggestion.name != run.asked:
            return
        run.asked = ""
        if run.proposal is not None or run.stopping:
            return
        if suggestion.origin is None:
            self.told.emit(suggestion.reason, "info")
            self._quiet_until_s = time.monotonic() + _READING_S
            return
        plane = run.planes[suggestion.name]
        self._propose(run, Proposal(self._viewer, plane, suggestion, run.task))

    def _end(self, ended: Ended) -> None:
        run, self._qt_job = self._run, None
        if run is None:
            return
        if isinstance(ended.error, WorkerLost) and run.lost < 3 and not run.stopping:
            run.lost += 1
            self.told.emit(f"{ended.error} Live training goes on with all your strokes.", "warning")
            try:
                self._submit(run, run.form.start, resume=True)
            except UNetError as error:
                self._timer.stop()
                self._finish(str(error), "error")
            return
        self._timer.stop()
        if isinstance(ended.result, LiveFinished):
            self._keep(run, ended.result)
        elif isinstance(ended.error, Cancelled):
            self._finish("Stopped before it began.", "info")
        else:
            self._finish(str(ended.error), "error")

    def _keep(self, run: _Run, done: LiveFinished) -> None:
        if done.model is None:
            self._finish("Stopped before anything was learned: too little is painted.", "info")
            return
        model = done.model

        def keep() -> Path:
            from napari_unet.core.models.catalogue import add_model

            return add_model(model, run.form.name)

        def kept(result: Any) -> None:
            if isinstance(result, UNetError):
                self._finish(f"{result} The session is complete in {run.form.folder}.", "error")
                return
            self.model = result
            session().models_changed.emit()
            score = _score_words(done.score)
            text = (
                f"Stopped after {done.steps:,} steps. {score} '{result.stem}' is ready in Predict."
            )
            self._finish(text, "good")

        Background(keep, kept, self)

    def _finish(self, text: str, kind: str) -> None:
        if self._run is not None and (proposal := self._run.proposal) is not None:
            proposal.give_up()
            self.proposed.emit(False)
        if self._run is not None:
            self._run.previews.want(())
            folder = self._run.form.folder
            self.folder = folder if LiveSession(folder).exists else None
        self._run = None
        self.told.emit(text, kind)
        self.running_changed.emit(False)


def session_of(layer: Any) -> tuple[Path, str] | None:
    """Give the session that a Labels layer was painted for: its folder, and its name there."""
    match layer.metadata.get(_SESSION_KEY):
        case (str(folder), str(name)):
            return Path(folder), name
    return None


def _painted(planes: Any) -> list[int]:
    found: set[int] = set()
    for plane in planes:
        found.update(int(i) for i in np.unique(plane.sent) if i > 0)
    return sorted(found)


def _words(state: LiveState) -> str:
    return f"Live, step {state.step:,}. {_score_words(state.score)}"


def _score_words(score: float | None) -> str:
    if score is None:
        return "Too few strokes to judge it."
    return f"It foresaw {score:.0%} of the latest strokes."
