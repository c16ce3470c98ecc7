"""How to train live."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.settings import Settings

__all__ = ["LiveSettings"]

_OTHER_IMAGES = {"warp_probability": 0.5, "scale": (0.5, 2), "channel_jitter": 0.15}
"""Objects of other sizes and other stains than the few that are painted: an image or two teach
nothing of them, and a network that has seen small nuclei alone leaves large ones empty."""


class LiveSettings(Settings):
    """How to train live.

    Parameters
    ----------
    patch_px
        Side of the square patches.
    batch_size
        Patches per step.
    learning_rate
        Constant, of AdamW.
    average_decay
        Of the moving average of the weights, which is what predicts; less after an edit, so that
        it soon shows.
    pull
        How strongly a start model is held on to, see `Learner`: few strokes say little about other
        images, and without it what was learned of them is soon forgotten.
    style_noise
        Strength of the `style_noise` where there is a start model: other images are stained and
        exposed in other ways than the one that is painted.
    new_share
        Share of the patches around the newest strokes, while they are new.
    augmentation
        How patches are varied.
    depth, base_channels
        Of a network from scratch.
    device, precision
        See `choose_compute`.
    seed
        Of everything random.

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
