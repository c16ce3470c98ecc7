"""Settings of live training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.settings import Settings

__all__ = ["LiveSettings"]

_OTHER_IMAGES = {"warp_probability": 0.5, "scale": (0.5, 2), "channel_jitter": 0.15}
"""Augmentation that simulates other object sizes and stains than those of the few painted objects.
Without it, a network trained only on small nuclei does not fill large ones."""


class LiveSettings(Settings):
    """Settings of live training.

    Parameters
    ----------
    patch_px
        Side of the square training patches in pixels.
    batch_size
        Number of patches per step.
    learning_rate
        Learning rate of AdamW, which is constant.
    average_decay
        Decay of the moving average of the weights, which is used for predictions. It is lower after
        an edit, so that its effect is visible soon.
    pull
        Strength of the pull towards the start model, see `Learner`. Without it, the network soon
        forgets other images, about which a few strokes contain little information.
    style_noise
        Strength of the style noise of `Learner`, if there is a start model. It simulates other
        stains and exposures than those of the painted image.
    new_share
        Share of patches drawn around the newest strokes.
    augmentation
        Augmentation of the patches.
    depth, base_channels
        Size of a network trained from scratch.
    device, precision
        See `choose_compute`.
    seed
        Seed of all random choices.

    Examples
    --------
    >>> from napari_unet.core.live import LiveSettings
    >>> LiveSettings(patch_px=128, device="cpu").patch_px
    128
    """

    patch_px: Annotated[int, Field(ge=32, le=1024)] = 96
    batch_size: Annotated[int, Field(ge=1, le=64)] = 4
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.97
    pull: Annotated[float, Field(ge=0, lt=1)] = 0.03
    style_noise: Annotated[float, Field(ge=0, lt=1)] = 0.3
    new_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    augmentation: Augmentation = Augmentation.preset("light").model_copy(update=_OTHER_IMAGES)
    depth: Annotated[int, Field(ge=1, le=7)] = 4
    base_channels: Annotated[int, Field(ge=1, le=256)] = 16
    device: str = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
