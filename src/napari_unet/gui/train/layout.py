"""The controls of the Train widget: their order, and the values that are read from them."""

from __future__ import annotations

from typing import Any

from magicgui import widgets as w

from napari_unet.gui.forms import (
    FolderField,
    Form,
    HelpButton,
    Message,
    narrow,
    parse_channels,
    plain_container,
    row,
)
from napari_unet.gui.train.class_table import ClassTable
from napari_unet.gui.train.data import DataChoice
from napari_unet.gui.train.fields import DataFields, MoreFields, StartFields, form_of
from napari_unet.gui.train.form import TrainForm
from napari_unet.gui.train.pair_table import PairTable
from napari_unet.gui.train.run_panel import RunPanel

__all__ = ["FOLDER", "LAYERS", "TrainLayout"]

LAYERS, FOLDER = "open layers", "a folder"


class TrainLayout(Form):
    """The controls, without their behaviour.

    Parameters
    ----------
    device
        Default device to compute on.

    Attributes
    ----------
    guess_meaning, guess_name
        Whether meaning of labels and model name are proposed; False after the user chose them.
    live_started
        Whether Live was started; no start model is proposed from then on.
    repair
        Kinds of repairs to apply to the labels of a folder when they are read.
    """

    def __init__(self, device: str) -> None:
        self.guess_meaning = self.guess_name = True
        self.live_started = False
        self.repair: tuple[str, ...] = ()
        self._make_fields(device)
        super().__init__(name="train", widgets=self._laid_out())

    @property
    def from_folder(self) -> bool:
        """Whether the training data is a folder instead of open layers."""
        return bool(self.source.value == FOLDER)

    @property
    def wants_objects(self) -> bool:
        """Whether the user chose that labels are objects; False if this is a guess."""
        return not self.guess_meaning and self.fields.meaning.value == "objects"

    def choice(self) -> DataChoice:
        """Return the settings of the form about the data."""
        return DataChoice(
            rows=() if self.from_folder else tuple(self.pairs.rows),
            folder=self.folder.folder if self.from_folder else None,
            axes=self.data.axes.value.strip() or None,
            channels=parse_channels(self.data.channels.value),
            empty_planes=self.data.empty_planes.value,
            separate=bool(self.data.separate.value),
            repair=self.repair,
        )

    def form(self) -> TrainForm:
        """Return the settings of the form about the training."""
        start = self.fields.start
        return form_of(self.fields, start.info, self.classes.classes, self.more, {})

    def _make_fields(self, device: str) -> None:
        self.source: Any = w.ComboBox(
            choices=[LAYERS, FOLDER],
            tooltip="Train on layers that are open in napari, or on a folder of images and masks.",
        )
        self.help = HelpButton("guide/train", "Open the guide to Train in the browser.")
        self.pairs = PairTable()
        self.pairs_host = plain_container()
        self.folder = FolderField(
            tooltip="Folder with images/ and masks/, or with labels beside their images "
            "(name_mask.tif), or a training set made in Predict.",
        )
        self.folder_row = row("Folder", self.folder)
        self.fields = StartFields()
        self.classes = ClassTable()
        self.classes_host = plain_container()
        self.data = DataFields()
        self.more = MoreFields(device)
        self.check = Message()
        self.repair_button: Any = w.PushButton(
            text="Repair in a new layer",
            visible=False,
            tooltip="Train on a repaired copy of the labels. Your own labels are not changed.",
        )
        self.outlook = Message()
        self.train_button: Any = w.PushButton(
            text="Train",
            enabled=False,
            tooltip="Train on the current labels. You can keep working in napari.",
        )
        self.live_button: Any = w.PushButton(
            text="Live",
            tooltip="Train while you paint, with a preview that follows every stroke. To count "
            "objects, set 'Labels are' to objects first.",
        )
        self.live_help = HelpButton("guide/live", "Open the guide to Live in the browser.")
        self.suggest_button: Any = w.PushButton(
            text="Where next?",
            tooltip="Move the view to the unpainted place where the network is least certain.",
        )
        self.accept_button: Any = w.PushButton(
            text="Accept", tooltip="Add the proposal, including your corrections, to your strokes."
        )
        self.reject_button: Any = w.PushButton(
            text="Reject", tooltip="Remove the proposal without training on it."
        )
        self.uncertainty: Any = w.CheckBox(
            name="uncertainty",
            text="Uncertainty",
            tooltip="Add a layer that is bright where the network is unsure.",
        )
        self.probability: Any = w.CheckBox(
            name="probability",
            text="Probability",
            tooltip="Add a layer for each class except background, bright where it is probable.",
        )
        self.live_row = plain_container(
            [
                self.suggest_button,
                self.accept_button,
                self.reject_button,
            ],
            layout="horizontal",
        )
        self.maps_row = plain_container([self.uncertainty, self.probability], layout="horizontal")
        self.live_row.visible = self.maps_row.visible = False
        self.accept_button.visible = self.reject_button.visible = False
        self.resume_button: Any = w.PushButton(
            text="Resume", visible=False, tooltip="Continue the run that stopped last."
        )
        self.other_run_button: Any = w.PushButton(
            text="Resume an earlier run…",
            tooltip="Choose the folder of a run or of a Live session. Its images must be open or "
            "still be where they were.",
        )
        self.panel = RunPanel()
        self.result = Message()

    def _laid_out(self) -> list[w.Widget]:
        self.pairs_host.native.layout().addWidget(self.pairs)
        self.classes_host.native.layout().addWidget(self.classes)
        self.classes_host.visible = self.folder_row.visible = False
        self.more.inner.append(self.other_run_button)
        return [
            row("Training data", narrow(self.source), self.help),
            self.pairs_host,
            self.folder_row,
            self.fields.meaning_row,
            self.classes_host,
            self.fields.start,
            self.fields.effort_row,
            self.data,
            self.more,
            self.check,
            self.repair_button,
            self.outlook,
            plain_container(
                [self.train_button, self.live_button, self.live_help], layout="horizontal"
            ),
            self.resume_button,
            self.live_row,
            self.maps_row,
            self.result,
            self.panel.container,
        ]
