"""Settings of the network's architecture, without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from napari_unet.core.settings import Settings

__all__ = ["UNetConfig"]


class UNetConfig(Settings):
    """Architecture of the network.

    Parameters
    ----------
    ndim
        Number of spatial dimensions.
    in_channels, out_channels
        Number of image channels and of output maps.
    depth
        Number of times that the size is halved.
    base_channels
        Channels at full size; doubled at each halving.
    norm
        ``"batch"`` or ``"none"``. Their statistics do not depend on the tile, so a tiled prediction
        equals an untiled one.
    dropout
        Fraction of the bottleneck's channels dropped in training.
    upsampling
        ``"transposed"`` convolution, or ``"resize"`` (nearest neighbour) with a 1x1 convolution.

    Examples
    --------
    >>> from napari_unet import UNetConfig
    >>> config = UNetConfig(depth=3, base_channels=8)
    >>> config.multiple, config.receptive_radius_px
    (8, 58)
    """

    ndim: Literal[2, 3] = 2
    in_channels: Annotated[int, Field(ge=1, le=256)] = 1
    out_channels: Annotated[int, Field(ge=1, le=1024)] = 1
    depth: Annotated[int, Field(ge=1, le=7)] = 4
    base_channels: Annotated[int, Field(ge=1, le=256)] = 16
    norm: Literal["batch", "none"] = "batch"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    upsampling: Literal["transposed", "resize"] = "transposed"

    @property
    def multiple(self) -> int:
        """Number of pixels that sizes inside the network are multiples of, 2^depth."""
        return 1 << self.depth

    @property
    def receptive_radius_px(self) -> int:
        """Radius of the receptive field of an output pixel; a larger halo is never needed.

        Two 3x3 convolutions at each level of both paths reach 2 px of that level to each side;
        pooling and up-sampling each add at most one pixel of the level above.
        """
        convolutions = sum(2 << level for level in range(self.depth + 1))
        convolutions += sum(2 << level for level in range(self.depth))
        resampling = sum(2 << level for level in range(self.depth))
        return convolutions + resampling
