"""The Train widget's controls: how they lie below each other, and what they are set to."""

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
    """The controls, without what they do.

    Parameters
    ----------
    device
        Where to compute unless another device is chosen.

    Attributes
    ----------
    guess_meaning, guess_name
        Whether the meaning of labels, and the name of the model, are proposed; else the user chose.
    live_started
        Whether Live was started: from then on no model to start from is proposed.
    repair
        What to repair in the labels of a folder when they are read.
    """

    def __init__(self, device: str) -> None:
        self.guess_meaning = self.guess_name = True
        self.live_started = False
        self.repair: tuple[str, ...] = ()
        self._make_fields(device)
        super().__init__(name="train", widgets=self._laid_out())

    @property
    def from_folder(self) -> bool:
        """Whether the training data is a folder, not open layers."""
        return bool(self.source.value == FOLDER)

    @property
    def wants_objects(self) -> bool:
        """Whether the user, not a guess, says that labels are objects."""
        return not self.guess_meaning and self.fields.meaning.value == "objects"

    def choice(self) -> DataChoice:
        """Return what is chosen about the data."""
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
        """Return what is chosen about the training."""
        start = self.fields.start
        return form_of(self.fields, start.info, self.classes.classes, self.more, {})

    def _make_fields(self, device: str) -> None:
        self.source: Any = w.ComboBox(
            choices=[LAYERS, FOLDER],
            tooltip="Learn from what is open in napari, or from a folder of images and masks.",
        )
        self.help = HelpButton("guide/train", "Open the guide to Train in the browser.")
        self.pairs = PairTable()
        self.pairs_host = plain_container()
        self.folder = FolderField(
            tooltip="Folder with images/ and masks/, or with labels beside their images "
            "(name_mask.tif). A training set made in Predict is one, too.",
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
            tooltip="Nothing of yours is changed: the repaired labels are a layer of their own.",
        )
        self.outlook = Message()
        self.train_button: Any = w.PushButton(
            text="Train",
            enabled=False,
            tooltip="Learn from the labels as they are now; napari stays usable meanwhile.",
        )
        self.live_button: Any = w.PushButton(
            text="Live",
            tooltip="Paint, and watch: the network learns from every stroke as you make it, and "
            "shows what it makes of the image in view. 0 is not painted. To teach objects, choose "
            "them above first: label 1 is background then, every other label a whole object.",
        )
        self.live_help = HelpButton("guide/live", "Open the guide to Live in the browser.")
        self.suggest_button: Any = w.PushButton(
            text="Where next?",
            tooltip="Go where the network is least certain and nothing is painted yet.",
        )
        self.accept_button: Any = w.PushButton(
            text="Accept", tooltip="Learn from the proposal, with what you corrected in it."
        )
        self.reject_button: Any = w.PushButton(
            text="Reject", tooltip="Take the proposal away; nothing is learned from it."
        )
        self.uncertainty: Any = w.CheckBox(
            name="uncertainty",
            text="Uncertainty",
            tooltip="Add a layer that is bright where the network is unsure: paint there.",
        )
        self.probability: Any = w.CheckBox(
            name="probability",
            text="Probability",
            tooltip="Add a layer for each class but the background: bright where it is probable.",
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
            text="Resume", visible=False, tooltip="Go on where this run stopped."
        )
        self.other_run_button: Any = w.PushButton(
            text="Resume an earlier run…",
            tooltip="Choose the folder of a run or of a live session. Its images must be open, or "
            "lie where they were.",
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
