"""Starting from a trained model: what a new network takes over of it.

The new one may have other input channels and other outputs, but is otherwise built alike.
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
"""Another view of the images is taken where it leaves less than this share of the loss."""
_FIRST = "encoder.0.0"
_FIRST_NORM = "encoder.0.1"
HEAD = "head"
"""What the names of the last layer's weights begin with."""


def transferred(
    weights: Mapping[str, Tensor], start: ModelInfo, own: Mapping[str, Tensor], info: ModelInfo
) -> dict[str, Tensor]:
    """Fit the weights of a trained network into a new one.

    Where the number of input channels differs, the new channels share what the old ones did, so
    that a grey image in each of them gives the same response. Outputs that both have are taken
    over, by the name of their head; others stay as they are.

    Parameters
    ----------
    weights, start
        Of the trained network, and its header.
    own, info
        Of the new network.

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
    """Whether every output of a new network has one that it is taken over from."""
    return _rows(info).keys() <= _rows(start).keys()


def for_inverted_images(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Change a network so that it sees an image as it saw one minus the image before."""
    changed = dict(weights)
    first = changed[f"{_FIRST}.weight"]
    changed[f"{_FIRST}.weight"] = -first
    constant = first.flatten(1).sum(dim=1)
    if (bias := f"{_FIRST}.bias") in changed:
        changed[bias] = changed[bias] + constant
    else:  # the normalisation that follows takes the constant
        mean = f"{_FIRST_NORM}.running_mean"
        changed[mean] = changed[mean] - constant
    return changed


def through_channels(weights: Mapping[str, Tensor], shares: Tensor) -> dict[str, Tensor]:
    """Change a network so that it sees a weighted sum of the channels in place of a grey image.

    Parameters
    ----------
    weights
        Of a network whose channels all gave it the same grey image.
    shares
        Weight of each channel in the sum, (C,).
    """
    changed = dict(weights)
    grey = changed[f"{_FIRST}.weight"].sum(dim=1, keepdim=True)
    changed[f"{_FIRST}.weight"] = grey * shares.reshape(1, -1, *[1] * (grey.ndim - 2))
    return changed


def _rows(info: ModelInfo) -> dict[tuple[str, int], slice]:
    """Where the outputs of each head are."""
    rows, start = {}, 0
    for head in info.task.heads:
        rows[head.name, head.channels] = slice(start, start + head.channels)
        start += head.channels
    return rows
