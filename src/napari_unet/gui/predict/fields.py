"""The controls of the Predict widget: what they are called, and how they follow a model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from magicgui import widgets as w

from napari_unet.core.io.formats import format_names
from napari_unet.gui.forms import FolderField, parse_channels, row
from napari_unet.gui.predict.form import decoder_values

if TYPE_CHECKING:
    from napari_unet.core.models.model import ModelInfo

__all__ = ["CONTRASTS", "SCOPES", "Decoding", "Folders", "More"]

SCOPES = {
    "the whole image": "stack",
    "the plane in view": "plane",
    "every selected layer": "selected",
    "a folder of files": "folder",
}
"""What can be predicted, as the form says it."""

CONTRASTS = {"automatic": "auto", "as it is": "as-is", "inverted": "inverted"}
"""Whether images are inverted for the network, as the form says it."""

_DEFAULT_DIAMETER_PX = 25.0


class Decoding:
    """Sliders that turn outputs into labels."""

    def __init__(self) -> None:
        self.threshold = w.FloatSlider(name="threshold", min=0.02, max=0.98, step=0.01, value=0.5)
        self.min_area_px = w.Slider(name="min_area_px", max=1000, value=24)
        self.min_votes = w.FloatSlider(name="min_votes", max=200, step=1, value=20)
        self._own: dict[str, tuple[float, float]] = {}
        self.rows = {
            "threshold": row(
                "Threshold",
                self.threshold,
                tooltip="Probability above which a pixel belongs to an object. Lower: more and "
                "larger objects. After a prediction the slider acts at once.",
            ),
            "min_area_px": row(
                "Min. area (px)",
                self.min_area_px,
                tooltip="Objects of fewer pixels are dropped. Acts at once after a prediction.",
            ),
            "min_votes": row(
                "Min. votes",
                self.min_votes,
                tooltip="Each pixel votes for the centre of its object; a centre needs so many "
                "votes. Higher: fewer, joined objects. Lower: touching objects are split more.",
            ),
        }

    @property
    def sliders(self) -> dict[str, Any]:
        """The sliders by the name of what they set."""
        return {name: getattr(self, name) for name in self.rows}

    @property
    def values(self) -> dict[str, Any]:
        """What is set: of a slider that nobody moved, the model's own value without rounding."""
        found = {name: slider.value for name, slider in self.sliders.items()}
        own = self._own
        return {n: own[n][1] if n in own and v == own[n][0] else v for n, v in found.items()}

    def follow(self, info: ModelInfo | None) -> None:
        """Take over a model's own settings, and hide what it does not know."""
        known = {} if info is None else decoder_values(info)
        self._own = {}
        diameter = (info.object_diameter_px if info else None) or _DEFAULT_DIAMETER_PX
        area = math.pi / 4 * diameter**2
        largest = {"threshold": 0.98, "min_area_px": 2 * area, "min_votes": area}
        for name, slider in self.sliders.items():
            self.rows[name].visible = name in known
            if name in known:
                with slider.changed.blocked():
                    end = _round_up(largest[name]) if largest[name] > 1 else largest[name]
                    slider.max = max(end, known[name])
                    slider.value = known[name]
                self._own[name] = (slider.value, known[name])


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
        self.scale = w.FloatSpinBox(name="scale", min=0.05, max=16, step=0.05, value=1)
        self.estimate = w.CheckBox(
            name="estimate",
            text="Estimate the diameter",
            tooltip="Measure the objects of each image first, and resize it so that they have the "
            "size the model knows. Takes the place of the scale.",
        )
        self.contrast = w.ComboBox(name="contrast", choices=list(CONTRASTS.items()))
        self.probabilities = w.CheckBox(
            name="probabilities",
            text="Add the probability as a layer",
            tooltip="How sure the network is at each pixel, from 0 to 1.",
        )
        self.average = w.CheckBox(
            name="average",
            text="Test-time augmentation",
            tooltip="Average over turned and flipped images: a little better, eight times slower.",
        )
        self.rows: list[w.Widget] = [
            self.probabilities,
            self.average,
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
            row(
                "Scale",
                self.scale,
                tooltip="The image is resized by this factor for the network; the result has the "
                "size of the image again. Below 1 where objects are larger than the model knows.",
            ),
            self.estimate,
            row(
                "Contrast",
                self.contrast,
                tooltip="Models of bright objects need images inverted that show dark ones, and "
                "the other way round. 'automatic' finds out; it needs a model that says what it "
                "was trained on.",
            ),
        ]

    @property
    def fields(self) -> list[Any]:
        """The controls."""
        named = [self.axes, self.channels, self.diameter_px, self.scale]
        named += [self.estimate, self.contrast]
        return [self.probabilities, self.average, *named]

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
        """What is set, as fields of `PredictForm`."""
        return {
            "probabilities": self.probabilities.value,
            "test_time_augmentation": self.average.value,
            "scale": float(self.scale.value),
            "estimate": self.estimate.value,
            "contrast": self.contrast.value,
            "channels": parse_channels(self.channels.value),
        }


def _round_up(value: float) -> int:
    step = 10 ** max(1, int(math.log10(max(value, 10))))
    return int(step * math.ceil(value / step))
