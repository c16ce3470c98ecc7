"""Random changes of the distribution of a network's feature channels during training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["style_noise"]

_LAYERS = 4
"""Number of normalisation layers that are followed by noise: two levels of the encoder."""

_SHARE = 0.5
"""Fraction of the patches changed after each of these layers."""


@contextmanager
def style_noise(net: nn.Module, strength: float) -> Iterator[None]:
    """Change the mean and spread of each early feature channel at random, patch by patch.

    Stain and exposure differ between images and affect the statistics of the first layers. Noise in
    these statistics helps a model that is trained on strokes in one image to work on others.

    Parameters
    ----------
    net
        Network to add the noise to, after its batch normalisation layers, while the context lasts.
    strength
        Standard deviation of the change, relative to the spread of each channel; 0: no noise.

    Notes
    -----
    Source: Li et al., "Uncertainty modeling for out-of-distribution generalization", ICLR 2022,
    with a fixed strength instead of one estimated from the batch.
    """
    layers = (m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d))
    handles = [
        layer.register_forward_hook(partial(_changed, strength))
        for layer in islice(layers, _LAYERS if strength else 0)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _changed(strength: float, layer: Any, _inputs: Any, features: Tensor) -> Tensor:
    """Add the noise to (N, C, Y, X) or (N, C, Z, Y, X)."""
    shape = [*features.shape[:2], *[1] * (features.dim() - 2)]
    noise = torch.randn([2, *shape], device=features.device, dtype=features.dtype) * strength
    noise *= torch.rand([shape[0], *[1] * (len(shape) - 1)], device=features.device) < _SHARE
    spread = layer.weight.detach().abs().to(features.dtype).view(-1, *shape[2:])  # normalised to it
    return features * _by_row(1 + noise[0], features) + _by_row(noise[1] * spread, features)


def _by_row(values: Tensor, features: Tensor) -> Tensor:
    """Repeat one value per channel along X, because broadcasting is slow with channels last."""
    values = values.expand(*values.shape[:-1], features.shape[-1])
    last = torch.channels_last if values.dim() == 4 else torch.channels_last_3d
    return values.contiguous(memory_format=last)
