"""Transfer of weights from a trained model to a new network.

The new network may have other input channels and outputs, but otherwise the same architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from napari_unet.core.models.model import ModelInfo

__all__ = [
    "CLEARLY",
    "HEAD",
    "for_inverted_images",
    "same_outputs",
    "through_channels",
    "transferred",
]

CLEARLY = 0.9
"""Images are changed, for example inverted, if this reduces the loss below this fraction."""
_FIRST = "encoder.0.0"
_FIRST_NORM = "encoder.0.1"
HEAD = "head"
"""Prefix of the names of the last layer's weights."""


def transferred(
    weights: Mapping[str, Tensor], start: ModelInfo, own: Mapping[str, Tensor], info: ModelInfo
) -> dict[str, Tensor]:
    """Fit the weights of a trained network to a new one.

    If the number of input channels differs, the weights of the old channels are distributed equally
    over the new ones, so that the response to the same grey image in all channels is unchanged.
    Outputs that both networks have, by the name of their head, are transferred; others keep their
    own weights.

    Parameters
    ----------
    weights, start
        Weights and header of the trained network.
    own, info
        Weights and header of the new network.

    Returns
    -------
    dict
        Weights for all of `own`.
    """
    fitted = {k: weights[k] if weights[k].shape == w.shape else w for k, w in own.items()}
    first = f"{_FIRST}.weight"
    if weights[first].shape[1] != own[first].shape[1]:
        channels = own[first].shape[1]
        shared = weights[first].sum(dim=1, keepdim=True) / channels
        fitted[first] = shared.expand(-1, channels, *shared.shape[2:]).clone()
    old, new = _rows(start), _rows(info)
    for name in (f"{HEAD}.weight", f"{HEAD}.bias"):
        fitted[name] = own[name].clone()
        for head, rows in new.items():
            if head in old:
                fitted[name][rows] = weights[name][old[head]]
    return fitted


def same_outputs(start: ModelInfo, info: ModelInfo) -> bool:
    """Return whether the start network has every output of the new one."""
    return _rows(info).keys() <= _rows(start).keys()


def for_inverted_images(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Change a network so that its outputs for an image are the previous ones for 1 - image."""
    changed = dict(weights)
    first = changed[f"{_FIRST}.weight"]
    changed[f"{_FIRST}.weight"] = -first
    constant = first.flatten(1).sum(dim=1)
    if (bias := f"{_FIRST}.bias") in changed:
        changed[bias] = changed[bias] + constant
    else:  # the constant is subtracted by the normalisation that follows
        mean = f"{_FIRST_NORM}.running_mean"
        changed[mean] = changed[mean] - constant
    return changed


def through_channels(weights: Mapping[str, Tensor], shares: Tensor) -> dict[str, Tensor]:
    """Change a network so that it uses a weighted sum of the channels instead of a grey image.

    Parameters
    ----------
    weights
        Weights of a network that got the same grey image in all channels.
    shares
        Weight of each channel in the sum, (C,).
    """
    changed = dict(weights)
    grey = changed[f"{_FIRST}.weight"].sum(dim=1, keepdim=True)
    changed[f"{_FIRST}.weight"] = grey * shares.reshape(1, -1, *[1] * (grey.ndim - 2))
    return changed


def _rows(info: ModelInfo) -> dict[tuple[str, int], slice]:
    """Find the output channels of each head."""
    rows, start = {}, 0
    for head in info.task.heads:
        rows[head.name, head.channels] = slice(start, start + head.channels)
        start += head.channels
    return rows
