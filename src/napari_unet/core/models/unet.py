"""The network: a U-Net of any depth and width, in two or three dimensions.

Source: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015; in three dimensions Çiçek et al., MICCAI 2016. Unlike in the original,
convolutions are padded, so that the output has the same size as the input.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_unet.core.models.unet_config import UNetConfig

__all__ = ["UNet", "crop_to", "fold_batch_norm", "pad_to_multiple"]

_CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_UP: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_DROPOUT: dict[int, type[nn.Module]] = {2: nn.Dropout2d, 3: nn.Dropout3d}


class UNet(nn.Module):
    """U-Net with a contracting path, a bottleneck, an expansive path and skip connections.

    Parameters
    ----------
    config
        Depth, width and the rest of the architecture.

    Shape
    -----
    Input (N, in_channels, [Z,] Y, X) of any size; output (N, out_channels, [Z,] Y, X), logits.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.base_channels * 2**level for level in range(config.depth + 1)]
        inputs = [config.in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(
            _double_conv(i, o, config) for i, o in zip(inputs, widths, strict=True)
        )
        self.up = nn.ModuleList(_UpSample(2 * w, w, config) for w in widths[:-1])
        self.decoder = nn.ModuleList(_double_conv(2 * w, w, config) for w in widths[:-1])
        self.dropout = _DROPOUT[config.ndim](config.dropout) if config.dropout else nn.Identity()
        self.head = _CONV[config.ndim](widths[0], config.out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits; sizes that are not multiples of 2^depth are padded and cropped back."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def features(self, x: Tensor) -> Tensor:
        """Compute the input of the head, (N, base_channels, [Z,] Y, X), at the input's size."""
        size = x.shape[2:]
        x = pad_to_multiple(x, self.config.multiple)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            if level:
                x = _max_pool(x)
            x = block(x)
            skips.append(x)
        x = self.dropout(skips.pop())
        for up, block in zip(reversed(self.up), reversed(self.decoder), strict=True):
            x = block(torch.cat([up(x), skips.pop()], dim=1))
        return crop_to(x, size)


class _UpSample(nn.Module):
    """Double the size and halve the channels, by transposed convolution or by resizing."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.resize = config.upsampling == "resize"
        self.conv = (
            _CONV[config.ndim](inputs, outputs, 1)
            if self.resize
            else _UP[config.ndim](inputs, outputs, 2, stride=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        # A 1x1 convolution commutes with nearest-neighbour resizing; before it, it is 4x cheaper.
        if self.resize:
            return functional.interpolate(self.conv(x), scale_factor=2.0, mode="nearest")
        if not (self.training and torch.is_grad_enabled()):
            return cast(Tensor, self.conv(x))
        weight, bias = cast(Tensor, self.conv.weight), cast(Tensor, self.conv.bias)
        up = functional.conv_transpose2d if x.ndim == 4 else functional.conv_transpose3d
        x = up(x, weight, bias.detach(), stride=2)
        return cast(Tensor, cast(Any, _BiasGradient).apply(x, bias))


class _BiasGradient(torch.autograd.Function):
    """Gradient of the bias of a transposed convolution, faster on CPUs than PyTorch's own.

    PyTorch's own takes five to eight times as long in bfloat16 as the gradients of input and weight
    together (torch 2.13).
    """

    @staticmethod
    def forward(_ctx: Any, x: Tensor, _bias: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient.sum([0, *range(2, gradient.ndim)], dtype=torch.float32)


def _double_conv(inputs: int, outputs: int, config: UNetConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(
            _CONV[config.ndim](channels, outputs, 3, padding=1, bias=config.norm == "none")
        )
        if config.norm == "batch":
            layers.append(_NORM[config.ndim](outputs))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _max_pool(x: Tensor) -> Tensor:
    pool = functional.max_pool2d if x.ndim == 4 else functional.max_pool3d
    return pool(x, 2)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Extend the far edges to the next multiple by repeating their last pixels."""
    pad: list[int] = []
    for n in reversed(x.shape[2:]):
        pad += [0, -n % multiple]
    return functional.pad(x, pad, mode="replicate") if any(pad) else x


def crop_to(x: Tensor, size: torch.Size) -> Tensor:
    """Crop the far edges of the last axes to `size`: the inverse of `pad_to_multiple`."""
    for axis, n in enumerate(size, start=x.ndim - len(size)):
        if x.shape[axis] != n:  # the gradient of a crop is a copy, even if nothing is cropped
            x = x.narrow(axis, 0, n)
    return x


def fold_batch_norm(net: UNet) -> UNet:
    """Fold each batch normalisation into the preceding convolution: same output, less time.

    Parameters
    ----------
    net
        Network in evaluation mode; changed in place.

    Returns
    -------
    UNet
        The same network.
    """
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for stage in (*net.encoder, *net.decoder):
        layers = list(cast(nn.Sequential, stage))
        folded: list[nn.Module] = []
        for layer in layers:
            if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
                folded[-1] = fuse_conv_bn_eval(cast(Any, folded[-1]), layer)
            else:
                folded.append(layer)
        stage._modules.clear()
        for i, layer in enumerate(folded):
            stage.add_module(str(i), layer)
    return net
