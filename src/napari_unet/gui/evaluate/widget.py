"""The Evaluate widget: scores of a prediction and the objects it got wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import PushButton
from qtpy.QtWidgets import QFileDialog

from napari_unet.core.errors import Cancelled, UNetError
from napari_unet.gui.app.jobs import QtJob
from napari_unet.gui.app.session import session, start_engine_soon
from napari_unet.gui.evaluate.fields import EvaluateFields
from napari_unet.gui.evaluate.form import (
    Comparison,
    EvaluateValues,
    notes_on_layers,
    prepare_comparison,
    problem,
)
from napari_unet.gui.evaluate.overlay import Overlay
from napari_unet.gui.evaluate.results import ResultsView
from napari_unet.gui.evaluate.views import Views
from napari_unet.gui.forms import Form, Message, ProgressRow
from napari_unet.gui.layers.proxies import unwrapped

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Labels

    from napari_unet.compute import Ended, Evaluation, Job

__all__ = ["EvaluateWidget"]


class EvaluateWidget(Form):
    """Comparison of a prediction with ground truth: scores, an error layer, tables of objects.

    Parameters
    ----------
    viewer
        Viewer whose layers are compared.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer = unwrapped(viewer)
        self._asked: _Asked | None = None
        self._found: tuple[_Asked, Evaluation] | None = None
        self._job: QtJob | None = None
        self._error_layer: Labels | None = None
        self.fields, self.views = EvaluateFields(viewer), Views(viewer)
        self.run = PushButton(
            text="Evaluate", tooltip="Compare the prediction with the ground truth."
        )
        self._message, self._progress = Message(), ProgressRow(stop_tooltip="Stop the comparison.")
        self.results = ResultsView(self.views)
        self.save = PushButton(text="Export CSV …", tooltip="Save all tables in a folder.")
        asking = [*self.fields.shown, self.run, self.fields.more, self._progress, self._message]
        super().__init__(widgets=[*asking, self.results, self.save])
        self.results.visible = self.save.visible = False
        self._connect()
        start_engine_soon(self.native)

    @property
    def values(self) -> EvaluateValues:
        """Current values of the form."""
        return self.fields.values

    @property
    def message(self) -> str:
        """Current warning or error; empty if there is none."""
        return self._message.text

    @property
    def running(self) -> bool:
        """Whether a comparison is running."""
        return self._job is not None

    @property
    def error_layer(self) -> Labels | None:
        """Layer that shows the errors, or None if it is not in the viewer."""
        layer = self._error_layer
        return layer if layer is not None and layer in self._viewer.layers else None

    def evaluate(self) -> Job | None:
        """Start the comparison; show a message and return None if it is impossible."""
        values = self.values
        try:
            comparison = prepare_comparison(values)
        except UNetError as error:
            self._message.say(str(error), "error")
            return None
        self._message.clear()
        self._asked = _Asked.of(values, comparison)
        job = session().engine.submit(comparison.request)
        self._job = QtJob(job, self.native)
        self._job.event.connect(self._on_event)
        self._job.ended.connect(self._on_ended)
        self.run.enabled = False
        self._progress.start("Comparing …")
        return job

    def export(self, folder: Path) -> list[Path]:
        """Write the tables of the last evaluation as CSV files into a folder.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        from napari_unet.gui.evaluate.tables import export_csv

        if self._found is None:
            return []
        asked, result = self._found
        return export_csv(result.report, result.errors, folder, asked.describe())

    def _connect(self) -> None:
        self.run.clicked.connect(self.evaluate)
        self.fields.changed.connect(self._check)
        self._progress.stopped.connect(self._stop)
        self.save.clicked.connect(self._ask_and_export)
        self.results.object_chosen.connect(self._go_to_object)
        self.results.image_chosen.connect(self._go_to_plane)
        self.results.failed.connect(lambda sentence: self._message.say(sentence, "error"))

    def _check(self) -> None:
        """Show problems as soon as both layers are chosen, before the button is pressed."""
        values = self.values
        both = values.prediction is not None and values.truth is not None
        self._message.say(problem(values) if both and not values.from_folders else "", "warning")

    # -- the job ---------------------------------------------------------------------------------

    def _stop(self) -> None:
        if self._job is not None:
            self._job.stop()

    def _on_event(self, event: Any) -> None:
        from napari_unet.compute import Progress

        if isinstance(event, Progress):
            self._progress.show_progress(int(event.done), event.total, event.seconds_left)

    def _on_ended(self, event: Ended) -> None:
        self._progress.finish()
        self.run.enabled = True
        self._job = None
        if event.error is not None:
            kind: Any = "info" if isinstance(event.error, Cancelled) else "error"
            self._message.say(str(event.error), kind)
        elif self._asked is not None and event.result is not None:
            try:
                self._show(self._asked, event.result)
            except UNetError as error:  # the layers have changed since
                self._message.say(str(error), "error")

    def _show(self, asked: _Asked, result: Evaluation) -> None:
        self._found = (asked, result)
        if result.errors is not None and asked.placed is not None:
            self._show_error_layer(asked, result)
        values = asked.values
        self.views.visible = asked.placed is not None
        if values.truth is not None and values.prediction is not None:
            layers = (values.image, values.truth, values.prediction, self.error_layer)
            self.views.show_compared(*layers)
        self.results.visible = self.save.visible = True
        self.results.show_result(
            result.report, result.errors, values.iou_threshold, asked.notes, name=asked.name
        )

    def _show_error_layer(self, asked: _Asked, result: Evaluation) -> None:
        from napari_unet.gui.layers import add_errors, update_labels

        assert asked.placed is not None
        assert result.errors is not None
        source, axes = asked.placed.layer, asked.placed.axes
        name = f"errors of {asked.values.prediction and asked.values.prediction.name}"
        metadata = {"kind": "errors", **asked.describe()}
        old = self.error_layer
        if old is not None and old.data.shape == source.data.shape:
            labels = result.errors.labels
            if update_labels(old, labels, source_layer=source, axes=axes, metadata=metadata):
                old.name = name
                return
        self._error_layer = add_errors(
            self._viewer, source, result.errors, name=name, metadata=metadata, axes=axes
        )

    # -- the view --------------------------------------------------------------------------------

    def _go_to_object(self, row: dict[str, Any]) -> None:
        """Show an object of the table in the viewer and select its label in its layer."""
        from napari_unet.gui.layers import jump_to

        if self._found is None or (placed := self._found[0].placed) is None:
            return
        values = self._found[0].values
        position = placed.position(row["plane"])
        if "centroid_z" in row:
            position["Z"] = round(row["centroid_z"])
        jump_to(
            self._viewer,
            placed.layer,
            position,
            (row["centroid_y"], row["centroid_x"]),
            diameter_px=2 * (row["area_px"] / 3.14) ** 0.5,
            axes=placed.axes,
        )
        layer = values.truth if row["object"] == "truth" else values.prediction
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.selection.active = layer
            layer.selected_label = row["id"]

    def _go_to_plane(self, name: str) -> None:
        from napari_unet.gui.layers import jump_to

        if self._found is None or (placed := self._found[0].placed) is None:
            return
        height, width = placed.truth.shape[-2:]
        jump_to(
            self._viewer,
            placed.layer,
            placed.position(name.removeprefix(self._found[0].name)),
            (height / 2, width / 2),
            diameter_px=max(height, width) / 8,
            axes=placed.axes,
        )

    def _ask_and_export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self.native, "Folder for the tables")
        if not folder:
            return
        instead = ", replacing earlier tables" if (Path(folder) / "scores.csv").exists() else ""
        try:
            written = self.export(Path(folder))
        except UNetError as error:
            self._message.say(str(error), "error")
        else:
            names = ", ".join(path.name for path in written)
            self._message.say(f"Saved in '{folder}'{instead}: {names}.", "good")


@dataclass(frozen=True)
class _Asked:
    """Choices of the form when the button was pressed.

    Parameters
    ----------
    values
        Values of the form.
    placed
        Aligned layers, or None if folders are compared.
    name
        Name of the prediction in the report.
    notes
        Sentences about the layers.
    """

    values: EvaluateValues
    placed: Overlay | None
    name: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, values: EvaluateValues, comparison: Comparison) -> _Asked:
        if comparison.placed is None or values.prediction is None:
            return cls(values, None, "", ())
        notes = tuple(notes_on_layers(values))
        return cls(values, comparison.placed, values.prediction.name, notes)

    def describe(self) -> dict[str, Any]:
        """Return what was compared as plain values, for metadata and tables."""
        values = self.values
        compared = {"prediction": str(values.prediction_folder), "truth": str(values.truth_folder)}
        if not values.from_folders:
            layers = {"prediction": values.prediction, "truth": values.truth}
            layers |= {"image": values.image, "annotated area": values.annotated}
            compared = {what: layer.name for what, layer in layers.items() if layer is not None}
        settings = {"labels are": values.kind, "IoU threshold": values.iou_threshold}
        return compared | settings | {"planes without labels": values.empty_planes}
