"""Fit an image to a model before it is predicted: its contrast and the size of its objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from napari_unet.core.errors import Cancelled
from napari_unet.core.images.contrast import Contrast, intensity_skew
from napari_unet.core.images.normalization import IntensityRange
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.diameter import (
    LEAST_SHARE,
    TRIAL_SCALES,
    best_trial,
    check_estimable,
    fitting_scale,
)
from napari_unet.core.prediction.scale_trial import Trial, TrialPlane, probe_scale

if TYPE_CHECKING:
    from napari_unet.core.images.image import Image
    from napari_unet.core.models.model import Model, ModelInfo

__all__ = ["Adaptation", "ImageAdapter", "Ranges", "estimate_diameter", "fit_image"]

_PLANES = 3
_LEAST_SIDE_PX = 24
"""Planes are not shrunk below this."""

_CLEAR_TONE = 0.3
"""Skew above which the histogram alone shows few bright objects on a dark background."""

_LEAST_GAIN = 0.15
"""Gain in quality that the negative must reach for the image to be inverted."""

_SURE, _CLEAR_GAIN, _CLEAR_SHARE = 0.75, 0.3, 0.1
"""Quality, gain and explained share of the image above which one scale is enough to decide.

The share matters because gaps between large objects may look like small, well recognised objects.
"""


class Adaptation(NamedTuple):
    """Scale and contrast in which an image is presented to the network.

    Parameters
    ----------
    scale
        Factor by which the image is enlarged.
    inverted
        Whether intensities are inverted.
    diameter_px
        Estimated diameter of the objects; None if it was not requested or no objects were found.
    notes
        The decisions, in sentences.
    """

    scale: float = 1.0
    inverted: bool = False
    diameter_px: float | None = None
    notes: tuple[str, ...] = ()


def fit_image(
    fitter: ImageAdapter, scale: float | Literal["auto"] = 1.0, contrast: Contrast = "auto"
) -> Adaptation:
    """Choose the scale and contrast in which an image is presented to the network.

    Parameters
    ----------
    fitter
        The image and the model.
    scale
        A factor, or ``"auto"`` to derive it from the estimated diameter of the objects.
    contrast
        ``"auto"`` inverts the image if its objects are dark but the model was trained on bright
        ones, or vice versa. If the training contrast is unknown, the image stays as it is.

    Raises
    ------
    SettingsError
        If the scale is to be estimated and the object diameter of the model is unknown.
    """
    info = fitter.info
    if scale == "auto":
        check_estimable(info)
        fitting_scale(info, info.object_diameter_px or 1.0)  # raises if the model has no diameter
    inverted = fitter.inverted(contrast)
    notes = []
    if inverted and contrast == "auto":
        here, known = ("bright", "dark") if info.contrast == "dark" else ("dark", "bright")
        notes.append(
            f"'{fitter.name}' shows {here} objects, the model '{info.name}' was trained on "
            f"{known} ones: the image is inverted for the network."
        )
    if scale != "auto":
        return Adaptation(scale, inverted, None, tuple(notes))
    diameter = fitter.diameter_px(contrast)
    scale = fitting_scale(info, diameter)
    if diameter is None:
        notes.append(f"No objects to measure were found in '{fitter.name}': it is not resized.")
    else:
        does = "not resized" if scale == 1 else f"resized by {scale:g} for the network"
        notes.append(
            f"Objects in '{fitter.name}' are about {diameter:.3g} px wide, the model "
            f"'{info.name}' was trained on {info.object_diameter_px:g} px: the image is {does}."
        )
    return Adaptation(scale, inverted, diameter, tuple(notes))


class Ranges:
    """Intensity ranges of an image, computed once for each time point.

    Parameters
    ----------
    info
        Header of the model.
    image
        An image that fits the model.
    given
        Known ranges of its channels; None: those found by the model's normalisation.
    """

    def __init__(
        self, info: ModelInfo, image: Image, given: Sequence[IntensityRange] | None = None
    ) -> None:
        self._info = info
        self._image = image
        self._found: dict[tuple[int | None, bool], list[IntensityRange]] = {}
        self.given = given

    def at(self, position: Mapping[str, int], inverted: bool = False) -> list[IntensityRange]:
        """Return the range of each channel for a plane, or for its negative if inverted."""
        if self.given is not None:
            return list(self.given)
        key = time, _ = position.get("T"), inverted
        if key not in self._found:
            info, image = self._info, self._image
            where = image.name if time is None else f"{image.name} T={time}"
            scope = image.scope(position)
            self._found[key] = info.normalization.ranges(scope, info.rgb, where, inverted)
        return self._found[key]


class ImageAdapter:
    """Tries some planes of an image at several scales, as they are and inverted.

    Parameters
    ----------
    model
        A model.
    image
        An image that fits the model.
    options
        Options whose device, precision and decoder settings are used; None: the defaults.
    ranges
        Intensity ranges of the image; None: those found by the model's normalisation.
    should_stop
        Called before each trial.
    """

    def __init__(
        self,
        model: Model,
        image: Image,
        options: PredictOptions | None = None,
        *,
        ranges: Ranges | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._options = options or PredictOptions()
        self.info = model.info.adjusted(self._options.adjustments)
        self.name = image.name
        self._model = model
        self._image = image
        self._ranges = ranges or Ranges(self.info, image)
        self._should_stop = should_stop
        self._network: Any = None
        self._planes: dict[bool, list[TrialPlane]] = {}
        self._trials: dict[tuple[float, bool], Trial] = {}

    def inverted(self, contrast: Contrast = "auto") -> bool:
        """Return whether the image is to be inverted for the network."""
        return self._looks_inverted if contrast == "auto" else contrast == "inverted"

    @cached_property
    def _looks_inverted(self) -> bool:
        known = self.info.contrast
        if known is None or not self._can_look() or self._ranges.given is not None:
            return False
        sign = 1 if known == "bright" else -1
        if any(sign * intensity_skew(plane) > _CLEAR_TONE for plane in self._chosen()):
            return False
        for scale in sorted(self._scales(), key=lambda s: abs(np.log(s))):
            pair = [self._trial(scale, i) for i in (False, True)]
            worse, better = sorted(pair, key=lambda t: t.mean_quality)
            gain = better.mean_quality - worse.mean_quality
            sure = better.mean_quality > _SURE and better.explained > _CLEAR_SHARE
            if sure and gain > _CLEAR_GAIN:
                return better is pair[True]
        as_is, negative = (best_trial(self._all(i)) for i in (False, True))
        if as_is is None or negative is None:
            return negative is not None
        shares = as_is.explained, negative.explained
        if min(shares) < LEAST_SHARE * max(shares):
            return negative.explained > as_is.explained
        return negative.mean_quality > as_is.mean_quality + _LEAST_GAIN

    def diameter_px(self, contrast: Contrast = "auto") -> float | None:
        """Estimate the diameter of the objects; None if none are recognised."""
        best = best_trial(self._all(self.inverted(contrast)))
        return None if best is None else best.diameter_px

    def _can_look(self) -> bool:
        info = self.info
        flat = info.task.judges_objects and info.unet.ndim == 2
        return flat and info.unet.in_channels == 1

    def _all(self, inverted: bool) -> list[Trial]:
        return [self._trial(scale, inverted) for scale in self._scales()]

    def _scales(self) -> list[float]:
        side = min(self._image.label_shape[-2:])
        return [s for s in TRIAL_SCALES if s >= 1 or side * s >= _LEAST_SIDE_PX]

    def _trial(self, scale: float, inverted: bool) -> Trial:
        key = scale, inverted
        if key not in self._trials:
            if self._should_stop():
                raise Cancelled("The prediction was stopped; nothing was written.")
            planes = self._ready(inverted)
            self._trials[key] = probe_scale(self._ready_network(), self.info.task, planes, scale)
        return self._trials[key]

    def _ready(self, inverted: bool) -> list[TrialPlane]:
        """Return the planes with their intensity ranges, computed once."""
        if inverted not in self._planes:
            self._planes[inverted] = [
                TrialPlane(plane, self._ranges.at(position, inverted))
                for position, plane in self._chosen_planes()
            ]
        return self._planes[inverted]

    def _chosen(self) -> list[Any]:
        return [plane for _, plane in self._chosen_planes()]

    def _chosen_planes(self) -> list[tuple[dict[str, int], Any]]:
        """Pick some planes, spread over the stack but not at its ends."""
        planes = list(self._image.planes(2))
        count = min(_PLANES, len(planes))
        return [planes[(2 * i + 1) * len(planes) // (2 * count)] for i in range(count)]

    def _ready_network(self) -> Any:
        if self._network is None:
            from napari_unet.core.models.blocks import block_network
            from napari_unet.core.system.device import choose_compute

            compute = choose_compute(self._options.device, self._options.precision)
            self._network = block_network(self._model, compute)
        return self._network


def estimate_diameter(
    model: Model,
    image: Image,
    options: PredictOptions | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> float | None:
    """Estimate the diameter of the objects in an image.

    The network is applied to a few windows of the image at several scales. The objects are
    measured at the scale where they agree best with the outputs they were decoded from.

    Parameters
    ----------
    model
        A 2-D model of objects.
    image
        Image with any subset of the axes TZCYX, including Y and X. Of a stack, some planes are
        used.
    options
        Options whose device, precision and decoder settings are used; None: the defaults.
    should_stop
        Called before each scale.

    Returns
    -------
    float or None
        Median diameter (of circles of the objects' areas) in pixels of the image; None if no
        objects are recognised.

    Raises
    ------
    SettingsError
        If the model does not predict objects, or is a 3-D model.
    ModelFileError
        If the model does not fit the image.
    ImageError
        If the image holds NaN or infinite values.
    Cancelled
        If `should_stop` returned true.

    Examples
    --------
    >>> from napari_unet import Image, find_model, load_model, synthetic_nuclei
    >>> pixels, _ = synthetic_nuclei((128, 128), n=10)
    >>> diameter = estimate_diameter(load_model(find_model("nuclei")), Image(pixels, "YX"))
    >>> 10 < diameter < 50
    True
    """
    check_estimable(model.info)
    model.info.check_image(image)
    if model.info.takes_grey(image):
        image = image.as_rgb()
    return ImageAdapter(model, image, options, should_stop=should_stop).diameter_px()
