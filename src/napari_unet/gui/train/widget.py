"""The Train widget, which makes a model from images and labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.core.errors import UNetError
from napari_unet.gui.app.preferences import preferences
from napari_unet.gui.app.session import start_engine_soon
from napari_unet.gui.forms import follow_layers, is_alive
from napari_unet.gui.layers.preview import PreviewSource, preview_source
from napari_unet.gui.layers.proxies import unwrapped
from napari_unet.gui.train.controller import TrainController
from napari_unet.gui.train.data import PairCache
from napari_unet.gui.train.form import efforts_in_minutes
from napari_unet.gui.train.form_proposals import propose_base_model, propose_name
from napari_unet.gui.train.layer_changes import LayerChanges
from napari_unet.gui.train.layout import FOLDER, TrainLayout
from napari_unet.gui.train.look_ahead import LookAhead
from napari_unet.gui.train.pair_proposal import PairProposal
from napari_unet.gui.train.prepare import look, prepare, prepare_resume
from napari_unet.gui.train.repair import LabelRepair
from napari_unet.gui.train.resuming import Resuming
from napari_unet.gui.train.summary_view import SummaryView

if TYPE_CHECKING:
    import napari

__all__ = ["TrainWidget"]


class TrainWidget(TrainLayout):
    """Widget that trains a network on open layers or on a folder.

    Parameters
    ----------
    viewer
        The viewer whose layers are trained on; also shows the preview.

    Attributes
    ----------
    controller, live
        Run trainings and live trainings.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        # imported late because napari imports this file when it opens a menu
        from napari_unet.gui.live.controller import LiveController
        from napari_unet.gui.train.live_section import LiveSection

        self._viewer = viewer = unwrapped(viewer)
        super().__init__(preferences().device)
        self._cache = PairCache()
        self._changes = LayerChanges(viewer, self.schedule, self._on_layers)
        self._proposal = PairProposal(viewer, self.pairs, self._changes)
        self.controller = TrainController(viewer, self.panel, self.native)
        self.live = LiveController(viewer, self.native)
        self._look_ahead = LookAhead(self._look_task, self.native)
        self._view = SummaryView(self)
        self._repair = LabelRepair(viewer, self, self._view, self._tell)
        self._live_section = LiveSection(viewer, self, self.live, self._tell)
        self._resuming = Resuming(self, self.controller, self.live, self.resume)
        self._connect()
        self._on_layers()
        self._resuming.show()
        start_engine_soon(self.native, "pyqtgraph")

    @property
    def problem(self) -> str:
        """Why training cannot start and what to do; empty if it can start."""
        return self._view.summary.problem

    @property
    def summary(self) -> str:
        """Description of the run to come, in one line."""
        return self._view.summary.summary

    @property
    def looking(self) -> bool:
        """Whether a check of the data is running or scheduled."""
        return self._look_ahead.busy

    def schedule(self, *_: Any) -> None:
        """Schedule a check of the data and the form."""
        if is_alive(self._look_ahead):  # else the widget was closed
            self._look_ahead.schedule()

    def use_training_set(self, folder: Path, start: Path | None) -> None:
        """Set the form to train on a folder, starting from a model."""
        self.source.value = FOLDER
        if start is not None:
            self.fields.start.choose(start)
        self.folder.line_edit.value = str(folder)
        self._on_folder()

    # -- running ---------------------------------------------------------------------------------

    def train(self, *_: Any) -> None:
        """Start training on the current labels."""
        if self.controller.busy:
            return
        preview = self._preview_source()
        runs = preferences().data_folder / "runs"
        task = partial(
            prepare, self._cache, self.choice(), dict(self._changes.versions), self.form(), runs,
            preview,
        )  # fmt: skip
        self.controller.train(task, preview)

    def stop(self) -> None:
        """Stop the run, which can be resumed."""
        self.controller.stop()

    def resume(self, folder: Path | str) -> None:
        """Resume a run or a live session, also from before a restart of napari."""
        from napari_unet.core.live.session import LiveSession

        folder = Path(folder)
        if self.controller.busy or self.live.running:
            return
        if LiveSession(folder).exists:
            self._live_section.resume(folder)
            return
        preview = self._preview_source()
        images = [x for x in self._viewer.layers if x._type_string == "image"]
        self.controller.resume(folder, partial(prepare_resume, folder, images, preview), preview)

    def _preview_source(self) -> PreviewSource | None:
        """Return the plane in view of the selected image, else of the first training image."""
        active = self._viewer.layers.selection.active
        if self.from_folder:
            chosen = [(active,)] if getattr(active, "_type_string", "") == "image" else []
        else:
            every = [row.images for row in self.pairs.rows]
            chosen = [images for images in every if active in images] or every
        if not chosen:
            return None
        try:
            choice = self.choice()
            return preview_source(
                self._viewer, chosen[0], choice.axes, choice.channels, separate=choice.separate
            )
        except UNetError:  # the error is reported when the run is prepared
            return None

    def _tell(self, text: str, kind: Any) -> None:
        self.result.say(text, kind)

    # -- signals ---------------------------------------------------------------------------------

    def _connect(self) -> None:
        self.train_button.changed.connect(self.train)
        self.repair_button.changed.connect(self._on_repair)
        self.source.changed.connect(self._on_source)
        self.folder.changed.connect(self._on_folder)
        self.fields.meaning.changed.connect(self._on_meaning)
        self.fields.meaning.native.activated.connect(
            self._on_meaning
        )  # also if the same choice is made again
        self.fields.start.changed.connect(self._on_start)
        self.more.name_of_model.changed.connect(self._on_name)
        self.pairs.changed.connect(self._on_pairs)
        self.classes.changed.connect(self._on_classes)
        for field in (
            self.fields.effort, self.data.axes, self.data.channels, self.data.empty_planes,
            self.data.separate, self.more.budget, self.more.unit, self.more.augmentation,
            self.more.learning_rate, self.more.device, *self.more.settings.fields,
        ):  # fmt: skip
            field.changed.connect(self.schedule)
        self.controller.told.connect(self._tell)
        self.controller.busy_changed.connect(self._on_busy)
        self.live.running_changed.connect(self._on_live)
        self._look_ahead.looked.connect(self._on_look)
        self._look_ahead.slow.connect(self._view.say_slow)
        follow_layers(self._viewer, self._on_layers, self.native)
        self._on_start(None)

    def _look_task(self) -> Callable[[], Any]:
        device = self.panel.device if self.more.device.value == "auto" else ""
        return partial(
            look, self._cache, self.choice(), dict(self._changes.versions), self.form(),
            self.guess_meaning, device,
        )  # fmt: skip

    def _on_look(self, result: Any) -> None:
        self._view.show(result, live=self.live.running)
        self._set_enabled()

    def _on_layers(self) -> None:
        if is_alive(self._look_ahead):  # else the widget was closed
            self._proposal.update(live=self.live.running)
            self._on_pairs()

    def _on_pairs(self) -> None:
        rows = self.pairs.rows
        self._changes.follow([x for r in rows for x in (*r.images, r.labels, r.area)])
        if rows:
            self.data.propose_separate(rows[0].images[0])
        self.live.use_rows(rows)
        propose_name(self)
        self.schedule()

    def _on_source(self, *_: Any) -> None:
        self.pairs_host.visible = not self.from_folder
        self.folder_row.visible = self.from_folder
        self.guess_meaning = True
        self.schedule()

    def _on_folder(self, *_: Any) -> None:
        self.repair = ()
        propose_base_model(self)
        propose_name(self)
        self.schedule()

    def _on_repair(self, *_: Any) -> None:
        self._repair.repair()
        if self.from_folder:
            self.schedule()

    def _on_meaning(self, *_: Any) -> None:
        self.guess_meaning = False
        self.schedule()

    def _on_classes(self) -> None:
        self.live.use_classes(self.classes.classes)
        self.schedule()

    def _on_start(self, _path: Any) -> None:
        self.more.follow_start(self.fields.start.info)
        self.fields.set_minutes(efforts_in_minutes(self.fields.start.path is not None))
        self.schedule()

    def _on_name(self, *_: Any) -> None:
        self.guess_name = not self.more.name_of_model.value.strip()
        self.schedule()

    def _on_live(self, running: bool) -> None:
        self._live_section.show_running(running)
        self._resuming.note_live()
        self.schedule()
        self._set_enabled()
        self._resuming.show()
        if not running:
            propose_name(self)

    def _on_busy(self, busy: bool) -> None:
        self._set_enabled()
        self._resuming.show()
        if not busy:
            self.guess_name = self.guess_name or self.controller.model is not None
            propose_name(self)
            self.schedule()

    def _set_enabled(self) -> None:
        live = self.live.running
        busy = self.controller.busy or live
        self.train_button.enabled = not self.problem and not busy
        self.other_run_button.enabled = not busy
        self.live_button.enabled = not self.controller.busy
        for field in (self.fields.meaning, self.data.axes, self.data.channels):
            field.enabled = not live  # Live keeps the settings it started with
        self.fields.start.fixed = live
        self._resuming.name_button()
