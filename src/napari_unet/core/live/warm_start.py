"""Making a trained network useful for new images within a second, before it learns anything.

Its batch normalisation gets the statistics of the new images, and its last layer is fitted to
what is painted: a linear classifier on features that another task has taught.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_unet.core.unet import UNet

__all__ = ["adapt_statistics", "fit_head"]

_ROUNDS = 60
_DECAY = 1e-2
_MOST_PIXELS = 4000


@torch.no_grad()
def adapt_statistics(net: UNet, images: Sequence[Tensor]) -> None:
    """Take the statistics of batch normalisation from images.

    Parameters
    ----------
    net
        Changed in place; left in evaluation mode.
    images
        Normalised, (N, C, Y, X) each.
    """
    layers = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all that is seen
    net.train()
    for image in images:
        net(image)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    net.eval()


def fit_head(
    net: UNet, images: Sequence[Tensor], targets: Sequence[Tensor], weights: Sequence[Tensor]
) -> float:
    """Fit the last layer to painted pixels: a linear classifier on the features before it.

    Parameters
    ----------
    net
        In evaluation mode; its head is changed in place.
    images
        Normalised, (N, C, Y, X) each.
    targets, weights
        Class indices and weights as `Semantic.encode` gives them, (N, 1, Y, X) each.

    Returns
    -------
    float
        Mean cross-entropy that is left, each class counting alike.
    """
    features, classes = _painted(net, images, targets, weights)
    head = cast(nn.Conv2d, net.head)
    outputs = head.out_channels
    counts = torch.bincount(classes, minlength=max(2, outputs)).clamp_min(1)
    balance = (1 / counts.float())[classes]
    mean, spread = features.mean(0), features.std(0).clamp_min(1e-3)
    scaled = (features - mean) / spread
    weight = torch.zeros(outputs, features.shape[1], requires_grad=True)
    bias = torch.zeros(outputs, requires_grad=True)

    def cost() -> Tensor:
        logits = functional.linear(scaled, weight, bias)
        if outputs == 1:
            each = functional.binary_cross_entropy_with_logits(
                logits[:, 0], classes.float(), reduction="none"
            )
        else:
            each = functional.cross_entropy(logits, classes, reduction="none")
        return (each * balance).sum() / balance.sum()

    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = cost() + _DECAY * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        own = weight / spread
        head.weight.copy_(own.reshape(head.weight.shape))
        cast(Tensor, head.bias).copy_(bias - own @ mean)
        return float(cost())


@torch.no_grad()
def _painted(
    net: UNet, images: Sequence[Tensor], targets: Sequence[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Features (pixels, channels) and class indices of the pixels that are painted."""
    features, classes = [], []
    for image, target, weight in zip(images, targets, weights, strict=True):
        painted = weight[:, 0] > 0
        features.append(net.features(image).movedim(1, -1)[painted].cpu())
        classes.append(target[:, 0][painted].long().cpu())
    all_features, all_classes = torch.cat(features), torch.cat(classes)
    if len(all_classes) > _MOST_PIXELS:
        chosen = torch.linspace(0, len(all_classes) - 1, _MOST_PIXELS).long()
        all_features, all_classes = all_features[chosen], all_classes[chosen]
    return all_features, all_classes
