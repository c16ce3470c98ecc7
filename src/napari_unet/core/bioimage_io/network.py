"""The network in the form that a bioimage.io package runs, and its source as a single file."""

from __future__ import annotations

import inspect
import warnings
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from napari_unet.core.models import unet as unet_module
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.losses import activate

__all__ = [
    "ActivatedUNet",
    "activated_network",
    "architecture_arguments",
    "architecture_source",
    "as_torchscript",
]


class ActivatedUNet(UNet):
    """U-Net whose outputs are activated head by head: probabilities instead of logits.

    Parameters
    ----------
    unet
        Depth, width and the rest of the architecture, by name.
    heads
        Channels and activation of each group of outputs, in order.
    """

    def __init__(self, unet: dict[str, Any], heads: list[dict[str, Any]]) -> None:
        super().__init__(UNetConfig(**unet))
        self.task = SimpleNamespace(heads=[SimpleNamespace(**head) for head in heads])

    def forward(self, x: Tensor) -> Tensor:
        """Compute outputs (N, out_channels, [Z,] Y, X) of an image (N, in_channels, [Z,] Y, X)."""
        return activate(cast(Any, self.task), super().forward(x))


_IMPORT = "from napari_unet.core.models.unet_config import UNetConfig\n"
_INSTEAD = '''from types import SimpleNamespace


class UNetConfig(SimpleNamespace):
    """Depth, width and the rest of the architecture."""

    @property
    def multiple(self) -> int:
        """Number of pixels that sizes inside the network are multiples of, 2^depth."""
        return 1 << self.depth


'''


def architecture_source() -> str:
    """Return the source of the network as one Python file that needs only torch.

    It is the source of the code that runs here, so the two cannot diverge.
    """
    from napari_unet.version import __version__

    network = inspect.getsource(unet_module)
    assert network.count(_IMPORT) == 1
    parts = [
        f"# From napari-unet-live {__version__}, BSD-3-Clause.",
        network.replace(_IMPORT, _INSTEAD),
        inspect.getsource(activate),
        inspect.getsource(ActivatedUNet),
    ]
    return "\n\n".join(parts)


def architecture_arguments(info: ModelInfo) -> dict[str, Any]:
    """Return the arguments of `ActivatedUNet` for a model, as plain values."""
    heads = [{"channels": h.channels, "activation": h.activation} for h in info.task.heads]
    return {"unet": info.unet.model_dump(mode="json"), "heads": heads}


def activated_network(model: Model) -> ActivatedUNet:
    """Build the network of a model, in evaluation mode."""
    with torch.device("meta"):
        net = ActivatedUNet(**architecture_arguments(model.info))
    net.load_state_dict({k: w.clone() for k, w in model.weights.items()}, assign=True)
    return net.eval()


def as_torchscript(net: ActivatedUNet) -> torch.jit.ScriptModule:
    """Trace a network as TorchScript that accepts images of any size, as the network does."""
    config = net.config
    # Not a multiple of 2^depth, so that padding and cropping are traced, for any size.
    example = torch.zeros(1, config.in_channels, *(config.multiple + 1,) * config.ndim)
    with warnings.catch_warnings(), torch.no_grad():
        # Users cannot act on the warnings: a branch is traced on purpose, TorchScript is old.
        warnings.simplefilter("ignore")
        return cast(torch.jit.ScriptModule, torch.jit.trace(net, example, check_trace=False))
