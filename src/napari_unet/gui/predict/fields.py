"""Controls of the Predict widget, and their adaptation to the chosen model."""

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
"""Choices of what to predict, by their label."""

_RARELY_SET = {"min_votes"}
"""Adjustments that are in the collapsed section."""

_AT_ONCE = "After a prediction the slider takes effect immediately."


class Decoding:
    """Sliders for the decoder settings of a model's task, which also work after a prediction.

    Attributes
    ----------
    sliders
        The sliders by the name of their setting.
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
        """Rows of the settings that are always visible."""
        return [row for name, row in self._rows.items() if name not in _RARELY_SET]

    @property
    def rare_rows(self) -> list[Any]:
        """Rows of the settings in the collapsed section."""
        return [row for name, row in self._rows.items() if name in _RARELY_SET]

    @property
    def values(self) -> dict[str, float]:
        """Values by name; for a slider that was not moved, the model's value without rounding."""
        found = {name: self.sliders[name].value for name in self.sliders if name in self._shown}
        own = self._own
        return {n: own[n][1] if v == own[n][0] else v for n, v in found.items()}

    def follow(self, info: ModelInfo | None) -> None:
        """Set the sliders to a model's own settings, and hide those its task does not have."""
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
    """Controls for the folders of images and results."""

    def __init__(self) -> None:
        self.source = FolderField(name="source")
        self.out = FolderField(name="out")
        self.overwrite = w.CheckBox(
            name="overwrite",
            text="Replace existing results",
            tooltip="If off, Predict stops rather than overwrite existing results.",
        )
        self.rescale = w.CheckBox(
            name="rescale",
            text="Resize to the model's pixel size",
            tooltip="Resize each image to the model's pixel size, if both are known.",
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
                tooltip="Folder for NAME_labels.tif of each image, summary.csv and objects.csv: "
                "the same files as those of the command line.",
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
        """Values of the controls, as fields of `PredictForm`."""
        return {
            "source": self.source.text,
            "out": self.out.text,
            "rescale": self.rescale.value,
            "overwrite": self.overwrite.value,
        }


class More:
    """Controls in the section More settings."""

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
            tooltip="Probability of the foreground, or of each class, at each pixel.",
        )
        self.rows: list[w.Widget] = [
            self.probabilities,
            *self.options.rows("test_time_augmentation"),
            row(
                "Axes",
                self.axes,
                tooltip="One letter for each dimension of the image: T (time), Z (depth), "
                "C (channel), Y, X.",
            ),
            row(
                "Channels",
                self.channels,
                tooltip="Numbers from 0 or names of channels, such as 0, 2, or names of image "
                "layers, in the order that the model expects. Empty: all.",
            ),
            row(
                "Diameter (px)",
                self.diameter_px,
                tooltip="Typical width of the objects in your image. If the model was trained on "
                "objects of a different size, resizing is offered.",
            ),
            *self.options.rows("scale", "contrast"),
        ]

    @property
    def fields(self) -> list[Any]:
        """The controls."""
        own = [self.probabilities, self.axes, self.channels, self.diameter_px]
        return [*own, *self.options.fields]

    def propose_axes(self, axes: str) -> None:
        """Show proposed axes; they count as proposed until the user changes them."""
        self._proposed = axes
        with self.axes.changed.blocked():
            self.axes.value = axes

    @property
    def given_axes(self) -> str | None:
        """Axes entered by the user, or None."""
        written = str(self.axes.value).strip().upper()
        return None if written in ("", self._proposed) else written

    @property
    def values(self) -> dict[str, Any]:
        """Values of the controls, as fields of `PredictForm`, without the options."""
        return {
            "probabilities": self.probabilities.value,
            "channels": parse_channels(self.channels.value),
        }


def _round_up(value: float) -> int:
    step = 10 ** max(1, int(math.log10(max(value, 10))))
    return int(step * math.ceil(value / step))
