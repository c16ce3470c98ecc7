"""Settings of the augmentation of training patches, and their presets."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from napari_unet.core.errors import SettingsError

__all__ = ["Augmentation"]

Probability = Annotated[float, Field(ge=0, le=1)]
Preset = Literal["none", "light", "standard"]

_INJECTIVE = 0.48
"""Largest displacement, in control point distances, at which a cubic B-spline cannot fold.

Choi and Lee, Injectivity conditions of 2D and 3D uniform cubic B-spline functions, Graphical
Models 62 (2000): 1 / 2.0464 in two dimensions.
"""


class Augmentation(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Settings of the augmentation of training patches.

    Each number is the largest change; 0 (1 for factors) means no change.

    Parameters
    ----------
    flips
        Mirror along each spatial axis, each with a probability of 0.5.
    quarter_turns
        Rotate by a random multiple of 90 degrees, without interpolation.
    shift_px
        Move the centre by up to this many pixels along Y and X, within the image.
    warp_probability
        Probability that rotation, scale, shear and elastic deformation are applied (together).
        Other patches are exact copies, as sharp as the images to predict.
    rotation_deg
        Rotate by up to this angle in either direction.
    scale
        Smallest and largest magnification.
    shear_deg
        Shear by up to this angle in either direction.
    elastic_px
        Move the control points of the elastic grid by up to this many pixels.
    elastic_scale_px
        Distance between control points; larger is smoother.
    intensity_probability
        Probability of each of the following, independently. They expect a normalised image, with
        most values between 0 and 1.
    brightness
        Add or subtract up to this value.
    contrast
        Multiply or divide differences from the mean by up to this factor.
    gamma
        Raise to a power of up to this value, or down to its reciprocal.
    channel_jitter
        Vary brightness and contrast of each channel separately by up to this value, if there are
        several channels (varying stains and exposures).
    background
        Add an uneven background, a broad wave, of up to this amplitude.
    blur_px
        Largest standard deviation of a Gaussian blur.
    noise
        Largest standard deviation of Gaussian noise.
    empty
        Probability that a patch is replaced by synthetic background with labels 0; see
        `napari_unet.core.augmentation.empty_patches`. For models that will be used on empty fields;
        not for labels whose background is not 0.

    Raises
    ------
    SettingsError
        If `scale` is not ascending or the elastic grid could fold.

    Examples
    --------
    >>> from napari_unet import Augmentation
    >>> light = Augmentation.preset("light")
    >>> light.model_copy(update={"rotation_deg": 30.0}).rotation_deg
    30.0
    """

    flips: bool = False
    quarter_turns: bool = False
    shift_px: float = Field(0, ge=0)
    warp_probability: Probability = 1
    rotation_deg: float = Field(0, ge=0, le=180)
    scale: tuple[float, float] = (1, 1)
    shear_deg: float = Field(0, ge=0, le=45)
    elastic_px: float = Field(0, ge=0)
    elastic_scale_px: float = Field(32, ge=4)
    intensity_probability: Probability = 0.5
    brightness: float = Field(0, ge=0, le=1)
    contrast: float = Field(1, ge=1, le=10)
    gamma: float = Field(1, ge=1, le=5)
    channel_jitter: float = Field(0, ge=0, le=0.5)
    background: float = Field(0, ge=0, le=1)
    blur_px: float = Field(0, ge=0, le=20)
    noise: float = Field(0, ge=0, le=1)
    empty: Probability = 0

    @model_validator(mode="after")
    def _check(self) -> Augmentation:
        low, high = self.scale
        if not 0.1 <= low <= high <= 10:
            raise SettingsError(
                f"Augmentation: scale is {low} to {high}. Expected the smallest and the largest "
                "magnification, between 0.1 and 10, for example (0.8, 1.25)."
            )
        largest = _INJECTIVE * self.elastic_scale_px
        if self.elastic_px > largest:
            raise SettingsError(
                f"Augmentation: elastic_px is {self.elastic_px:g} with elastic_scale_px "
                f"{self.elastic_scale_px:g}: the deformation could fold the image over itself. "
                f"Expected at most {largest:.3g}: reduce it, or increase elastic_scale_px."
            )
        return self

    @classmethod
    def preset(cls, name: Preset) -> Augmentation:
        """Return settings by name.

        Parameters
        ----------
        name
            ``"none"``: exact crops. ``"light"``: flips, quarter turns, a little brightness,
            contrast and uneven background; best if time is short. ``"standard"``: everything, for
            nuclei, cells and tissue without a preferred orientation.

        Raises
        ------
        SettingsError
            If the preset does not exist.
        """
        if name not in _PRESETS:
            known = ", ".join(_PRESETS)
            raise SettingsError(
                f"There is no augmentation preset {name!r}. Choose one of: {known}."
            )
        return cls(**_PRESETS[name])

    @property
    def warps(self) -> bool:
        """Whether these settings resample pixels."""
        geometry = (self.rotation_deg, self.shear_deg, self.elastic_px)
        return self.warp_probability > 0 and (any(geometry) or self.scale != (1, 1))


_PRESETS: dict[str, dict[str, Any]] = {
    "none": {},
    "light": {
        "flips": True,
        "quarter_turns": True,
        "shift_px": 8,
        "brightness": 0.05,
        "contrast": 1.2,
        "background": 0.2,
    },
    "standard": {
        "flips": True,
        "quarter_turns": True,
        "shift_px": 16,
        "warp_probability": 0.8,
        "rotation_deg": 180,
        "scale": (0.75, 1.33),
        "shear_deg": 6,
        "elastic_px": 8,
        "elastic_scale_px": 40,
        "brightness": 0.1,
        "contrast": 1.5,
        "gamma": 1.4,
        "channel_jitter": 0.08,
        "background": 0.3,
        "blur_px": 1.2,
        "noise": 0.06,
    },
}
