"""Fields of the Evaluate widget and their default choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, LineEdit, SpinBox, Widget
from psygnal import Signal

from napari_unet.gui.evaluate.form import EvaluateValues, made_by
from napari_unet.gui.forms import (
    Collapsible,
    FolderField,
    HelpButton,
    LayerChooser,
    follow_layers,
    row,
)

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_unet.gui.forms import ModelChooser

__all__ = ["EvaluateFields"]

_NONE = "none"


class EvaluateFields:
    """Fields of the form, kept in step with the viewer's layers.

    Parameters
    ----------
    viewer
        Viewer whose layers can be chosen.

    Attributes
    ----------
    shown
        Rows that are always visible.
    more
        Collapsible section with the remaining rows.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._chosen: set[str] = set()
        self._proposing = False
        self._seen: list[Layer] = []
        self._model: ModelChooser | None = None
        self._make_choosers()
        self._make_settings()
        self.shown = self._rows()
        self.more = self._fold()
        self._connect()
        self._propose()
        self._follow()

    @property
    def values(self) -> EvaluateValues:
        """Current values of the form."""
        semantic = self.kind.value == "semantic"
        return EvaluateValues(
            from_folders=self.source.value == "folders",
            prediction=self.prediction.layer,
            truth=self.truth.layer,
            image=self.image.layer,
            annotated=self.annotated.layer,
            prediction_folder=self.prediction_folder.folder,
            truth_folder=self.truth_folder.folder,
            model=self._model.path if self._model is not None else None,
            kind=self.kind.value,
            iou_threshold=float(self.iou_threshold.value),
            volumes=self.volumes.value == "volumes",
            empty_planes=self.empty_planes.value,
            sparse=semantic and bool(self.sparse.value),
            background=int(self.background.value) if semantic else 0,
            classes=str(self.classes.value) if semantic else "",
        )

    # -- making ----------------------------------------------------------------------------------

    def _make_choosers(self) -> None:
        self.source = ComboBox(
            choices=[("open layers", "layers"), ("two folders", "folders")],
            tooltip="Compare two open layers, or two folders of files matched by name.",
        )
        labels: dict[str, Any] = {"kinds": ["labels"], "wanted": _is_no_error_layer, "none": _NONE}
        self.prediction = LayerChooser(self._viewer, tooltip="Labels layer to score.", **labels)
        self.truth = LayerChooser(
            self._viewer, tooltip="Ground-truth labels, drawn by hand.", **labels
        )
        self.image = LayerChooser(
            self._viewer,
            ["image"],
            none=_NONE,
            tooltip="The image behind both: shown in the views and used to check whether the model "
            "was trained on it.",
        )
        self.annotated = LayerChooser(
            self._viewer,
            ["shapes", "labels"],
            none="everywhere",
            tooltip="Only pixels inside these shapes or labels are scored.",
        )
        self.prediction_folder = FolderField(tooltip="Folder of predicted label files.")
        self.truth_folder = FolderField(
            tooltip="Folder of ground-truth label files with the same names."
        )

    def _make_settings(self) -> None:
        self.kind = ComboBox(
            choices=[("objects", "instances"), ("classes", "semantic")],
            tooltip="Objects: each number is one object. Classes: each number is a class.",
        )
        self.iou_threshold = FloatSpinBox(
            value=0.5,
            min=0.05,
            max=0.95,
            step=0.05,
            tooltip="How much a predicted object must overlap a ground-truth object to count as "
            "found, as intersection over union. 0.5 is common.",
        )
        self.volumes = ComboBox(
            choices=[("each plane", "planes"), ("whole volumes", "volumes")],
            tooltip="For stacks: score each plane separately, or whole volumes with 3-D objects.",
        )
        self.empty_planes = ComboBox(
            choices=[("not annotated yet", "ignore"), ("empty", "background")],
            tooltip="What a plane without ground-truth labels means: not annotated yet (not "
            "scored), or without any object.",
        )
        self.sparse = CheckBox(
            text="0 means 'not painted'",
            tooltip="Only parts of the ground truth are painted: pixels with 0 are not scored.",
        )
        self.background = SpinBox(
            value=0, min=0, max=65535, tooltip="Number of the background in the ground truth."
        )
        self.classes = LineEdit(
            tooltip="Names of the classes in the ground truth, such as 1=cell, 2=border."
        )
        self.classes.native.setPlaceholderText("1=cell, 2=border")

    def _rows(self) -> list[Widget]:
        self.help = HelpButton("guide/evaluate", "Open the guide to Evaluate in the browser.")
        self._layer_rows = [
            row("Prediction", self.prediction),
            row("Ground truth", self.truth),
            row("Image", self.image),
        ]
        self._folder_rows = [
            row("Predictions", self.prediction_folder),
            row("Ground truth", self.truth_folder),
        ]
        _show(False, *self._folder_rows)
        self._iou_row = row("IoU threshold", self.iou_threshold)
        return [
            row("Compare", self.source, self.help),
            *self._layer_rows,
            *self._folder_rows,
            row("Labels are", self.kind),
            self._iou_row,
        ]

    def _fold(self) -> Collapsible:
        self._area_row = row("Annotated area", self.annotated)
        self._class_rows = [
            row("Class names", self.classes),
            row("Background", self.background),
            self.sparse,
        ]
        inside = [
            self._area_row,
            row("Score", self.volumes),
            row("Empty planes", self.empty_planes),
            *self._class_rows,
        ]
        return Collapsible("More settings", inside, tooltip="Annotated area, stacks and classes.")

    def _connect(self) -> None:
        for name in ("prediction", "truth", "image"):
            chooser = getattr(self, name)
            chooser.changed.connect(lambda _layer, name=name: self._on_choice(name))
        self.source.changed.connect(self._follow)
        self.kind.changed.connect(self._follow)
        self.kind.changed.connect(lambda _kind: self._on_choice("kind"))
        for field in (self.volumes, self.empty_planes, self.sparse, self.background, self.classes):
            field.changed.connect(lambda _value: self.changed.emit())
        self.annotated.changed.connect(lambda _layer: self.changed.emit())
        follow_layers(self._viewer, self._propose, self.prediction.native)

    # -- following -------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Show the rows that apply to the current choice."""
        folders, semantic = self.source.value == "folders", self.kind.value == "semantic"
        if folders and self._model is None:
            self._model = self._add_model_chooser()
        if self._model is not None:
            self._model.visible = folders
        _show(not folders, *self._layer_rows, self._area_row)
        _show(folders, *self._folder_rows)
        _show(semantic, *self._class_rows)
        self._iou_row.visible = not semantic and not folders  # files have no error layer
        self.changed.emit()

    def _add_model_chooser(self) -> ModelChooser:
        from napari_unet.gui.forms import ModelChooser

        chooser = ModelChooser(
            none="unknown",
            label="Model",
            tooltip="Model that predicted the files, to check whether it was trained on them.",
        )
        self.more.inner.append(chooser)
        return chooser

    def _on_choice(self, name: str) -> None:
        if self._proposing or self._seen != self._layers():
            return  # not the user: the layer list changed and another proposal follows
        self._chosen.add(name)
        if name == "prediction":
            self._chosen.discard("kind")  # known from its model
        self._propose()

    def _propose(self) -> None:
        """Select a prediction and its partners wherever the user has made no choice."""
        if self._proposing:
            return
        self._proposing, self._seen = True, self._layers()
        for chooser in (self.prediction, self.truth, self.image):
            chooser.refresh()
        labels = [layer for layer in self.prediction.choices if layer is not None]
        if not self._keeps("prediction"):
            taken = self.truth.layer if self._keeps("truth") else None
            self.prediction.layer = _prediction_among([i for i in labels if i is not taken])
        prediction = self.prediction.layer
        if not self._keeps("truth"):
            self.truth.layer = _truth_for(prediction, labels, self.truth.layer)
        if not self._keeps("image"):
            self.image.layer = _image_for(prediction, list(self.image.choices))
        if (task := made_by(prediction).get("task")) and "kind" not in self._chosen:
            self.kind.value = task.get("kind", self.kind.value)
        self._proposing = False
        self.changed.emit()

    def _layers(self) -> list[Layer]:
        return list(self._viewer.layers)

    def _keeps(self, name: str) -> bool:
        """Return whether the user chose a layer that still exists."""
        chooser = getattr(self, name)
        if name in self._chosen and chooser.value is None and name != "image":
            self._chosen.discard(name)  # it was removed from the viewer
        return name in self._chosen


