"""The controls of the Train widget: what they are called, and the form that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from magicgui import widgets as w

from napari_unet.gui.forms import Collapsible, ModelChooser, narrow, row
from napari_unet.gui.train.form import EFFORTS, MEANINGS, TrainForm

if TYPE_CHECKING:
    from napari_unet.core.models.model import ModelInfo
    from napari_unet.core.tasks.semantic import ClassInfo

__all__ = ["DataFields", "MoreFields", "StartFields", "form_of"]

_AS_PRESET = "as the preset"
_LEAST_FIELD_PX = 70
_PLANES = {
    "ignore": "not annotated yet",
    "background": "empty: nothing is there",
}


class StartFields:
    """Meaning of the labels, start model, effort: what everybody decides."""

    def __init__(self) -> None:
        self.meaning: Any = w.ComboBox(
            name="meaning",
            choices=[(text, key) for key, text in MEANINGS.items()],
            tooltip="Objects: each has a number (id) of its own, as nuclei or cells. Classes: each "
            "number is a kind of region. Unpainted: paint a few strokes of each class, also of "
            "the background, and leave the rest.",
        )
        self.start = ModelChooser(
            none="from scratch",
            label="Start from",
            tooltip="From scratch, or from a trained model: that needs less time and fewer "
            "labels. The schedule is shorter and gentler then.",
        )
        self._minutes: Mapping[str, float] = {}
        self.effort: Any = w.ComboBox(
            name="effort",
            choices=self._efforts,
            tooltip="How long and how thoroughly to train. Stop whenever it is good enough: "
            "everything is kept.",
        )
        self.meaning_row = row("Labels are", narrow(self.meaning))
        self.effort_row = row("Preset", narrow(self.effort))

    def set_minutes(self, minutes: Mapping[str, float]) -> None:
        """Say with each preset how long it takes."""
        self._minutes = dict(minutes)
        with self.effort.changed.blocked():
            self.effort.reset_choices()

    def _efforts(self, _widget: object = None) -> list[tuple[str, str]]:
        # napari asks for all choices anew whenever a layer comes or goes.
        return [
            (f"{text}: {self._minutes[key]:g} min" if self._minutes else text, key)
            for key, text in EFFORTS.items()
        ]


class DataFields(Collapsible):
    """What the data is: for those to whom the proposals do not fit."""

    def __init__(self) -> None:
        self._proposed_for: Any = None
        self.axes: Any = w.LineEdit(
            name="axes",
            tooltip="What the dimensions of the images are, a letter each: T (time), Z (depth), "
            "C (channel), Y, X. Empty: as each layer says.",
        )
        self.channels: Any = w.LineEdit(
            name="channels",
            tooltip="Which channels to learn from: numbers from 0 or names, such as 0, 2. Empty: "
            "all.",
        )
        self.empty_planes: Any = w.ComboBox(
            name="empty_planes",
            choices=[(text, key) for key, text in _PLANES.items()],
            tooltip="What a plane of a stack without any label means. 'Not annotated yet' leaves "
            "it out; 'empty' teaches that there is nothing in it.",
        )
        self.separate: Any = w.CheckBox(
            name="separate",
            text="Planes are separate images",
            tooltip="Tick where the planes of a stack have nothing to do with each other, as a "
            "collection of fields. Otherwise planes of one stack are never both trained on and "
            "validated on.",
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
        self.axes.native.setPlaceholderText("as each layer says")
        self.channels.native.setPlaceholderText("all")

    def propose_separate(self, image_layer: Any) -> None:
        """Tick "separate" for a stack that says what each of its planes is, as samples do."""
        if image_layer is self._proposed_for:
            return
        self._proposed_for = image_layer
        sample = image_layer.metadata.get("sample")
        ids = sample.get("ids", ()) if isinstance(sample, dict) else ()
        with self.separate.changed.blocked():
            self.separate.value = len(ids) > 1 and len(ids) in image_layer.data.shape[:1]


class MoreFields(Collapsible):
    """What most people leave as it is."""

    def __init__(self, device: str = "auto") -> None:
        self.name_of_model: Any = w.LineEdit(
            name="model_name",
            tooltip="What the model is called in the list of models.",
        )
        self.unit: Any = w.ComboBox(
            name="unit",
            choices=[_AS_PRESET, "minutes", "epochs", "steps"],
            tooltip="Steps and epochs repeat exactly on the same computer, minutes do not. After "
            "each epoch the model is scored on the validation images.",
        )
        self.budget: Any = w.FloatSpinBox(
            name="budget",
            min=0.1,
            max=1_000_000,
            step=1,
            value=10,
            tooltip="How many minutes, epochs or steps.",
        )
        self.budget.native.setDecimals(1)
        self.amount_row = row("… how many", self.budget)
        self.amount_row.visible = False
        self.unit.changed.connect(self._on_unit)
        self.augmentation: Any = w.ComboBox(
            name="augmentation",
            choices=[_AS_PRESET, "none", "light", "standard"],
            tooltip="How much the images are varied (turned, stretched, brightened) while "
            "training, so that the network copes with more than it has seen.",
        )
        self.base_channels: Any = w.SpinBox(
            name="base_channels",
            min=1,
            max=256,
            value=16,
            tooltip="Width of the network: more learns more and takes longer, by its square.",
        )
        self.depth: Any = w.SpinBox(
            name="depth",
            min=1,
            max=7,
            value=4,
            tooltip="How often the network halves the image: each one more doubles how far it "
            "sees.",
        )
        self.patch_px: Any = w.SpinBox(
            name="patch_px",
            min=16,
            max=4096,
            step=16,
            value=192,
            tooltip="Side of the patches that it is trained on; a multiple of 2 to the depth.",
        )
        self.learning_rate: Any = w.LineEdit(
            name="learning_rate",
            tooltip="Empty: as the preset says. Lower it where the loss jumps.",
        )
        self.validation: Any = w.FloatSpinBox(
            name="validation",
            max=0.5,
            step=0.05,
            value=0.15,
            tooltip="Share of the images that is not trained on but scored, to judge the model "
            "honestly. 0: none, and no score.",
        )
        self.seed: Any = w.SpinBox(
            name="seed",
            max=2**31 - 1,
            tooltip="Of everything random: the same seed, the same training.",
        )
        self.device: Any = w.ComboBox(
            name="device",
            choices=sorted({"auto", "cpu", "cuda", "mps", device}),
            value=device,
            tooltip="Where to compute. auto: a graphics card where there is one.",
        )
        super().__init__(
            "More settings",
            [
                row("Model name", self.name_of_model),
                row("Train for", narrow(self.unit)),
                self.amount_row,
                row("Augmentation", narrow(self.augmentation)),
                row("Learning rate", self.learning_rate),
                row("Base channels", self.base_channels),
                row("Depth", self.depth),
                row("Patch (px)", self.patch_px),
                row("Validation share", self.validation),
                row("Seed", self.seed),
                row("Device", narrow(self.device)),
            ],
        )
        self.learning_rate.native.setPlaceholderText(_AS_PRESET)
        for field in (self.budget, self.base_channels, self.depth, self.patch_px, self.seed):
            field.native.setMinimumWidth(_LEAST_FIELD_PX)

    def _on_unit(self, unit: str) -> None:
        self.amount_row.visible = unit != _AS_PRESET

    def follow_start(self, info: ModelInfo | None) -> None:
        """With a start model the network's size is decided."""
        for field, value in (
            (self.depth, info and info.unet.depth),
            (self.base_channels, info and info.unet.base_channels),
        ):
            field.enabled = info is None
            if value is not None:
                field.value = value


def form_of(
    start: StartFields,
    info: ModelInfo | None,
    classes: tuple[ClassInfo, ...],
    more: MoreFields,
    sources: Mapping[str, Any],
) -> TrainForm:
    """Read the controls."""
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
        base_channels=int(more.base_channels.value),
        depth=int(more.depth.value),
        patch_px=int(more.patch_px.value),
        learning_rate=more.learning_rate.value.strip() or None,
        validation_fraction=round(float(more.validation.value), 4),
        seed=int(more.seed.value),
        device=str(more.device.value),
        sources=sources,
    )


def _whole(value: float) -> float:
    """Steps and epochs are whole numbers; 2.5 of them are refused by the settings."""
    return int(value) if value == int(value) else value
