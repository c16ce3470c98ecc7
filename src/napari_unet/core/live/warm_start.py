"""Adaptation of a trained network to new images within a second, before it is trained.

The batch normalisation gets the statistics of the new images, and the last layer is fitted to the
painted pixels: a linear classifier on features learned for another task. If the network was trained
on another number of channels, it may receive the weighted sum of the new channels in which the
painted classes differ most.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet import UNet
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.sampling import Batch
from napari_unet.core.training.start_model import (
    CLEARLY,
    HEAD,
    for_inverted_images,
    same_outputs,
    through_channels,
    transferred,
)

__all__ = ["adapt_statistics", "fit_head", "separating_channels", "warm_weights"]

_SHRINKAGE = 0.1
_ROUNDS = 60
_DECAY = 1e-2
_MOST_PIXELS = 4000


def warm_weights(start: Model, info: ModelInfo, batches: Sequence[Batch]) -> dict[str, Tensor]:
    """Fit a trained network to new images, before the first training step.

    Parameters
    ----------
    start
        Trained model.
    info
        Header of the new model.
    batches
        Patches with painted labels.

    Returns
    -------
    dict
        Weights of the new network.
    """
    own = UNet(info.unet).state_dict()
    weights = transferred(start.weights, start.info, own, info)
    if not _same_classes(start.info, info):
        weights |= {k: torch.zeros_like(w) for k, w in weights.items() if k.startswith(HEAD)}
    images = [torch.from_numpy(b.images) for b in batches]
    targets = [torch.from_numpy(b.targets) for b in batches]
    painted = [torch.from_numpy(b.weight) for b in batches]

    def fit(candidate: dict[str, Tensor]) -> tuple[float, dict[str, Tensor]]:
        net = UNet(info.unet)
        net.load_state_dict(candidate)
        adapt_statistics(net, images)
        if info.task.class_targets:
            left = fit_head(net, images, targets, painted)
        else:
            left = _loss_left(net, info.task, images, targets, painted)
        return left, net.state_dict()

    views = [weights]
    channels = info.unet.in_channels
    if 1 < channels != start.info.unet.in_channels and info.unet.norm == "batch":
        pixels, classes = _painted([i.movedim(1, -1) for i in images], targets, painted)
        shares = separating_channels(pixels, classes != info.task.background_target)
        views.append(through_channels(weights, shares))
    best, *others = (fit(turned(v)) for v in views for turned in (dict, for_inverted_images))
    for other in others:
        if other[0] < CLEARLY * best[0]:
            best = other
    return best[1]


def _same_classes(start: ModelInfo, info: ModelInfo) -> bool:
    """Return whether all outputs have the same meaning; class names must match."""
    if not same_outputs(start, info):
        return False
    tasks = [task for task in (start.task, info.task) if task.class_targets]
    names = [[c.name for c in t.output_channels] for t in tasks if len(t.output_channels) > 1]
    return all(some == names[0] for some in names)


def separating_channels(pixels: Tensor, foreground: Tensor) -> Tensor:
    """Find the weighted sum of channels in which foreground and background differ most.

    Parameters
    ----------
    pixels
        Normalised pixels, (N, C).
    foreground
        Mask of the pixels that are foreground, (N,).

    Returns
    -------
    Tensor
        Weight of each channel, (C,); their magnitudes sum to 1. All weights are equal if foreground
        or background has fewer than two pixels, or if they do not differ.

    Notes
    -----
    Fisher's linear discriminant, with the covariance shrunk towards a multiple of the identity.
    """
    count = pixels.shape[1]
    kinds = [pixels[foreground].double(), pixels[~foreground].double()]
    equal = torch.full((count,), 1 / count)
    if min(map(len, kinds)) < 2:
        return equal
    within = sum((torch.cov(kind.T) for kind in kinds), torch.zeros(count, count)) / 2
    within += (_SHRINKAGE * within.trace() / count + 1e-6) * torch.eye(count)
    shares: Tensor = torch.linalg.solve(within, kinds[0].mean(0) - kinds[1].mean(0)).float()
    magnitude = shares.abs().sum()
    return shares / magnitude if magnitude > 1e-6 else equal


@torch.no_grad()
def adapt_statistics(net: UNet, images: Sequence[Tensor]) -> None:
    """Set the statistics of batch normalisation from images.

    Parameters
    ----------
    net
        Network, which is changed in place and left in evaluation mode.
    images
        Normalised images, (N, C, Y, X) each.
    """
    layers = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over all images
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

    The fit is regularised towards the old weights, because an output of the start model, such as
    the foreground, was trained on much more than a few strokes.

    Parameters
    ----------
    net
        Network in evaluation mode, whose head is changed in place.
    images
        Normalised images, (N, C, Y, X) each.
    targets, weights
        Class indices and weights as returned by `Semantic.encode`, (N, 1, Y, X) each.

    Returns
    -------
    float
        Mean cross-entropy after the fit, with equal weight for each class.
    """
    with torch.no_grad():
        maps = [net.features(image).movedim(1, -1) for image in images]
    features, classes = _painted(maps, targets, weights)
    head = cast(nn.Conv2d, net.head)
    outputs = head.out_channels
    counts = torch.bincount(classes, minlength=max(2, outputs)).clamp_min(1)
    balance = (1 / counts.float())[classes]
    mean, spread = features.mean(0), features.std(0).clamp_min(1e-3)
    scaled = (features - mean) / spread
    with torch.no_grad():
        before = head.weight.flatten(1).cpu()
        known = before * spread
        bias = cast(Tensor, head.bias).cpu() + before @ mean
    weight, bias = known.clone().requires_grad_(True), bias.requires_grad_(True)

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
        loss = cost() + _DECAY * (weight - known).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        own = weight / spread
        head.weight.copy_(own.reshape(head.weight.shape))
        cast(Tensor, head.bias).copy_(bias - own @ mean)
        return float(cost())


@torch.no_grad()
def _loss_left(
    net: UNet,
    task: Task,
    images: Sequence[Tensor],
    targets: Sequence[Tensor],
    weights: Sequence[Tensor],
) -> float:
    """Return the mean loss of a network whose outputs for objects need no fit."""
    loss = task.loss()
    batches = zip(images, targets, weights, strict=True)
    return float(np.mean([float(loss(net(i), t, w)) for i, t, w in batches]))


def _painted(
    maps: Sequence[Tensor], targets: Sequence[Tensor], weights: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the values (pixels, channels) and class indices of the painted pixels."""
    values, classes = [], []
    for some, target, weight in zip(maps, targets, weights, strict=True):
        painted = weight[:, 0] > 0
        values.append(some[painted].cpu())
        classes.append(target[:, 0][painted].long().cpu())
    all_values, all_classes = torch.cat(values), torch.cat(classes)
    if len(all_classes) > _MOST_PIXELS:
        chosen = torch.linspace(0, len(all_classes) - 1, _MOST_PIXELS).long()
        all_values, all_classes = all_values[chosen], all_classes[chosen]
    return all_values, all_classes
