"""Settings: what a user can choose, checked when it is chosen, saved with every model and run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.errors import SettingsError
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.settings import Device, Precision, Settings, Shown

__all__ = ["Budget", "TrainingSettings"]


class Budget(Settings):
    """When training ends: exactly one of these.

    A step or epoch budget repeats exactly; one in minutes depends on the machine.

    Examples
    --------
    >>> from napari_unet import Budget
    >>> str(Budget(epochs=50))
    '50 epochs'
    >>> Budget(minutes=5, steps=100)
    Traceback (most recent call last):
    napari_unet.core.errors.SettingsError: Budget names steps and minutes: ...
    """

    steps: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(title="Steps", description="Train this many steps."),
        Shown(panel="Training"),
    ] = None
    epochs: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(title="Epochs", description="Train this many epochs."),
        Shown(panel="Training"),
    ] = None
    minutes: Annotated[
        Annotated[float, Field(gt=0)] | None,
        Field(title="Minutes", description="Train this long."),
        Shown(panel="Training"),
    ] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Budget:
        given = [n for n in ("steps", "epochs", "minutes") if getattr(self, n) is not None]
        if len(given) != 1:
            raise SettingsError(
                f"Budget names {' and '.join(given) or 'nothing'}: expected exactly one of steps, "
                "epochs and minutes."
            )
        return self

    def __str__(self) -> str:
        for name in ("steps", "epochs", "minutes"):
            if (value := getattr(self, name)) is not None:
                return f"{value:g} {name.removesuffix('s') if value == 1 else name}"
        raise AssertionError


class TrainingSettings(Settings):
    """How to train.

    Parameters
    ----------
    budget
        Steps, epochs or minutes.
    depth, base_channels, norm, dropout, upsampling
        See `UNetConfig`.
    patch_px
        Side of the square training patches; a multiple of 2^depth.
    batch_size
        Patches per step.
    learning_rate, weight_decay, optimizer
        Of AdamW or Adam.
    warmup
        Share of the budget in which the learning rate rises; then it falls along a cosine to zero.
    gradient_clip
        Largest norm of the gradient; 0 switches clipping off.
    average_decay
        Decay of the exponential moving average of the weights, which is what is validated and
        saved; 0 switches it off. It is less at first, so that the average follows soon.
    augmentation
        See `Augmentation`.
    normalization
        See `Normalization`; the default one leaves the choice to `choose_normalization`.
    foreground_patches
        Share of the patches that are centred on a labelled pixel.
    validation_fraction
        Share of the images (by group) kept for validation.
    epoch_steps
        Steps between two validations; None: as many as it takes to see each training pixel about
        once, at least 20 and at most 400.
    patience
        Stop when the validation has not improved for this many epochs; None: never.
    precision
        ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"`` (GPU only).
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    seed
        Of the weights, the patches and the augmentation.

    Examples
    --------
    >>> from napari_unet import Augmentation, Budget, TrainingSettings
    >>> settings = TrainingSettings(
    ...     budget=Budget(minutes=20), patch_px=256, augmentation=Augmentation.preset("light")
    ... )
    >>> settings.patch_px, settings.learning_rate
    (256, 0.003)
    """

    budget: Budget = Field(default_factory=lambda: Budget(epochs=100))
    depth: Annotated[
        int,
        Field(ge=1, le=7, title="Depth", description="How often the size is halved."),
        Shown(panel="Network"),
    ] = 4
    base_channels: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            title="Base channels",
            description="Channels at full size; doubled at each halving.",
        ),
        Shown(panel="Network"),
    ] = 16
    norm: Annotated[
        Literal["batch", "none"],
        Field(title="Normalisation", description="Normalisation layers."),
        Shown(panel="Network"),
    ] = "batch"
    dropout: Annotated[
        float,
        Field(ge=0, lt=1, title="Dropout", description="Share of the bottleneck dropped."),
        Shown(panel="Network"),
    ] = 0.0
    upsampling: Annotated[
        Literal["transposed", "resize"],
        Field(
            title="Upsampling", description="Transposed convolution, or resize and 1x1 convolution."
        ),
        Shown(panel="Network"),
    ] = "transposed"
    patch_px: Annotated[
        int,
        Field(
            ge=16,
            le=4096,
            title="Patch (px)",
            description="Training patch size in pixels; must be a multiple of 2^depth.",
        ),
        Shown(panel="Training"),
    ] = 192
    batch_size: Annotated[
        int,
        Field(ge=1, le=1024, title="Batch size", description="Patches per step."),
        Shown(flag="--batch", panel="Training"),
    ] = 4
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: Annotated[
        float,
        Field(gt=0, le=1, title="Learning rate", description="Learning rate."),
        Shown(flag="--lr", panel="Training"),
    ] = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    gradient_clip: Annotated[float, Field(ge=0)] = 1.0
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    augmentation: Augmentation = Field(default_factory=lambda: Augmentation.preset("standard"))
    normalization: Normalization = Field(default_factory=Normalization)
    foreground_patches: Annotated[float, Field(ge=0, le=1)] = 0.5
    validation_fraction: Annotated[
        float,
        Field(
            ge=0, le=0.5, title="Validation", description="Share of the images used for validation."
        ),
        Shown(panel="Data"),
    ] = 0.15
    epoch_steps: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(title="Epoch (steps)", description="Steps between two validations."),
        Shown(panel="Training"),
    ] = None
    patience: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Field(title="Patience", description="Stop after this many epochs without improvement."),
        Shown(panel="Training"),
    ] = None
    precision: Precision = "auto"
    device: Device = "auto"
    seed: Annotated[
        int,
        Field(ge=0, title="Seed", description="Seed of everything random."),
        Shown(panel="Training"),
    ] = 0

    @model_validator(mode="after")
    def _patch_fits_depth(self) -> TrainingSettings:
        multiple = 2**self.depth
        if self.patch_px % multiple:
            near = max(multiple, round(self.patch_px / multiple) * multiple)
            raise SettingsError(
                f"Patch size {self.patch_px} px with depth {self.depth}: expected a multiple of "
                f"{multiple}. Use {near}."
            )
        return self
