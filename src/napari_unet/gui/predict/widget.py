"""The Predict widget, which predicts image layers or files with a model."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui import widgets as w
from qtpy.QtCore import QTimer

from napari_unet.core.errors import UNetError
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.gui.app.session import preferences, start_engine_soon
from napari_unet.gui.forms import (
    Collapsible,
    Form,
    HelpButton,
    LayerChooser,
    Message,
    ModelChooser,
    ProgressRow,
    follow_layers,
    is_alive,
    row,
)
from napari_unet.gui.layers.proxies import unwrapped
from napari_unet.gui.predict.fields import SCOPES, Decoding, Folders, More
from napari_unet.gui.predict.form import PredictForm, rescale_offer, summary
from napari_unet.gui.predict.inputs import chosen_layers, correction, is_picture, read_input
from napari_unet.gui.predict.reproduce import Reproducible, find_reproducible
from napari_unet.gui.predict.results import Result, hash_of
from napari_unet.gui.predict.run import PredictRun
from napari_unet.gui.predict.sections import Correction, Reproduce, Retrain

if TYPE_CHECKING:
    import napari

    from napari_unet.core.images.image import Image
    from napari_unet.core.models.model import ModelInfo

__all__ = ["PredictWidget"]

_DECODE_MS = 120
_CHECK_MS = 80
_MEASURED_TOLERANCE = 2.5
"""Factor by which measured objects must differ in size before resizing is offered."""
_LEAST_OBJECTS = 10


class PredictWidget(Form):
    """Widget that predicts image layers, or a folder of files, with a trained model.

    Parameters
    ----------
    viewer
        Viewer of the image layers and the results.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer = unwrapped(viewer)
        self._measured_px: float | None = None
        self._said = ""
        self.model = ModelChooser(tooltip="Model trained to find the objects or classes.")
        self.image = LayerChooser(viewer, ["image"], wanted=is_picture, tooltip="Image to predict.")
        self.scope = w.ComboBox(name="scope", choices=list(SCOPES.items()))
        self.folders = Folders()
        self.decoding = Decoding()
        self.more = More()
        self.message = Message()
        self.run_button = w.PushButton(
            text="Predict", tooltip="Add the result as a new layer. Your layers are not changed."
        )
        self.progress = ProgressRow(stop_tooltip="Stop and keep the results of finished images.")
        self.offer = Message()
        self.rescale_button = w.PushButton(text="Resize", visible=False)
        self.reproduce = Reproduce(self.reproducible)
        self.retrain = Retrain(
            self._correction, self._model_in_use, self._open_train, _default_training_set()
        )
        self.help = HelpButton("guide/predict", "Open the guide to Predict in the browser.")
        self._image_row = row("Image", self.image, tooltip="The image layer to predict.")
        about = self.model.about  # too narrow inside the row
        self.model.remove(about)
        super().__init__(
            [
                row(
                    "Model",
                    self.model,
                    self.help,
                    tooltip="A shipped model, one of your own, or a file.",
                ),
                self._image_row,
                row("Predict", self.scope, tooltip="Which part of the data to predict."),
                *self.folders.rows,
                self.offer,
                self.rescale_button,
                self.run_button,
                self.progress,
                self.message,
                *self.decoding.main_rows,
                about,
                Collapsible(
                    "More settings",
                    [*self.decoding.rare_rows, *self.folders.more, *self.more.rows],
                ),
                self.reproduce,
                self.retrain,
            ],
            name="predict",
        )
        self.run = PredictRun(viewer, self.native)
        self._check_soon = self._timer(_CHECK_MS, self.check)
        self._decode_soon = self._timer(_DECODE_MS, self._redecode)
        self._connect()
        self._on_image()
        self._on_model()
        self._on_scope()
        start_engine_soon(self.native)

    # -- state of the form -----------------------------------------------------------------------

    @property
    def form(self) -> PredictForm:
        """Values of the form."""
        return PredictForm(
            model=self.model.path,
            info=self.model.info,
            scope=self.scope.value,
            axes=self.more.given_axes,
            options=self._options,
            **self.folders.values,
            **self.more.values,
        )

    @property
    def _options(self) -> PredictOptions:
        wished = preferences()
        return PredictOptions(
            device=wished.device,
            block_px=wished.block_px,
            adjustments=self.decoding.values,
            **self.more.options.values,
        )

    def inputs(self) -> list[Result]:
        """Read the images to predict, as one entry per image.

        Raises
        ------
        UNetError
            If layers and settings do not fit together.
        """
        return self._inputs(self.form)

    def _inputs(self, form: PredictForm) -> list[Result]:
        if form.info is None:
            return []
        layers = chosen_layers(self._viewer, form.scope, self.image.layer)
        return [read_input(self._viewer, form, layer) for layer in layers]

    def check(self) -> str:
        """Show what will be predicted, or the problem; return the problem."""
        return "" if self.run.busy else self._check(self.form)[1]

    def _check(self, form: PredictForm) -> tuple[list[Result], str]:
        """Read and show what will be predicted, or the problem; return both."""
        inputs: list[Result] = []
        try:
            inputs = self._inputs(form)
            problem = form.problem([result.image for result in inputs])
        except UNetError as error:
            problem = str(error)
        images = [result.image for result in inputs]
        self.run_button.enabled = not problem
        text = problem or summary(form, images, inputs[0].position if inputs else {})
        if text != self._said:  # the message of the last run stays until something changes
            self.message.say(text, "warning" if problem else "info")
            self._said = text
        self._offer_rescale(form, images)
        return inputs, problem

    # -- predicting ------------------------------------------------------------------------------

    def predict(self) -> None:
        """Start the prediction; results are shown as new layers."""
        if self.run.busy:
            return
        form = self.form
        inputs, problem = self._check(form)
        if problem or form.model is None:
            return
        # Compute the hash early, so that it is cached when the first result arrives.
        threading.Thread(target=hash_of, args=(form.model,), daemon=True).start()
        self.reproduce.message.clear()
        if form.scope == "folder":
            record = form.record(Path(form.source).name, "")
            self.run.start_files(form.files_request(), record)
            return
        self._measured_px = None
        self.run.start(form, inputs)

    def _redecode(self) -> None:
        if self.model.info is not None and self.run.results:
            self.run.redecode(self.decoding.values)

    # -- reactions -------------------------------------------------------------------------------

    def _connect(self) -> None:
        soon = self._soon
        self.model.changed.connect(self._on_model)
        self.scope.changed.connect(self._on_scope)
        self.image.changed.connect(self._on_image)
        for field in (*self.more.fields, *self.folders.fields):
            field.changed.connect(soon)
        for slider in self.decoding.sliders.values():
            slider.changed.connect(lambda _value: self._decode_soon.start())
        self.run_button.clicked.connect(self.predict)
        self.rescale_button.clicked.connect(self._rescale)
        self.progress.stopped.connect(self.run.stop)
        self.run.told.connect(self._on_told)
        self.run.progressed.connect(self._on_progress)
        self.run.busy_changed.connect(self._on_busy)
        self.run.measured.connect(self._on_measured)
        follow_layers(self._viewer, soon, self.native)
        # Bound methods, which the viewer holds weakly.
        self._viewer.layers.selection.events.changed.connect(self._on_view)
        self._viewer.layers.selection.events.active.connect(self._on_active)
        self._viewer.dims.events.current_step.connect(self._on_view)

    def _on_view(self, _event: Any = None) -> None:
        if not is_alive(self._check_soon):
            return
        if not self.run.busy and self.scope.value in ("selected", "plane"):
            self._soon()

    def _on_active(self, _event: Any = None) -> None:
        if is_alive(self._check_soon):  # the message was about another result
            self.reproduce.message.clear()

    def _soon(self, *_: Any) -> None:
        if is_alive(self._check_soon):  # the widget is still open
            self._check_soon.start()

    def _on_model(self, *_: Any) -> None:
        self.reproduce.message.clear()
        self.decoding.follow(self.model.info)
        self.run.forget()
        self._measured_px = None
        self._soon()

    def _on_scope(self, *_: Any) -> None:
        self.reproduce.message.clear()
        folder = self.scope.value == "folder"
        self.folders.show(folder)
        if folder:  # the axes of a layer do not apply to files
            self.more.propose_axes("")
        else:
            self._on_image()
        self._image_row.visible = self.scope.value in ("stack", "plane")
        self._check_soon.start()

    def _on_image(self, *_: Any) -> None:
        from napari_unet.gui.layers import propose_axes

        self._measured_px = None
        self.reproduce.message.clear()
        layer = self.image.layer
        self.more.propose_axes("" if layer is None else propose_axes(layer))
        self._check_soon.start()

    def _on_told(self, sentence: str, kind: Any) -> None:
        self.message.say(sentence, kind)

    def _on_progress(self, share: float, seconds_left: float | None) -> None:
        self.progress.show_progress(round(1000 * share), 1000, seconds_left)

    def _on_busy(self, busy: bool) -> None:
        self.run_button.visible = not busy
        if busy:
            self.progress.start()
        else:
            self.progress.finish()
            self._decode_soon.start()  # the sliders may have moved during the prediction

    def _on_measured(self, result: Result, rows: list[dict[str, Any]]) -> None:
        areas = sorted(row["area_px"] for row in rows if "area_px" in row and "id" in row)
        if len(areas) >= _LEAST_OBJECTS:
            self._measured_px = 2 * (areas[len(areas) // 2] / 3.1416) ** 0.5
        self._offer_rescale(self.form, [result.image])

    # -- pixels and objects of another size -------------------------------------------------------

    def _offer_rescale(self, form: PredictForm, images: list[Image]) -> None:
        offer = None
        scale = form.options.scale
        if form.info is not None and len(images) == 1 and scale != "auto":
            given = float(self.more.diameter_px.value) or None
            offer = rescale_offer(form.info, images[0], given, scale)
            unknown = images[0].pixel_size is None or form.info.pixel_size_um is None
            if offer is None and given is None and unknown and self._measured_px:
                offer = rescale_offer(
                    form.info, None, self._measured_px, scale, _MEASURED_TOLERANCE
                )
        self.offer.say("" if offer is None else offer.why, "warning")
        self.rescale_button.visible = offer is not None
        if offer is not None:
            self.rescale_button.text = f"Resize by {offer.scale:g} for the model"
            self._offered = offer.scale

    def _rescale(self) -> None:
        self.more.scale.value = self._offered

    # -- reproducing and retraining ---------------------------------------------------------------

    def reproducible(self) -> Reproducible:
        """Return the run to reproduce; see `find_reproducible`.

        Raises
        ------
        UNetError
            If there is nothing to predict.
        """
        return find_reproducible(self._viewer, self.form, self.run, self.image.layer, self.inputs)

    def _correction(self) -> Correction:
        return correction(self._viewer, self.form, self.run.history, self.image.layer)

    def _model_in_use(self) -> tuple[Path | None, ModelInfo | None]:
        return self.model.path, self.model.info

    def _open_train(self, folder: Path, start: Path | None) -> None:
        """Open Train with the training set and the start model."""
        _, train = self._viewer.window.add_plugin_dock_widget("napari-unet-live", "Train")
        train.use_training_set(folder, start)

    def _timer(self, interval_ms: int, function: Any) -> QTimer:
        timer = QTimer(self.native)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(function)
        return timer


def _default_training_set() -> Path:
    return preferences().data_folder / "training_set"
