"""The learner: network, weight average and optimizer, with a state that can be saved exactly."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from napari_unet.core.errors import SettingsError
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet import UNet
from napari_unet.core.system.device import Compute, translated_errors
from napari_unet.core.training.sampling import Batch
from napari_unet.core.training.settings import TrainingSettings
from napari_unet.core.training.start_model import (
    CLEARLY,
    HEAD,
    for_inverted_images,
    same_outputs,
    transferred,
)
from napari_unet.core.training.style_noise import style_noise

__all__ = ["Learner"]

_QUICK_COUNT = 80
"""Largest step count of an average that follows quickly: the next step has a weight of a tenth."""

_ADVICE = "Choose a smaller batch or patch size, or the device 'cpu'."


class Learner:
    """A network in training.

    Parameters
    ----------
    info
        Header with architecture and task.
    settings
        Settings of the optimizer, gradient clipping, weight average and seed.
    compute
        Device and precision.
    anchor_strength
        Fraction of the way back to the weights of `anchor_to` after each step.
    noise
        Strength of `style_noise` while the network is anchored.
    """

    def __init__(
        self,
        info: ModelInfo,
        settings: TrainingSettings,
        compute: Compute,
        anchor_strength: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        self._settings = settings
        self._anchor_strength, self._noise = anchor_strength, noise
        self._held: dict[str, Tensor] = {}
        self._anchored: list[Tensor] = []
        self._compute = compute
        self._dropout = info.unet.dropout > 0
        self._loss = info.task.loss()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            net = UNet(info.unet)
        with translated_errors(compute, _ADVICE):
            self._net = compute.place_network(net)
            self._parameters = list(self._net.parameters())
            self._average = self._start_average()
        self._optimizer = _optimizer(self._net, settings)
        self._scaler = torch.amp.GradScaler(
            compute.device.type, enabled=compute.precision == "float16"
        )

    def start_from(self, start: Model, info: ModelInfo, batch: Batch) -> None:
        """Load the weights of a trained network that fit; see `transferred`.

        If the objects are bright but the network was trained on dark ones, or vice versa, its first
        layer is changed to invert the images, because relearning this would take long.

        Parameters
        ----------
        start
            The trained network.
        info
            Header of the new network.
        batch
            A batch of the new training; its loss decides whether images are inverted.
        """
        own = self._net.state_dict()
        weights = transferred(start.weights, start.info, own, info)
        if same_outputs(start.info, info):
            inverted = for_inverted_images(weights)
            if self._loss_with(inverted, batch) < CLEARLY * self._loss_with(weights, batch):
                weights = inverted
        self.take(weights)

    def take(self, weights: dict[str, Tensor]) -> None:
        """Load weights, and restart the average from them."""
        self._net.load_state_dict(weights)
        self._average = self._start_average()

    def anchor_to(self, weights: Mapping[str, Tensor]) -> None:
        """Keep the network near given weights, so that few labels do not undo earlier training.

        After each step, every parameter except those of the last layer is moved back by the
        fraction `anchor_strength` of its distance. The statistics of the batch normalisation stay
        fixed, and its outputs get `style_noise`.

        Parameters
        ----------
        weights
            Weights by name; empty: the network is no longer anchored.

        Notes
        -----
        Source: Li, Grandvalet and Davoine, "Explicit inductive bias for transfer learning with
        convolutional networks", ICML 2018, with the penalty decoupled from the gradient as in
        AdamW.
        """
        own = dict(self._net.named_parameters())
        names = [name for name in own if name in weights and not name.startswith(HEAD)]
        names = names if self._anchor_strength else []
        self._anchored = [own[name].detach() for name in names]
        # In the memory layout of the parameters: other layouts take several times as long.
        held = (torch.empty_like(own[name]).detach().copy_(weights[name]) for name in names)
        self._held = dict(zip(names, held, strict=True))

    @property
    def held(self) -> Mapping[str, Tensor]:
        """Weights that the network is anchored to."""
        return self._held

    @torch.no_grad()
    def _loss_with(self, weights: dict[str, Tensor], batch: Batch) -> float:
        self._net.load_state_dict(weights)
        with translated_errors(self._compute, _ADVICE):
            return float(self._forward(batch, 0))

    def learn(self, batch: Batch, step: int, rate: float) -> float:
        """Perform one optimizer step and return the loss.

        Parameters
        ----------
        batch
            Patches, targets and weights.
        step
            Number of the step; seeds dropout and noise.
        rate
            Learning rate.

        Raises
        ------
        SettingsError
            If the loss is no longer finite.
        DeviceError
            If the device fails.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with translated_errors(self._compute, _ADVICE):
            loss = self._forward(batch, step)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise SettingsError(
                    f"The loss is {value} at step {step}: training diverged. Choose a lower "
                    f"learning rate than {self._settings.learning_rate:g}, or float32."
                )
            self._backward(loss)
        return value

    def follow_quickly(self) -> None:
        """Make the average follow the network closely for some steps, after labels changed."""
        self._average.n_averaged.clamp_(max=_QUICK_COUNT)

    def weights(self) -> dict[str, Tensor]:
        """Copy the weights to validate and save: the average, unless it is switched off."""
        source = self._average.module if self._settings.average_decay else self._net
        return {k: w.detach().cpu().clone() for k, w in source.state_dict().items()}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything needed to resume exactly: tensors by name, and plain values."""
        tensors = {f"net/{k}": t for k, t in self._net.state_dict().items()}
        tensors |= {f"average/{k}": t for k, t in self._average.state_dict().items()}
        tensors |= {f"held/{k}": t for k, t in self._held.items()}
        for index, values in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": t for k, t in values.items()}
        return tensors, self._scaler.state_dict()

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for key, tensor in tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = tensor
        self._net.load_state_dict(parts["net"])
        self._average.load_state_dict(parts["average"])
        self.anchor_to(parts["held"])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts["optimizer"].items():
            index, _, name = key.partition("/")
            moments.setdefault(int(index), {})[name] = tensor
        self._optimizer.load_state_dict(self._optimizer.state_dict() | {"state": moments})
        self._scaler.load_state_dict(values)

    def _start_average(self) -> AveragedModel:
        """Restart the average, and pair its tensors with the network's once for all steps."""
        average = AveragedModel(self._net, use_buffers=True)
        averaged = [*average.module.parameters(), *average.module.buffers()]
        learned = [*self._net.parameters(), *self._net.buffers()]
        self._averaged: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
        for ours, theirs in zip(averaged, learned, strict=True):
            of_type = self._averaged.setdefault(ours.dtype, ([], []))
            of_type[0].append(ours.detach())
            of_type[1].append(theirs.detach())
        return average

    def _move_average(self) -> None:
        """Move the average towards the network, quickly at first.

        With the full decay from the start, the weights of the first step would still count for more
        than half after seventy steps, which would spoil short trainings.
        """
        count = int(self._average.n_averaged)
        decay = min(self._settings.average_decay, (1 + count) / (10 + count)) if count else 0.0
        move = get_ema_multi_avg_fn(decay)
        for averaged, learned in self._averaged.values():
            move(averaged, learned, count)
        self._average.n_averaged += 1

    def _forward(self, batch: Batch, step: int) -> Tensor:
        images = self._compute.place(torch.from_numpy(batch.images))
        targets, weight = (
            self._compute.move(torch.from_numpy(a)) for a in (batch.targets, batch.weight)
        )
        self._net.train()
        if self._held:
            for module in self._net.modules():
                if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                    module.eval()
        noise = self._noise if self._held else 0.0
        random = self._dropout or noise > 0
        with (
            torch.random.fork_rng(devices=[], enabled=random),
            style_noise(self._net, noise),
            self._compute.autocast(),
        ):
            if random:
                torch.manual_seed(hash((self._settings.seed, step)) % 2**63)
            logits = self._net(images)
        # Losses use channels separately, which is faster if each is contiguous in memory.
        return self._loss(logits.float().contiguous(), targets, weight)

    def _backward(self, loss: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        if self._settings.gradient_clip:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._parameters, self._settings.gradient_clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._draw_back()
        if self._settings.average_decay:
            self._move_average()

    @torch.no_grad()
    def _draw_back(self) -> None:
        if self._held:
            draw_back = get_ema_multi_avg_fn(1 - self._anchor_strength)
            draw_back(self._anchored, list(self._held.values()), 0)


def _optimizer(net: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    optimizer: torch.optim.Optimizer = kind(
        net.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        foreach=True,  # faster on CPUs as well, where `fused` does not resume exactly
    )
    return optimizer
