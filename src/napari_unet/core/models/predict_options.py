"""Prediction options shared by `predict`, batches, forms, the command line and records."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_validator,
    model_validator,
)

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.contrast import Contrast, check_contrast
from napari_unet.core.settings import AUTO, Device, Precision, Settings, Shown, settings_error

__all__ = ["LARGEST_SCALE", "PredictOptions", "check_scale"]

LARGEST_SCALE = 20.0
"""Largest factor by which images are enlarged or shrunk."""


def check_scale(scale: float) -> None:
    """Raise `SettingsError` if a scale is not a number, or far too small or large."""
    number = isinstance(scale, int | float)
    if not number or not 1 / LARGEST_SCALE <= scale <= LARGEST_SCALE:  # NaN too
        raise SettingsError(
            f"Scale {f'{scale:g}' if number else repr(scale)}: expected a number from "
            f"{1 / LARGEST_SCALE:g} to {LARGEST_SCALE:g}; 2 enlarges the image to twice its size "
            "for the network, 1 leaves it as it is. Check the object diameters or pixel sizes "
            "from which the scale was calculated."
        )


class PredictOptions(Settings):
    """Options of a prediction.

    Parameters
    ----------
    scale
        Factor by which the image is enlarged (below 1: shrunk) for the network if its objects
        differ in size from those of the training images. Lengths and areas of the decoder refer
        to the resized grid; labels and probabilities are on the image's own grid.
        ``"auto"`` estimates the diameter of the objects first (see
        `napari_unet.core.prediction.adaptation.estimate_diameter`) and fits them to the size that
        the model was trained on.
    contrast
        ``"inverted"`` shows the negative to the network, ``"as-is"`` the image. ``"auto"``
        inverts if the image has dark objects on a bright background and the model was trained on
        bright ones, or vice versa; if its training contrast is unknown, the image stays as it is.
    test_time_augmentation
        Whether to average over flips and quarter turns.
    block_px
        Side of the blocks in which large planes are computed. The result does not depend on it.
    device, precision
        See `napari_unet.core.system.device.choose_compute`.
    adjustments
        Values of decoder settings by name, such as ``{"threshold": 0.4}``; see
        `napari_unet.core.tasks.Task.adjustments`. Settings left out stay as the model has them.

    Raises
    ------
    SettingsError
        If a value is not allowed. Whether the model's task has the adjustments is checked when
        the options are used.

    Examples
    --------
    >>> PredictOptions(scale=0.5, adjustments={"min_area_px": 30}).scale
    0.5
    """

    scale: Annotated[
        Annotated[float, Field(ge=1 / LARGEST_SCALE, le=LARGEST_SCALE)] | Literal["auto"],
        Field(
            title="Scale",
            description="Factor by which the image is resized for the network; the result has the "
            "size of the image. Use less than 1 if objects are larger than in the training "
            "images.",
        ),
        Shown(
            panel="Objects that differ in size from the training images",
            step=0.05,
            auto=(
                "Estimate the diameter",
                "Measure the objects of each image first and resize it to fit the model. Replaces "
                "the scale.",
            ),
        ),
    ] = 1.0
    contrast: Annotated[
        Contrast,
        Field(
            title="Contrast",
            description="Invert the image if its objects are dark but the model was trained on "
            "bright ones, or vice versa. Automatic decides for each image.",
        ),
        Shown(choices={"auto": "automatic", "as-is": "as it is", "inverted": "inverted"}),
    ] = "auto"
    test_time_augmentation: Annotated[
        bool,
        Field(
            title="Test-time augmentation",
            description="Average over flipped and turned images: slightly better, eight times "
            "slower.",
        ),
        Shown(flag="--tta"),
    ] = False
    block_px: Annotated[
        int,
        Field(
            ge=1,
            title="Block size (px)",
            description="Side of the blocks in which large images are computed; the result stays "
            "the same.",
        ),
        Shown(panel="Computing"),
    ] = 1024
    device: Device = "auto"
    precision: Precision = "auto"
    adjustments: dict[str, float] = Field(default_factory=dict)

    @field_validator("scale", mode="before")
    @classmethod
    def _check_scale(cls, scale: Any) -> Any:
        if scale != AUTO:
            check_scale(scale)
        return scale

    @field_validator("contrast", mode="before")
    @classmethod
    def _check_contrast(cls, contrast: Any) -> Any:
        check_contrast(contrast)
        return contrast

    @model_validator(mode="wrap")
    @classmethod
    def _in_sentences(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(values)
        except ValidationError as error:
            raise settings_error(cls, error) from None
