"""The training loop: a generator of events that can be stopped, and resumed exactly."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_unet.core.blocks import BlockNetwork
from napari_unet.core.config import TrainingSettings, UNetConfig
from napari_unet.core.datasets import Split
from napari_unet.core.device import Compute, choose_compute, translated_errors
from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.events import (
    CheckpointSaved,
    EpochDone,
    Event,
    Finished,
    FinishReason,
    Started,
    StepDone,
)
from napari_unet.core.images import Pair
from napari_unet.core.losses import loss_for
from napari_unet.core.model_file import Model, ModelInfo
from napari_unet.core.run_folder import RunFolder, RunSettings, SavedState
from napari_unet.core.sampling import Batch, PatchSampler, normalized, prefetched
from napari_unet.core.tasks import Instances, Semantic
from napari_unet.core.unet import UNet
from napari_unet.core.validation import Division, ValidationSet, divide, primary_score

__all__ = ["resume", "train"]

ShouldStop = Callable[[], bool]

_ADVICE = "Choose a smaller batch or patch size, or the device cpu."


def train(
    pairs: list[Pair],
    task: Semantic | Instances,
    run_folder: Path | str,
    settings: TrainingSettings | None = None,
    *,
    start: Model | None = None,
    split: Split | None = None,
    name: str = "model",
    sources: dict[str, Any] | None = None,
    should_stop: ShouldStop = lambda: False,
) -> Iterator[Event]:
    """Train a U-Net; iterate over the result to make it happen.

    Parameters
    ----------
    pairs
        Images with labels, all with the same number of channels.
    task
        What the labels mean.
    run_folder
        Where models, state and history are written; see `napari_unet.core.run_folder`.
    settings
        How to train.
    start
        Model to start from; its architecture and normalisation are taken over.
    split
        Indices of the pairs to train and to validate on; None: chosen by group.
    name
        Name of the model.
    sources
        Where the data came from; kept with the run.
    should_stop
        Asked after each step; when true, everything is saved and the run ends.

    Yields
    ------
    Event
        `Started` first, `Finished` last.

    Raises
    ------
    LabelsError, ImageError
        When the data cannot teach the task.
    SettingsError
        When the settings do not fit the data, or the loss is no longer finite.
    StorageError
        When the folder cannot be written.
    DeviceError
        When the device is missing or its memory full.
    """
    settings = settings or TrainingSettings()
    _check(pairs, task)
    info = _model_info(pairs, task, settings, start, name)
    compute = choose_compute(settings.device, settings.precision)
    settings = settings.model_copy(
        update={"precision": compute.precision, "normalization": info.normalization}
    )
    run_settings = RunSettings(
        training=settings,
        info=info,
        split_train=split.train if split else (),
        split_validation=split.validation if split else (),
        threads=torch.get_num_threads(),
        sources=sources or {},
    )
    folder = RunFolder(run_folder)
    folder.start(run_settings, pairs)
    loop = _Loop(pairs, run_settings, compute, folder)
    loop.initialize(start)
    yield from loop.run(should_stop)


def resume(
    run_folder: Path | str, pairs: list[Pair], *, should_stop: ShouldStop = lambda: False
) -> Iterator[Event]:
    """Go on with a stopped run.

    On a CPU with the same number of threads and a budget in steps or epochs, the weights become
    bit for bit those of a run that was never stopped.

    Parameters
    ----------
    run_folder
        Folder of the run.
    pairs
        The same data as before.
    should_stop
        As in `train`.

    Raises
    ------
    SettingsError
        When there is nothing to resume, or the data is not the same.
    """
    folder = RunFolder(run_folder)
    settings = folder.settings()
    state = folder.load_state()
    labels = folder.labels()
    if len(labels) != len(pairs) or not all(
        np.array_equal(a, p.labels) for a, p in zip(labels, pairs, strict=True)
    ):
        raise SettingsError(
            f"The labels differ from those that the run in {folder.path} was started with. "
            "Restore them, or start a new run from its last model."
        )
    compute = choose_compute(settings.training.device, settings.training.precision)
    loop = _Loop(pairs, settings, compute, folder)
    loop.restore(state)
    yield from loop.run(should_stop)


@dataclass
class _Position:
    """Where a run stands: plain values that are saved with the state."""

    step: int = 0
    epoch: int = 0
    seconds: float = 0.0
    epoch_loss: float = 0.0
    epoch_start: int = 0
    best_score: float = -math.inf
    best_scores: dict[str, float] = field(default_factory=dict)
    epochs_without_improvement: int = 0
    finished: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)


class _Loop:
    """One run of the training loop."""

    def __init__(
        self, pairs: list[Pair], run: RunSettings, compute: Compute, folder: RunFolder
    ) -> None:
        self._run = run
        self._settings = settings = run.training
        self._task = task = run.info.task
        self._compute = compute
        self._folder = folder
        split = Split(run.split_train, run.split_validation, "given") if run.split_train else None
        division = divide(pairs, run.info.unet, settings.validation_fraction, settings.seed, split)
        self._division = division
        self._sampler = PatchSampler(
            normalized(division.train, settings.normalization), task, settings
        )
        self._validation = ValidationSet(
            normalized(division.validation, settings.normalization), task
        )
        self._epoch_steps = settings.epoch_steps or _default_epoch_steps(division, settings)
        self._position = _Position()
        self._validation_s = 0.0
        self._loss = loss_for(task)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            net = UNet(run.info.unet)
        self._net = compute.place_network(net)
        self._average = torch.optim.swa_utils.AveragedModel(
            self._net,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(settings.average_decay),
            use_buffers=True,
        )
        self._optimizer = _optimizer(self._net, settings)
        self._scaler = torch.amp.GradScaler(
            compute.device.type, enabled=compute.precision == "float16"
        )

    # -- state ---------------------------------------------------------------------------------

    def initialize(self, start: Model | None) -> None:
        """Take over the weights of a model where they fit."""
        if start is not None:
            own = self._net.state_dict()
            fitting = {k: w for k, w in start.weights.items() if own[k].shape == w.shape}
            self._net.load_state_dict(own | fitting)

    def restore(self, state: SavedState) -> None:
        """Go back to where a run was saved."""
        parts: dict[str, dict[str, Tensor]] = {"net": {}, "average": {}, "optimizer": {}}
        for key, tensor in state.tensors.items():
            part, _, name = key.partition("/")
            parts[part][name] = tensor
        self._net.load_state_dict(parts["net"])
        self._average.load_state_dict(parts["average"])
        self._restore_optimizer(parts["optimizer"])
        self._scaler.load_state_dict(state.values["scaler"])
        self._position = _Position(**state.values["position"])

    def _restore_optimizer(self, tensors: dict[str, Tensor]) -> None:
        saved: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            index, _, key = name.partition("/")
            saved.setdefault(int(index), {})[key] = tensor
        current = self._optimizer.state_dict()
        self._optimizer.load_state_dict(current | {"state": saved})

    def _state(self) -> SavedState:
        tensors = {f"net/{k}": t for k, t in self._net.state_dict().items()}
        tensors |= {f"average/{k}": t for k, t in self._average.state_dict().items()}
        for index, values in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{k}": t for k, t in values.items()}
        values = {"position": vars(self._position), "scaler": self._scaler.state_dict()}
        return SavedState(tensors, values)

    def _model(self) -> Model:
        """The averaged model as it is now."""
        source = self._average.module if self._settings.average_decay else self._net
        weights = {k: w.detach().cpu().clone() for k, w in source.state_dict().items()}
        latest = self._position.history[-1] if self._position.history else {}
        scores = {k: v for k, v in latest.items() if k not in _HISTORY_COLUMNS}
        info = self._run.info.model_copy(
            update={
                "trained_on": self._division.trained_on,
                "scores": scores,
                "provenance": self._provenance(),
            }
        )
        return Model(info, weights)

    def _provenance(self) -> dict[str, Any]:
        import napari_unet

        return self._run.info.provenance | {
            "version": napari_unet.__version__,
            "torch": torch.__version__,
            "date": datetime.now(UTC).date().isoformat(),
            "steps": self._position.step,
            "seconds": round(self._position.seconds, 1),
            "validation": self._division.kind,
            "counts": self._division.counts,
            "settings": self._settings.model_dump(mode="json"),
        }

    # -- the loop ------------------------------------------------------------------------------

    def run(self, should_stop: ShouldStop) -> Iterator[Event]:
        """Train until the budget is spent, nothing improves any more, or the caller stops it."""
        yield self._started()
        self._clock = time.monotonic() - self._position.seconds
        reason = FinishReason(self._position.finished) if self._position.finished else None
        batches = prefetched(self._sampler, self._position.step)
        while reason is None:
            if self._progress() >= 1:
                reason = FinishReason.COMPLETED
            elif should_stop():
                reason = FinishReason.STOPPED
            else:
                yield self._step(next(batches))
                if self._position.step % self._epoch_steps == 0:
                    yield from self._end_epoch()
                    reason = self._improvement_reason()
        batches.close()
        yield from self._finish(reason)

    def _started(self) -> Started:
        total = self._total_steps()
        budget = self._settings.budget
        where = f"{self._compute.device} in {self._compute.precision}"
        return Started(
            summary=f"{self._division.describe()}; {budget} on {where}",
            counts=self._division.counts,
            step=self._position.step,
            total_steps=total,
            device=str(self._compute.device),
            precision=self._compute.precision,
        )

    def _step(self, batch: Batch) -> StepDone:
        rate = self._settings.learning_rate * _schedule(self._progress(), self._settings.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with translated_errors(self._compute, _ADVICE):
            loss = self._optimize(batch)
        position = self._position
        position.step += 1
        position.seconds = time.monotonic() - self._clock
        position.epoch_loss += loss
        progress = self._progress()
        left = position.seconds * (1 - progress) / progress if progress else math.inf
        return StepDone(position.step, loss, rate, min(1.0, progress), left)

    def _optimize(self, batch: Batch) -> float:
        images, targets, weight = (
            self._compute.place(torch.from_numpy(a))
            for a in (batch.images, batch.targets, batch.weight)
        )
        self._net.train()
        with torch.random.fork_rng(devices=[], enabled=self._settings.dropout > 0):
            if self._settings.dropout:
                torch.manual_seed(hash((self._settings.seed, self._position.step)) % 2**63)
            with self._compute.autocast():
                logits = self._net(images)
        loss = self._loss(logits.float(), targets, weight)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise SettingsError(
                f"The loss is {value} at step {self._position.step}: training diverged. Choose a "
                f"lower learning rate than {self._settings.learning_rate:g}, or float32."
            )
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        if self._settings.gradient_clip:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._net.parameters(), self._settings.gradient_clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self._settings.average_decay:
            self._average.update_parameters(self._net)
        return value

    def _end_epoch(self) -> Iterator[Event]:
        start = time.monotonic()
        position = self._position
        position.epoch += 1
        steps = position.step - position.epoch_start
        train_loss = position.epoch_loss / max(1, steps)
        position.epoch_loss, position.epoch_start = 0.0, position.step
        loss, scores = self._validate()
        row = {"epoch": position.epoch, "step": position.step, "train_loss": train_loss}
        row |= {"validation_loss": loss} if loss is not None else {}
        position.history.append(row | scores)
        improved = self._note_improvement(scores)
        model = self._model()
        if improved:
            self._folder.save_best(model)
        self._save(model)
        self._validation_s = time.monotonic() - start
        position.seconds = time.monotonic() - self._clock
        yield EpochDone(position.epoch, position.step, train_loss, loss, scores, improved)
        yield CheckpointSaved(position.step, str(self._folder.path))

    def _validate(self) -> tuple[float | None, dict[str, float]]:
        if not self._division.validation:
            return None, {}
        network = BlockNetwork(self._model(), self._compute)
        loss, scores = self._validation.score(network)
        return loss, {k: v for k, v in scores.items() if math.isfinite(v)}

    def _note_improvement(self, scores: dict[str, float]) -> bool:
        if not self._division.validation:
            return False
        score = scores.get(primary_score(self._task), 0.0)
        position = self._position
        if score <= position.best_score:
            position.epochs_without_improvement += 1
            return False
        position.best_score, position.best_scores = score, scores
        position.epochs_without_improvement = 0
        return True

    def _improvement_reason(self) -> FinishReason | None:
        patience = self._settings.patience
        if patience and self._position.epochs_without_improvement >= patience:
            return FinishReason.NO_IMPROVEMENT
        return None

    def _finish(self, reason: FinishReason) -> Iterator[Event]:
        position = self._position
        if not position.finished:
            if reason is not FinishReason.STOPPED:
                if position.step > position.epoch_start:
                    yield from self._end_epoch()
                position.finished = reason.value
            self._save(self._model())
            yield CheckpointSaved(position.step, str(self._folder.path))
        validated = bool(position.best_scores)
        yield Finished(
            reason=reason,
            step=position.step,
            last_model=str(self._folder.last_model),
            best_model=str(self._folder.best_model) if validated else None,
            best_scores=position.best_scores,
            seconds=position.seconds,
        )

    def _save(self, model: Model) -> None:
        """Write the checkpoint. The state comes last: whatever it describes is on disk then."""
        self._folder.save_last(model)
        self._folder.write_history(self._position.history)
        self._folder.save_state(self._state())

    # -- the budget ----------------------------------------------------------------------------

    def _total_steps(self) -> int | None:
        budget = self._settings.budget
        if budget.epochs is not None:
            return budget.epochs * self._epoch_steps
        return budget.steps

    def _progress(self) -> float:
        """Share of the budget that is spent; the last validation is part of it."""
        total = self._total_steps()
        if total is not None:
            return self._position.step / total
        minutes = self._settings.budget.minutes or math.inf
        return (self._position.seconds + self._validation_s) / (60 * minutes)


_HISTORY_COLUMNS = ("epoch", "step", "train_loss", "validation_loss")


def _schedule(progress: float, warmup: float) -> float:
    """Share of the learning rate: a linear rise, then a cosine to zero.

    Source: Loshchilov and Hutter, "SGDR", ICLR 2017.
    """
    if progress < warmup:
        return max(progress / warmup, 0.01)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def _optimizer(net: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.optimizer]
    optimizer: torch.optim.Optimizer = kind(
        net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    return optimizer


def _default_epoch_steps(division: Division, settings: TrainingSettings) -> int:
    pixels = sum(p.labels.size for p in division.train)
    patch = settings.patch_px ** division.train[0].labels.ndim
    return int(np.clip(round(pixels / (patch * settings.batch_size)), 20, 200))


def _check(pairs: list[Pair], task: Semantic | Instances) -> None:
    if not pairs:
        raise LabelsError("There is nothing to train on: no image with labels was given.")
    channels = {p.image.channels for p in pairs}
    if len(channels) > 1:
        examples = {p.image.channels: p.name for p in pairs}
        listed = ", ".join(f"{c} in '{n}'" for c, n in sorted(examples.items()))
        raise SettingsError(
            f"The images differ in their number of channels: {listed}. Expected the same in all: "
            "choose the channels to use."
        )
    task.check(pairs)


def _model_info(
    pairs: list[Pair],
    task: Semantic | Instances,
    settings: TrainingSettings,
    start: Model | None,
    name: str,
) -> ModelInfo:
    first = pairs[0].image
    outputs = sum(head.channels for head in task.heads)
    unet = UNetConfig(
        in_channels=first.channels,
        out_channels=outputs,
        depth=settings.depth,
        base_channels=settings.base_channels,
        dropout=settings.dropout,
        upsampling=settings.upsampling,
    )
    normalization = settings.normalization
    provenance: dict[str, Any] = {}
    if start is not None:
        start.info.check_image(first)
        unet = start.info.unet.model_copy(update={"out_channels": outputs})
        normalization = start.info.normalization
        provenance = {"started_from": start.info.name}
    sizes = {p.image.pixel_size for p in pairs}
    size = sizes.pop() if len(sizes) == 1 else None
    return ModelInfo(
        unet=unet,
        task=task,
        normalization=normalization,
        name=name,
        channel_names=first.channel_names,
        rgb=first.rgb,
        pixel_size_um=size.yx if size and size.unit in ("µm", "um", "micron") else None,
        object_diameter_px=_median_diameter_px(pairs) if isinstance(task, Instances) else None,
        provenance=provenance,
    )


def _median_diameter_px(pairs: list[Pair]) -> float:
    """Median diameter of circles of the objects' areas, over all planes."""
    areas = np.concatenate(
        [
            np.unique(p.labels[p.labels > 0], return_counts=True)[1]
            for pair in pairs
            for p in pair.planes()
        ]
    )
    return float(np.round(np.median(2 * np.sqrt(areas / np.pi)), 1))
