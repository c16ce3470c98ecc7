"""The Train widget: images and labels in, a model out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog

from napari_unet.core.errors import UNetError
from napari_unet.core.images.palette import rgb_hex
from napari_unet.core.tasks.semantic import ClassInfo
from napari_unet.gui.app.background import Background
from napari_unet.gui.app.preferences import preferences
from napari_unet.gui.app.session import start_engine_soon
from napari_unet.gui.forms import follow_layers, is_alive, parse_channels
from napari_unet.gui.layers.pair_row import PairRow
from napari_unet.gui.layers.preview import PreviewSource, preview_source
from napari_unet.gui.layers.proxies import unwrapped
from napari_unet.gui.train.controller import TrainController
from napari_unet.gui.train.data import DataChoice, PairCache, TracedPair, same_layers
from napari_unet.gui.train.fields import form_of
from napari_unet.gui.train.form import TrainForm, efforts_in_minutes
from napari_unet.gui.train.layout import FOLDER, LAYERS, TrainLayout
from napari_unet.gui.train.prepare import look, prepare, prepare_resume, repaired
from napari_unet.gui.train.run_summary import RunSummary

if TYPE_CHECKING:
    import napari

    from napari_unet.gui.live.form import LiveForm

__all__ = ["TrainWidget"]

_LOOK_MS = 300
_SLOW_LOOK_MS = 700
_MOST_LOOK_MS = 5000
_LONGEST_RUN_NAME = 20


class TrainWidget(TrainLayout):
    """Trains a network on open layers or on a folder.

    Parameters
    ----------
    viewer
        Whose layers are learned from, and which shows the preview.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        from napari_unet.gui.live.controller import (
            LiveController,  # later: napari imports this file
        )

        self._viewer = viewer = unwrapped(viewer)
        self._library = PairCache()
        self._versions: dict[int, int] = {}
        self._followed: list[Any] = []
        self._predicted: list[Any] = []
        self._looking = self._look_again = False
        self._began_s = 0.0
        self._guess_meaning = self._guess_name = True
        self._repair: tuple[str, ...] = ()
        self._passed_over: list[Any] | None = None
        self._slice: tuple[int, ...] = ()
        self.live_started = self._live_was_last = False
        self._outlook = RunSummary()
        self._sourced: list[TracedPair] = []
        super().__init__(preferences().device)
        self.controller = TrainController(viewer, self.panel, self.native)
        self.live = LiveController(viewer, self.native)
        self._timer = QTimer(self.native)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._connect()
        self._on_layers()
        self._live_was_last = self.live.folder is not None
        self._show_resume()
        start_engine_soon(self.native, "pyqtgraph")

    # -- the form --------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.train_button.changed.connect(self.train)
        self.live_button.changed.connect(self._toggle_live)
        self.resume_button.changed.connect(self._resume_last)
        self.other_run_button.changed.connect(self._choose_run)
        self.repair_button.changed.connect(self._on_repair)
        self.source.changed.connect(self._on_source)
        self.folder.changed.connect(self._on_folder)
        self.fields.meaning.changed.connect(self._on_meaning)
        self.fields.meaning.native.activated.connect(self._on_meaning)  # also what it was before
        self.fields.start.changed.connect(self._on_start)
        self.more.name_of_model.changed.connect(self._on_name)
        self.pairs.changed.connect(self._on_pairs)
        self.classes.changed.connect(self._on_classes)
        for field in (
            self.fields.effort, self.data.axes, self.data.channels, self.data.empty_planes,
            self.data.separate, self.more.budget, self.more.unit, self.more.augmentation,
            self.more.base_channels, self.more.depth, self.more.patch_px, self.more.learning_rate,
            self.more.validation, self.more.seed, self.more.device,
        ):  # fmt: skip
            field.changed.connect(self.schedule)
        self.controller.told.connect(self._tell)
        self.controller.began.connect(self._on_began)
        self.controller.busy_changed.connect(self._on_busy)
        self.live.told.connect(self._tell)
        self.live.running_changed.connect(self._on_live)
        self.live.proposed.connect(self._on_proposal)
        self.live.map_removed.connect(self._on_map_removed)
        self.suggest_button.changed.connect(self.live.suggest)
        self.accept_button.changed.connect(self.live.accept)
        self.reject_button.changed.connect(self.live.reject)
        self.uncertainty.changed.connect(partial(self.live.show_map, "uncertainty"))
        self.probability.changed.connect(partial(self.live.show_map, "probability"))
        follow_layers(self._viewer, self._on_layers, self.native)
        self._on_start(None)

    def schedule(self, *_: Any) -> None:
        """Look at the data and the form again, soon."""
        self._timer.start()

    @property
    def problem(self) -> str:
        """Why training cannot start, as a sentence; empty where it can."""
        return self._outlook.problem

    @property
    def summary(self) -> str:
        """What will happen, in one line."""
        return self._outlook.summary

    def choice(self) -> DataChoice:
        """What the form says about the data."""
        return DataChoice(
            rows=tuple(self.pairs.rows) if self.source.value == LAYERS else (),
            folder=self.folder.folder if self.source.value == FOLDER else None,
            axes=self.data.axes.value.strip() or None,
            channels=parse_channels(self.data.channels.value),
            empty_planes=self.data.empty_planes.value,
            separate=bool(self.data.separate.value),
            repair=self._repair,
        )

    def form(self) -> TrainForm:
        """What the form says about the training."""
        start = self.fields.start
        return form_of(self.fields, start.info, self.classes.classes, self.more, {})

    def use_training_set(self, folder: Path, start: Path | None) -> None:
        """Fill the form in: learn from a folder, starting from a model."""
        self.source.value = FOLDER
        if start is not None:
            self.fields.start.choose(start)
        self.folder.line_edit.value = str(folder)
        self._on_folder()

    # -- following layers and fields -------------------------------------------------------------

    def _on_layers(self) -> None:
        from napari_unet.gui.layers import match_layers, was_edited
        from napari_unet.gui.live.previews import is_live_map

        layers = list(self._viewer.layers)
        images = [x for x in layers if x._type_string == "image" and not is_live_map(x)]
        labels = [x for x in layers if x._type_string == "labels"]
        chosen = [r.labels for r in self.pairs.rows]
        self._wait_for_edits([x for x in labels if not was_edited(x, thorough=False)])
        labels = [x for x in labels if x in chosen or was_edited(x, thorough=False)]
        shapes = [x for x in layers if x._type_string == "shapes"]
        self.pairs.set_layers(images, labels, shapes)
        alone = self.live.running and not self.pairs.rows  # Live's layers were removed
        if not alone:
            self._passed_over = None
        elif self._passed_over is None:
            self._passed_over = labels
        if not self.pairs.touched and (alone or not self.live.running):
            areas = shapes[:1] if len(shapes) == 1 else []
            found = match_layers(self._viewer)
            found = [pair for pair in found if pair[1] not in (self._passed_over or ())]
            area = areas[0] if areas and len(found) == 1 else None
            self.pairs.set_rows([PairRow((image,), label, area) for image, label in found])
        self._on_pairs()

    def _on_pairs(self) -> None:
        self._follow([x for r in self.pairs.rows for x in (*r.images, r.labels, r.area)])
        if self.pairs.rows:
            self.data.propose_separate(self.pairs.rows[0].images[0])
        self.live.use_rows(self.pairs.rows)
        self._propose_name()
        self.schedule()

    def _follow(self, layers: Sequence[Any]) -> None:
        """Listen to these layers, and to no others any more."""
        layers = [x for x in layers if x is not None]
        for layer in self._followed:
            for emitter in _emitters(layer):
                emitter.disconnect(self._on_layer_changed)
        self._followed = layers = list({id(x): x for x in layers}.values())
        for layer in layers:
            self._versions[id(layer)] = self._versions.get(id(layer), 0) + 1
            for emitter in _emitters(layer):
                emitter.connect(self._on_layer_changed)

    def _wait_for_edits(self, layers: Sequence[Any]) -> None:
        """Take up a prediction as labels as soon as a person paints in it."""
        for layer in self._predicted:
            layer.events.paint.disconnect(self._on_first_edit)
        self._predicted = list(layers)
        for layer in layers:
            layer.events.paint.connect(self._on_first_edit)

    def _on_first_edit(self, _event: Any) -> None:
        if is_alive(self._timer):  # else the widget was closed
            self._on_layers()

    def _on_layer_changed(self, event: Any) -> None:
        if not is_alive(self._timer):  # the widget was closed
            return
        # napari emits set_data for a move of the sliders, too, and nothing else for an undo.
        step = tuple(self._viewer.dims.current_step)
        moved, self._slice = step != self._slice, step
        if event.type == "set_data" and moved:
            return
        self._versions[id(event.source)] = self._versions.get(id(event.source), 0) + 1
        self.schedule()

    @property
    def wants_objects(self) -> bool:
        """Whether a person, not a guess, says that labels are objects."""
        return not self._guess_meaning and self.fields.meaning.value == "objects"

    def _on_source(self, *_: Any) -> None:
        layers = self.source.value == LAYERS
        self.pairs_host.visible = layers
        self.folder_row.visible = not layers
        self._guess_meaning = True
        self.schedule()

    def _on_folder(self, *_: Any) -> None:
        from napari_unet.core.datasets.training_set import base_model

        self._repair = ()
        folder = self.folder.folder
        base = base_model(folder) if folder is not None and folder.is_dir() else None
        if base is not None and self.fields.start.path is None:
            self.fields.start.choose(base)
        self._propose_name()
        self.schedule()

    def _on_meaning(self, *_: Any) -> None:
        self._guess_meaning = False
        self.schedule()

    def _on_classes(self) -> None:
        self.live.use_classes(self.classes.classes)
        self.schedule()

    def _on_start(self, _path: Any) -> None:
        self.more.follow_start(self.fields.start.info)
        self.fields.set_minutes(efforts_in_minutes(self.fields.start.path is not None))
        self.schedule()

    def _on_name(self, *_: Any) -> None:
        self._guess_name = not self.more.name_of_model.value.strip()
        self.schedule()

    def _propose_name(self) -> None:
        from napari_unet.core.models.catalogue import free_name

        if not self._guess_name:
            return
        named = "model"
        if self.source.value == FOLDER:
            named = Path(self.folder.text).name or named
        elif self.pairs.rows:
            named = self.pairs.rows[0].images[0].name
        name = "".join(c if c.isalnum() or c in "-_" else "-" for c in named).strip("-")[:60]
        with self.more.name_of_model.changed.blocked():
            self.more.name_of_model.value = free_name(name or "model")

    # -- looking ahead ---------------------------------------------------------------------------

    def _look(self) -> None:
        if self._looking:
            self._look_again = True
            return
        self._looking = True
        self._began_s = time.monotonic()
        device = self.panel.device if self.more.device.value == "auto" else ""
        task = partial(
            look, self._library, self.choice(), dict(self._versions), self.form(),
            self._guess_meaning, device,
        )  # fmt: skip
        Background(task, self._show_outlook, self.native)
        QTimer.singleShot(_SLOW_LOOK_MS, self._say_looking)

    def _say_looking(self) -> None:
        if is_alive(self._timer) and self._looking:
            what = "Reading the folder …" if self.source.value == FOLDER else "Counting labels …"
            self.outlook.say(what)

    def _show_outlook(self, result: Any) -> None:
        self._looking = False
        # Large labels take a while, and a computer that counts all the time is no pleasure.
        took_ms = round(1000 * (time.monotonic() - self._began_s))
        self._timer.setInterval(min(max(_LOOK_MS, 2 * took_ms), _MOST_LOOK_MS))
        if self._look_again:
            self._look_again = False
            self._timer.start()
        if isinstance(result, UNetError):
            self._outlook, self._sourced = RunSummary(problem=str(result)), []
        else:
            self._outlook, form, self._sourced = result
            self._show_meaning(form)
        outlook = self._outlook
        if self.live.running:  # both are about training from start to end
            self.outlook.say("")
            self._outlook = outlook = replace(outlook, issues=())
        elif outlook.problem:
            nothing = not self._sourced and not isinstance(result, UNetError)
            if nothing and self.source.value == LAYERS and self.pairs.missing:
                self._outlook = outlook = replace(outlook, problem=self.pairs.missing)
            self.outlook.say(outlook.problem, "info" if nothing else "warning")
        else:
            said = [outlook.warning, self._strokes_of_live()]
            warning = "".join(f" {sentence}" for sentence in said if sentence)
            kind: Any = "warning" if warning else "info"
            self.outlook.say(f"{outlook.summary}.{warning}", kind)
        self._show_issues()
        self._set_enabled()

    def _strokes_of_live(self) -> str:
        """Say what Live and Train understand differently, where it matters."""
        from napari_unet.gui.live.controller import session_of

        if self.source.value == FOLDER or self.fields.meaning.value != "objects":
            return ""
        layers = [r.labels for r in self.pairs.rows if session_of(r.labels) is not None]
        if not layers:
            return ""
        return (
            f"'{layers[0].name}' was painted for Live: in Train label 1 is one more object, "
            "and what is not painted is background."
        )

    def _show_meaning(self, form: TrainForm) -> None:
        if self._guess_meaning:
            with self.fields.meaning.changed.blocked():
                self.fields.meaning.value = form.meaning
        classes = form.meaning != "objects"
        self.classes_host.visible = classes and bool(form.classes)
        if classes:
            self.classes.set_classes(
                self._coloured(form.classes), self._outlook.counts, sparse=form.meaning == "strokes"
            )

    def _coloured(self, classes: Sequence[ClassInfo]) -> list[ClassInfo]:
        """Classes without a colour get that of the first Labels layer."""
        rows = self.pairs.rows
        if not rows or self.source.value == FOLDER:
            return list(classes)
        found = []
        for info in classes:
            rgba = rows[0].labels.get_color(info.id) if info.color is None and info.id else None
            if rgba is not None:
                info = info.model_copy(update={"color": rgb_hex(rgba)})
            found.append(info)
        return found

    def _show_issues(self) -> None:
        issues = [issue for _, issue in self._outlook.issues]
        more = f" And {len(issues) - 1} more." if len(issues) > 1 else ""
        self.check.say(f"Label check: {issues[0].message}{more}" if issues else "", "warning")
        folder = self.source.value == FOLDER
        self.repair_button.text = "Repair when reading" if folder else "Repair in a new layer"
        self.repair_button.visible = any(issue.repairable for issue in issues)

    def _on_repair(self, *_: Any) -> None:
        kinds: dict[int, set[str]] = {}
        for index, issue in self._outlook.issues:
            if issue.repairable:
                kinds.setdefault(self._sourced[index].row, set()).add(issue.kind)
        if self.source.value == FOLDER:
            self._repair = tuple(sorted(set(self._repair).union(*kinds.values())))
            self.schedule()
            return
        for index, which in kinds.items():
            table_row = self.pairs.rows[index]
            task = partial(repaired, table_row, self.choice().axes, sorted(which))
            Background(task, partial(self._add_repaired, table_row), self.native)

    def _add_repaired(self, table_row: PairRow, labels: Any) -> None:
        from napari_unet.gui.layers import add_labels

        if isinstance(labels, UNetError):
            self._tell(str(labels), "error")
            return
        image, before = table_row.images[0], table_row.labels
        layer = add_labels(
            self._viewer,
            image,
            labels,
            name=f"{before.name} repaired",
            metadata={"kind": "repaired", "from": before.name},
            axes=self.choice().axes,
        )
        before.visible = False
        for index, other in enumerate(self.pairs.rows):
            if other.same(table_row):
                self.pairs.show_labels(layer)
                self.pairs.change_row(index, labels=layer)
        self._tell(f"'{layer.name}' is what is learned from now; '{before.name}' is kept.", "info")

    # -- running ---------------------------------------------------------------------------------

    def train(self, *_: Any) -> None:
        """Start, with the labels as they are now."""
        if self.controller.busy:
            return
        preview = self._preview_source()
        runs = preferences().data_folder / "runs"
        task = partial(
            prepare, self._library, self.choice(), dict(self._versions), self.form(), runs, preview
        )
        self.controller.train(task, preview)

    def _toggle_live(self, *_: Any) -> None:
        from napari_unet.gui.live.start import live_form

        if self.live.running:
            self.live.stop()
        else:
            self._start_live(partial(live_form, self, self._viewer))

    def _start_live(self, make_form: Callable[[], LiveForm]) -> None:
        try:
            self.live.start(make_form())
        except UNetError as error:
            self._tell(str(error), "error")

    def _on_live(self, running: bool) -> None:
        self.live_button.text = "Stop live" if running else "Live"
        self.live_row.visible = self.maps_row.visible = running
        self._live_was_last = self.live.folder is not None
        self.schedule()
        self._set_enabled()
        self._show_resume()
        if not running:
            self._propose_name()

    def _on_proposal(self, there: bool) -> None:
        self.suggest_button.visible = not there
        self.accept_button.visible = self.reject_button.visible = there
        if there:
            text = "It is least certain here. Correct the proposal with the brush, then accept it."
            self._tell(text, "info")

    def _on_map_removed(self, kind: str) -> None:
        {"uncertainty": self.uncertainty, "probability": self.probability}[kind].value = False

    def stop(self) -> None:
        """Stop the run; everything is kept."""
        self.controller.stop()

    def resume(self, folder: Path | str) -> None:
        """Go on with a run or a live session, also one of an earlier session of napari."""
        from napari_unet.core.live.session import LiveSession
        from napari_unet.gui.live.start import resumed_form

        if self.controller.busy or self.live.running:
            return
        if LiveSession(Path(folder)).exists:
            self._start_live(partial(resumed_form, self, self._viewer, Path(folder)))
            return
        preview = self._preview_source()
        images = [x for x in self._viewer.layers if x._type_string == "image"]
        task = partial(prepare_resume, Path(folder), images, preview)
        self.controller.resume(Path(folder), task, preview)

    def _resume_last(self, *_: Any) -> None:
        if (folder := self._resumable()) is not None:
            self.resume(folder)

    def _resumable(self) -> Path | None:
        """The run, or live session, that ended last."""
        return self.live.folder if self._live_was_last else self.controller.resumable

    def _choose_run(self, *_: Any) -> None:
        runs = preferences().data_folder / "runs"
        start = str(runs if runs.is_dir() else Path.home())
        folder = QFileDialog.getExistingDirectory(self.native, "Folder of a run", start)
        if folder:
            self.resume(folder)

    def _preview_source(self) -> PreviewSource | None:
        """The plane in view of the selected image, else of the first that is learned from."""
        rows = self.pairs.rows
        active = self._viewer.layers.selection.active
        chosen = [r.images for r in rows if active in r.images] or [r.images for r in rows]
        if self.source.value == FOLDER:
            chosen = [(active,)] if getattr(active, "_type_string", "") == "image" else []
        if not chosen:
            return None
        try:
            choice = self.choice()
            return preview_source(
                self._viewer, chosen[0], choice.axes, choice.channels, separate=choice.separate
            )
        except UNetError:  # whatever is wrong is said when the run is prepared
            return None

    def _tell(self, text: str, kind: Any) -> None:
        self.result.say(text, kind)

    def _on_began(self) -> None:
        self._live_was_last = False

    def _on_busy(self, busy: bool) -> None:
        self._set_enabled()
        self._show_resume()
        if not busy:
            self._guess_name = self._guess_name or self.controller.model is not None
            self._propose_name()
            self.schedule()

    def _set_enabled(self) -> None:
        busy = self.controller.busy or self.live.running
        self.train_button.enabled = not self._outlook.problem and not busy
        self.other_run_button.enabled = not busy
        self.live_button.enabled = not self.controller.busy
        for field in (self.fields.meaning, self.data.axes, self.data.channels):
            field.enabled = not self.live.running  # it keeps what it began with
        self.fields.start.fixed = self.live.running
        self._name_resume()

    def _show_resume(self) -> None:
        busy = self.controller.busy or self.live.running
        self.resume_button.visible = not busy and self._resumable() is not None

    def _name_resume(self) -> None:
        """Say which run Resume goes on with, where it is not one of what is chosen now."""
        folder = self._resumable()
        if folder is None:
            return
        if self._live_was_last:
            self.resume_button.text = "Resume live"
            self.resume_button.tooltip = f"Go on painting where this session stopped: {folder}"
            return
        same = same_layers(self.controller.sources, self.choice())
        fits = len(folder.name) <= _LONGEST_RUN_NAME
        self.resume_button.text = "Resume" if same or not fits else f"Resume '{folder.name}'"
        what = "this run" if same else f"the run '{folder.name}', of other data,"
        self.resume_button.tooltip = f"Go on where {what} stopped: {folder}"


def _emitters(layer: Any) -> list[Any]:
    names = ("paint", "set_data", "data", "name")
    found = (getattr(layer.events, name, None) for name in names)
    return [emitter for emitter in found if emitter is not None]
