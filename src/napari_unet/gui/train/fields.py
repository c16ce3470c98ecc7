"""The controls of the Train widget, and the form that is read from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from magicgui import widgets as w

from napari_unet.core.training.settings import TrainingSettings
from napari_unet.gui.forms import Collapsible, ModelChooser, narrow, row
from napari_unet.gui.forms.settings_fields import SettingsFields
from napari_unet.gui.train.form import EFFORTS, MEANINGS, TrainForm

if TYPE_CHECKING:
    from napari_unet.core.models.model import ModelInfo
    from napari_unet.core.tasks.semantic import ClassInfo

__all__ = ["DataFields", "MoreFields", "StartFields", "form_of"]

_AS_PRESET = "from preset"
_SETTINGS = ("base_channels", "depth", "patch_px", "validation_fraction", "seed")
"""Fields of `TrainingSettings` that are shown as they are declared."""
_LEAST_FIELD_PX = 70
_PLANES = {
    "ignore": "not annotated yet",
    "background": "empty, only background",
}


class StartFields:
    """Controls that every user needs: meaning of the labels, start model, preset."""

    def __init__(self) -> None:
        self.meaning: Any = w.ComboBox(
            name="meaning",
            choices=[(text, key) for key, text in MEANINGS.items()],
            tooltip="What each number in the labels is: one object, such as a nucleus, or a class. "
            "With unpainted pixels, a few strokes of each class and of the background are enough.",
        )
        self.start = ModelChooser(
            none="from scratch",
            label="Start from",
            tooltip="The model to start from. Starting from a trained model needs fewer labels and "
            "less time than starting from scratch.",
        )
        self._minutes: Mapping[str, float] = {}
        self.effort: Any = w.ComboBox(
            name="effort",
            choices=self._efforts,
            tooltip="How long and how thoroughly to train. You can stop at any time and use the "
            "model.",
        )
        self.meaning_row = row("Labels are", narrow(self.meaning))
        self.effort_row = row("Preset", narrow(self.effort))

    def set_minutes(self, minutes: Mapping[str, float]) -> None:
        """Show the duration of each preset."""
        self._minutes = dict(minutes)
        with self.effort.changed.blocked():
            self.effort.reset_choices()

    def _efforts(self, _widget: object = None) -> list[tuple[str, str]]:
        # napari requests all choices again whenever a layer is added or removed.
        return [
            (f"{text}: {self._minutes[key]:g} min" if self._minutes else text, key)
            for key, text in EFFORTS.items()
        ]


class DataFields(Collapsible):
    """Controls that describe the data, for cases in which the defaults are wrong."""

    def __init__(self) -> None:
        self._proposed_for: Any = None
        self.axes: Any = w.LineEdit(
            name="axes",
            tooltip="Axes of the images, one letter each: T (time), Z (depth), C (channel), Y, X. "
            "Leave empty to use the axes of each layer.",
        )
        self.channels: Any = w.LineEdit(
            name="channels",
            tooltip="Channels to train on, by number from 0 or by name, such as 0, 2. Leave empty "
            "to use all.",
        )
        self.empty_planes: Any = w.ComboBox(
            name="empty_planes",
            choices=[(text, key) for key, text in _PLANES.items()],
            tooltip="What a plane without any label means. 'Not annotated yet' skips it; 'empty' "
            "trains on it as background.",
        )
        self.separate: Any = w.CheckBox(
            name="separate",
            text="Planes are separate images",
            tooltip="Tick this if the planes are unrelated images, such as a collection of fields. "
            "Otherwise the planes of a stack are kept together when images are split into training "
            "and validation.",
        )
        super().__init__(
            "Axes, channels, planes",
            [
                row("Axes", self.axes),
                row("Channels", self.channels),
                row("Empty planes", narrow(self.empty_planes)),
                self.separate,
            ],
        )
        self.axes.native.setPlaceholderText("from each layer")
        self.channels.native.setPlaceholderText("all")

    def propose_separate(self, image_layer: Any) -> None:
        """Tick "separate" for a stack whose metadata names each plane, as in the sample data."""
        if image_layer is self._proposed_for:
            return
        self._proposed_for = image_layer
        sample = image_layer.metadata.get("sample")
        ids = sample.get("ids", ()) if isinstance(sample, dict) else ()
        with self.separate.changed.blocked():
            self.separate.value = len(ids) > 1 and len(ids) in image_layer.data.shape[:1]


class MoreFields(Collapsible):
    """Controls that most users leave unchanged."""

    def __init__(self, device: str = "auto") -> None:
        self.name_of_model: Any = w.LineEdit(
            name="model_name",
            tooltip="Name of the model in the list of models.",
        )
        self.unit: Any = w.ComboBox(
            name="unit",
            choices=[_AS_PRESET, "minutes", "epochs", "steps"],
            tooltip="How the length of the training is set. Steps and epochs are reproducible on "
            "the same computer, minutes are not.",
        )
        self.budget: Any = w.FloatSpinBox(
            name="budget",
            min=0.1,
            max=1_000_000,
            step=1,
            value=10,
            tooltip="Number of minutes, epochs or steps.",
        )
        self.budget.native.setDecimals(1)
        self.amount_row = row("Amount", self.budget)
        self.amount_row.visible = False
        self.unit.changed.connect(self._on_unit)
        self.augmentation: Any = w.ComboBox(
            name="augmentation",
            choices=[_AS_PRESET, "none", "light", "standard"],
            tooltip="How strongly training patches are varied, for example in brightness. More "
            "variation needs more time, and helps with images unlike the training images.",
        )
        self.learning_rate: Any = w.LineEdit(
            name="learning_rate",
            tooltip="Leave empty to use the preset's. Lower it if the loss jumps up and down.",
        )
        self.settings = SettingsFields(TrainingSettings, _SETTINGS)
        self.device: Any = w.ComboBox(
            name="device",
            choices=sorted({"auto", "cpu", "cuda", "mps", device}),
            value=device,
            tooltip="Device to train on; auto uses a graphics card if there is one.",
        )
        super().__init__(
            "More settings",
            [
                row("Model name", self.name_of_model),
                row("Train for", narrow(self.unit)),
                self.amount_row,
                row("Augmentation", narrow(self.augmentation)),
                row("Learning rate", self.learning_rate),
                *self.settings.rows(*_SETTINGS),
                row("Device", narrow(self.device)),
            ],
        )
        self.learning_rate.native.setPlaceholderText(_AS_PRESET)
        for field in (self.budget, *self.settings.fields):
            field.native.setMinimumWidth(_LEAST_FIELD_PX)

    def _on_unit(self, unit: str) -> None:
        self.amount_row.visible = unit != _AS_PRESET

    def follow_start(self, info: ModelInfo | None) -> None:
        """Show the network size of the start model, which cannot be changed."""
        network = ("depth", "base_channels")
        for name in network:
            self.settings.widgets[name].enabled = info is None
        if info is not None:
            self.settings.show(**{name: getattr(info.unet, name) for name in network})


def form_of(
    start: StartFields,
    info: ModelInfo | None,
    classes: tuple[ClassInfo, ...],
    more: MoreFields,
    sources: Mapping[str, Any],
) -> TrainForm:
    """Return the form with the values of the controls."""
    unit = str(more.unit.value)
    augmentation = str(more.augmentation.value)
    return TrainForm(
        meaning=start.meaning.value,
        classes=classes if start.meaning.value != "objects" else (),
        start=start.start.path,
        start_info=info,
        effort=start.effort.value,
        name=more.name_of_model.value,
        budget=None if unit == _AS_PRESET else {unit: _whole(float(more.budget.value))},
        augmentation=None if augmentation == _AS_PRESET else augmentation,
        learning_rate=more.learning_rate.value.strip() or None,
        device=str(more.device.value),
        sources=sources,
        settings=more.settings.values,
    )


def _whole(value: float) -> float:
    """Convert whole numbers to int; the settings refuse others for steps and epochs."""
    return int(value) if value == int(value) else value
