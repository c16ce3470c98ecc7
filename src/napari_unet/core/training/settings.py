"""Settings of training, validated on creation and saved with every model and run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.errors import SettingsError
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.settings import Device, Precision, Settings, Shown

__all__ = ["Budget", "TrainingSettings"]


class Budget(Settings):
    """Length of training: exactly one of steps, epochs and minutes.

    A budget in steps or epochs is reproducible; one in minutes depends on the machine.

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
        Field(title="Minutes", description="Train this many minutes."),
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
    """Settings of a training run.

    Parameters
    ----------
    budget
        Length of training in steps, epochs or minutes.
    depth, base_channels, norm, dropout, upsampling
        Architecture of the network; see `UNetConfig`.
    patch_px
        Side of the square training patches in pixels; a multiple of 2^depth.
    batch_size
        Number of patches per step.
    learning_rate, weight_decay, optimizer
        Settings of the optimizer, ``"adamw"`` or ``"adam"``.
    warmup
        Fraction of the budget in which the learning rate rises; then it falls along a cosine to
        zero.
    gradient_clip
        Largest norm of the gradient; 0: no clipping.
    average_decay
        Decay of the exponential moving average of the weights, which is validated and saved; 0: no
        average. The decay is smaller at first, so that the average follows quickly.
    augmentation
        Augmentation of the patches; see `Augmentation`.
    normalization
        Normalisation of the images; see `Normalization`. With the default, it is chosen by
        `choose_normalization`.
    foreground_patches
        Fraction of the patches that are centred on a labelled pixel.
    validation_fraction
        Fraction of the images (by group) used for validation.
    epoch_steps
        Number of steps between two validations; None: enough to use each training pixel about once,
        at least 20 and at most 400.
    patience
        Number of epochs without improvement of the validation score after which training stops;
        None: unlimited.
    precision
        ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"`` (GPU only).
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    seed
        Seed of the weights, the patches and the augmentation.

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
        Field(
            ge=1,
            le=7,
            title="Depth",
            description="How many times the network halves the image. Each level doubles the "
            "distance that it can see.",
        ),
        Shown(panel="Network"),
    ] = 4
    base_channels: Annotated[
        int,
        Field(
            ge=1,
            le=256,
            title="Base channels",
            description="Width of the network: channels at full size, doubled at each halving. "
            "Twice the width takes about four times as long.",
        ),
        Shown(panel="Network"),
    ] = 16
    norm: Annotated[
        Literal["batch", "none"],
        Field(title="Normalisation", description="Kind of normalisation layers."),
        Shown(panel="Network"),
    ] = "batch"
    dropout: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            title="Dropout",
            description="Fraction of the bottleneck's channels dropped in training.",
        ),
        Shown(panel="Network"),
    ] = 0.0
    upsampling: Annotated[
        Literal["transposed", "resize"],
        Field(
            title="Upsampling",
            description="Transposed convolution, or resizing and a 1x1 convolution.",
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
        Shown(panel="Training", step=16),
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
            ge=0,
            le=0.5,
            title="Validation share",
            description="Share of the images that is used for validation and not for training. "
            "With 0 there is no score.",
        ),
        Shown(panel="Data", step=0.05),
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
        Field(
            ge=0,
            title="Seed",
            description="Starting value of all random numbers. The same seed and data produce the "
            "same model.",
        ),
        Shown(panel="Training"),
    ] = 0

    @model_validator(mode="after")
    def _patch_fits_depth(self) -> TrainingSettings:
        multiple = 2**self.depth
        if self.patch_px % multiple:
            near = max(multiple, round(self.patch_px / multiple) * multiple)
            raise SettingsError(
                f"The patch size is {self.patch_px} px and the depth {self.depth}: expected a "
                f"multiple of {multiple}. Use {near}."
            )
        return self
