"""Losses of tasks, with a weight for each pixel; 0 = ignored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_unet.core.tasks.base import Task

__all__ = ["activate", "bce_dice", "cross_entropy_dice", "instance_loss"]


def bce_dice(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor,
    class_weights: tuple[float, ...] | None = None,
) -> Tensor:
    """Compute binary cross-entropy plus soft Dice loss.

    Shape
    -----
    All (N, 1, ...); targets 0 or 1; weight 0 = ignored. Result: scalar.
    """
    pixel = weight
    if class_weights is not None:
        pixel = weight * torch.where(targets > 0.5, class_weights[1], class_weights[0])
    cost = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return _mean(cost, pixel) + _dice_loss(logits.sigmoid(), targets, weight)


def cross_entropy_dice(
    logits: Tensor,
    targets: Tensor,
    weight: Tensor,
    class_weights: tuple[float, ...] | None = None,
) -> Tensor:
    """Compute cross-entropy plus the mean soft Dice loss of the classes.

    Shape
    -----
    Logits (N, K, ...); targets (N, 1, ...) class indices; weight (N, 1, ...). Result: scalar.
    """
    index = targets[:, 0].long()
    pixel = weight
    if class_weights is not None:
        pixel = weight * weight.new_tensor(class_weights)[index][:, None]
    cost = functional.cross_entropy(logits, index, reduction="none")
    one_hot = functional.one_hot(index, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    return _mean(cost[:, None], pixel) + _dice_loss(logits.softmax(1), one_hot, weight)


def instance_loss(logits: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Sum the losses of foreground (BCE + Dice), relative distance (BCE), offsets (smooth L1).

    Shape
    -----
    Logits and targets (N, 2 + ndim, ...); weight (N, 3, ...), one per head. Result: scalar.
    """
    foreground = bce_dice(logits[:, :1], targets[:, :1], weight[:, :1])
    distance = functional.binary_cross_entropy_with_logits(
        logits[:, 1:2], targets[:, 1:2], reduction="none"
    )
    offset = functional.smooth_l1_loss(logits[:, 2:], targets[:, 2:], reduction="none", beta=0.1)
    return (
        foreground
        + _mean(distance, weight[:, 1:2])
        + _mean(offset.sum(dim=1, keepdim=True), weight[:, 2:3])
    )


def activate(task: Task, logits: Tensor) -> Tensor:
    """Convert logits (N, channels, ...) to outputs (same shape, float32), head by head."""
    logits = logits.float()
    outputs, start = [], 0
    for head in task.heads:
        part = logits[:, start : start + head.channels]
        start += head.channels
        if head.activation == "sigmoid":
            part = part.sigmoid()
        elif head.activation == "softmax":
            part = part.softmax(dim=1)
        outputs.append(part)
    return torch.cat(outputs, dim=1)


def _mean(cost: Tensor, weight: Tensor) -> Tensor:
    """Compute the weighted mean; 0 if all weights are 0."""
    return (cost * weight).sum() / weight.sum().clamp_min(1e-6)


def _dice_loss(probability: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Compute the mean of 1 - soft Dice over all channels that occur, image by image.

    It is computed by image, so that a patch with few or dim objects counts as much as a crowded
    one.

    Source: Milletari, Navab and Ahmadi, "V-Net", 3DV 2016.
    """
    axes = list(range(2, probability.ndim))
    overlap = (probability * target * weight).sum(dim=axes)
    total = ((probability + target) * weight).sum(dim=axes)
    occurs = (target * weight).sum(dim=axes) > 0
    dice = (2 * overlap + 1e-6) / (total + 1e-6)
    return ((1 - dice) * occurs).sum() / occurs.sum().clamp_min(1)
