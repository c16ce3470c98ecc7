"""The controls of the Predict widget: what they are called, and how they follow a model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from magicgui import widgets as w

from napari_unet.core.io.formats import format_names
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.tasks.any_task import possible_adjustments
from napari_unet.gui.forms import FolderField, parse_channels, row
from napari_unet.gui.forms.settings_fields import SettingsFields, adjustment_slider

if TYPE_CHECKING:
    from napari_unet.core.models.model import ModelInfo
    from napari_unet.core.tasks.adjustments import Adjustment

__all__ = ["SCOPES", "Decoding", "Folders", "More"]

SCOPES = {
    "the whole image": "stack",
    "the plane in view": "plane",
    "every selected layer": "selected",
    "a folder of files": "folder",
}
"""What can be predicted, as the form says it."""

_RARELY_SET = {"min_votes"}
"""Adjustments that are folded away."""

_AT_ONCE = "After a prediction the slider acts at once."


class Decoding:
    """Sliders for what the task of a model lets a user adjust after a prediction.

    Attributes
    ----------
    sliders
        The sliders by the name of what they set.
    """

    def __init__(self) -> None:
        adjustments = possible_adjustments()
        self.sliders: dict[str, Any] = {a.name: adjustment_slider(a) for a in adjustments}
        self._own: dict[str, tuple[float, float]] = {}
        self._shown: set[str] = set()
        self._rows = {
            a.name: row(
                a.title, self.sliders[a.name], tooltip=f"{a.description} {_AT_ONCE}".strip()
            )
            for a in adjustments
        }

    def __getitem__(self, name: str) -> Any:
        """Return the slider of an adjustment."""
        return self.sliders[name]

    @property
    def main_rows(self) -> list[Any]:
        """Rows of what is often set."""
        return [row for name, row in self._rows.items() if name not in _RARELY_SET]

    @property
    def rare_rows(self) -> list[Any]:
        """Rows of what is rarely set."""
        return [row for name, row in self._rows.items() if name in _RARELY_SET]

    @property
    def values(self) -> dict[str, float]:
        """What is set; of a slider that was not moved, the model's value without rounding."""
        found = {name: self.sliders[name].value for name in self.sliders if name in self._shown}
        own = self._own
        return {n: own[n][1] if v == own[n][0] else v for n, v in found.items()}

    def follow(self, info: ModelInfo | None) -> None:
        """Take over a model's own settings, and hide what its task cannot adjust."""
        adjustments = {} if info is None else {a.name: a for a in info.task.adjustments}
        self._own = {}
        self._shown = adjustments.keys() & self.sliders.keys()
        for name, slider in self.sliders.items():
            self._rows[name].visible = name in self._shown
            if name in self._shown:
                diameter_px = info.object_diameter_px if info else None
                self._set_up(slider, adjustments[name], diameter_px)

    def _set_up(self, slider: Any, adjustment: Adjustment, diameter_px: float | None) -> None:
        largest = adjustment.maximum_for(diameter_px)
        with slider.changed.blocked():
            slider.max = max(_round_up(largest) if largest > 1 else largest, adjustment.value)
            slider.min = min(slider.min, adjustment.value)
            slider.value = adjustment.value
        self._own[adjustment.name] = (slider.value, adjustment.value)


class Folders:
    """Where files are read from and where their results go."""

    def __init__(self) -> None:
        self.source = FolderField(name="source")
        self.out = FolderField(name="out")
        self.overwrite = w.CheckBox(
            name="overwrite",
            text="Replace results that are there",
            tooltip="Otherwise nothing is written where results are there already.",
        )
        self.rescale = w.CheckBox(
            name="rescale",
            text="Resize to the model's pixel size",
            tooltip="Each image whose pixel size is known, where the model knows its own.",
        )
        self.rows = [
            row(
                "Images in",
                self.source,
                tooltip=f"Folder with the images: {format_names()}. A pattern such as "
                "plate/*/*.tif works too.",
            ),
            row(
                "Results to",
                self.out,
                tooltip="Folder for NAME_labels.tif of each image, objects.csv and summary.csv: "
                "the same files as the command line writes.",
            ),
        ]
        self.more = [self.rescale, self.overwrite]

    def show(self, visible: bool) -> None:
        """Show the fields, or hide them."""
        for field in (*self.rows, *self.more):
            field.visible = visible

    @property
    def fields(self) -> list[Any]:
        """The controls."""
        return [self.source, self.out, self.rescale, self.overwrite]

    @property
    def values(self) -> dict[str, Any]:
        """What is written there, as fields of `PredictForm`."""
        return {
            "source": self.source.text,
            "out": self.out.text,
            "rescale": self.rescale.value,
            "overwrite": self.overwrite.value,
        }


class More:
    """What most people leave as it is."""

    def __init__(self) -> None:
        self._proposed = ""
        self.axes = w.LineEdit(name="axes")
        self.channels = w.LineEdit(name="channels")
        self.diameter_px = w.FloatSpinBox(name="diameter_px", max=10_000, value=0)
        self.diameter_px.native.setSpecialValueText("not known")  # at 0
        self.channels.native.setPlaceholderText("all")
        self.options = SettingsFields(
            PredictOptions, ("test_time_augmentation", "scale", "contrast")
        )
        self.scale = self.options.widgets["scale"]
        self.probabilities = w.CheckBox(
            name="probabilities",
            text="Add the probability as a layer",
            tooltip="How sure the network is at each pixel, from 0 to 1.",
        )
        self.rows: list[w.Widget] = [
            self.probabilities,
            *self.options.rows("test_time_augmentation"),
            row(
                "Axes",
                self.axes,
                tooltip="What the dimensions of the image are, a letter each: T (time), "
                "Z (depth), C (channel), Y, X.",
            ),
            row(
                "Channels",
                self.channels,
                tooltip="Which channels to use: numbers from 0 or names, such as 0, 2. Or the "
                "names of several image layers, in the order that the model expects. Empty: all.",
            ),
            row(
                "Diameter (px)",
                self.diameter_px,
                tooltip="How wide the objects in your image are, where you know it. "
                "If the model was trained on objects of another size, resizing is offered.",
            ),
            *self.options.rows("scale", "contrast"),
        ]

    @property
    def fields(self) -> list[Any]:
        """The controls."""
        own = [self.probabilities, self.axes, self.channels, self.diameter_px]
        return [*own, *self.options.fields]

    def propose_axes(self, axes: str) -> None:
        """Write the axes that are proposed; until somebody changes them, they are not given."""
        self._proposed = axes
        with self.axes.changed.blocked():
            self.axes.value = axes

    @property
    def given_axes(self) -> str | None:
        """The axes that somebody wrote, or None."""
        written = str(self.axes.value).strip().upper()
        return None if written in ("", self._proposed) else written

    @property
    def values(self) -> dict[str, Any]:
        """What is set, as fields of `PredictForm`, but for the options."""
        return {
            "probabilities": self.probabilities.value,
            "channels": parse_channels(self.channels.value),
        }


def _round_up(value: float) -> int:
    step = 10 ** max(1, int(math.log10(max(value, 10))))
    return int(step * math.ceil(value / step))