def _show(visible: bool, *rows: Widget) -> None:
    for each in rows:
        each.visible = visible


def _prediction_among(labels: list[Layer]) -> Layer | None:
    """Return the newest prediction of this plugin, else of another model, else any labels."""
    from napari_unet.gui.layers import is_ours

    def rank(layer: Layer) -> tuple[bool, ...]:
        return not is_ours(layer), not made_by(layer).get("model")

    return min(labels, key=rank, default=None)


def _truth_for(prediction: Layer | None, labels: list[Layer], now: Layer | None) -> Layer | None:
    """Return other labels of that size: preferably of the same shape, drawn, and chosen now."""
    if prediction is None:
        return None
    shape = prediction.data.shape
    others = [x for x in labels if x is not prediction and x.data.shape[-2:] == shape[-2:]]

    def rank(layer: Layer) -> tuple[bool, ...]:
        return layer.data.shape != shape, bool(made_by(layer).get("model")), layer is not now

    return min(others, key=rank, default=None)


def _image_for(prediction: Layer | None, images: list[Layer | None]) -> Layer | None:
    """Return the image that was predicted, else one of the same size."""
    if prediction is None:
        return None
    names = made_by(prediction).get("layers") or ()
    size = prediction.data.shape[-2:]
    fitting = [i for i in images if i is not None and _size(i) == size]
    return next((i for i in fitting if i.name in names), next(iter(fitting), None))


def _size(image: Any) -> tuple[int, ...]:
    shape = image.data[0].shape if image.multiscale else image.data.shape
    return tuple(shape[:-1] if image.rgb else shape)[-2:]


def _is_no_error_layer(layer: Layer) -> bool:
    return made_by(layer).get("kind") != "errors"
