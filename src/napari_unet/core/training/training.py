"""Training of a model: a generator of events that can be stopped, and resumed exactly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_unet.core.datasets.splits import Split
from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model import Model
from napari_unet.core.system.device import choose_compute
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.checks import check_data
from napari_unet.core.training.events import Event
from napari_unet.core.training.model_header import model_info
from napari_unet.core.training.run_folder import RunFolder, RunSettings
from napari_unet.core.training.settings import TrainingSettings
from napari_unet.core.training.training_loop import Loop, OnPreview, Preview, ShouldStop

__all__ = ["resume", "train"]


def train(
    pairs: list[Pair],
    task: Task,
    run_folder: Path | str,
    settings: TrainingSettings | None = None,
    *,
    start: Model | None = None,
    split: Split | None = None,
    name: str = "model",
    sources: dict[str, Any] | None = None,
    should_stop: ShouldStop = lambda: False,
    on_preview: OnPreview | None = None,
    preview_s: float = 10,
) -> Iterator[Event]:
    """Train a U-Net; training runs while you iterate over the events.

    Parameters
    ----------
    pairs
        Images with labels, all with the same number of channels.
    task
        Meaning of the labels.
    run_folder
        Folder for models, state and history; see `napari_unet.core.training.run_folder`.
    settings
        Settings of training; None: the default ones.
    start
        Model to start from; its architecture and normalisation are used.
    split
        Indices of the pairs for training and for validation; None: chosen by group.
    name
        Name of the model.
    sources
        Sources of the data, saved with the run.
    should_stop
        Function called before each step; if it returns True, everything is saved and the run ends.
    on_preview
        Function called with the current averaged model and the number of steps done, at most every
        `preview_s` seconds and after each epoch. It does not affect the result of training; an
        exception that it raises ends the run.
    preview_s
        Shortest time between two previews within an epoch, in seconds.

    Yields
    ------
    Event
        `Started` first, `Finished` last.

    Raises
    ------
    LabelsError, ImageError
        If the task cannot be trained on the data.
    SettingsError
        If the settings do not fit the data, or the loss is no longer finite.
    StorageError
        If the folder cannot be written.
    DeviceError
        If the device is missing or its memory is full.

    Examples
    --------
    >>> from napari_unet import (
    ...     Budget,
    ...     Instances,
    ...     TrainingSettings,
    ...     pairs_from_arrays,
    ...     synthetic_nuclei,
    ...     train,
    ... )
    >>> arrays = [synthetic_nuclei((64, 64), 6, seed=seed) for seed in range(3)]
    >>> pairs = pairs_from_arrays([a for a, _ in arrays], [b for _, b in arrays])
    >>> settings = TrainingSettings(
    ...     budget=Budget(steps=2), depth=1, base_channels=2, patch_px=32, device="cpu"
    ... )
    >>> for event in train(pairs, Instances(), "run", settings):
    ...     print(type(event).__name__)
    Started
    StepDone
    StepDone
    EpochDone
    CheckpointSaved
    CheckpointSaved
    Finished
    """
    settings = settings or TrainingSettings()
    folder = RunFolder(run_folder)
    folder.check_free()
    check_data(pairs, task, split)
    info = model_info(pairs, task, settings, start, name)
    compute = choose_compute(settings.device, settings.precision)
    settings = settings.model_copy(
        update={"precision": compute.precision, "normalization": info.normalization}
    )
    run_settings = RunSettings(
        training=settings,
        info=info,
        split=split,
        threads=torch.get_num_threads(),
        sources=sources or {},
    )
    loop = Loop(pairs, run_settings, compute, folder)
    if start is not None:
        loop.start_from(start)
    folder.start(run_settings, pairs)
    yield from loop.run(should_stop, Preview(on_preview, preview_s))


def resume(
    run_folder: Path | str,
    pairs: list[Pair],
    *,
    should_stop: ShouldStop = lambda: False,
    on_preview: OnPreview | None = None,
    preview_s: float = 10,
) -> Iterator[Event]:
    """Resume a stopped run.

    On a CPU, with the same number of threads and a budget in steps or epochs, the final weights are
    bit-identical to those of an uninterrupted run.

    Parameters
    ----------
    run_folder
        Folder of the run.
    pairs
        The same images and labels as before.
    should_stop, on_preview, preview_s
        As for `train`.

    Yields
    ------
    Event
        `Started` first, `Finished` last.

    Raises
    ------
    SettingsError
        If there is nothing to resume, or the data differ.
    ModelFileError
        If the saved state is damaged.

    Examples
    --------
    >>> from napari_unet import (
    ...     Budget,
    ...     Instances,
    ...     TrainingSettings,
    ...     pairs_from_arrays,
    ...     resume,
    ...     synthetic_nuclei,
    ...     train,
    ... )
    >>> arrays = [synthetic_nuclei((64, 64), 6, seed=seed) for seed in range(3)]
    >>> pairs = pairs_from_arrays([a for a, _ in arrays], [b for _, b in arrays])
    >>> settings = TrainingSettings(
    ...     budget=Budget(steps=2), depth=1, base_channels=2, patch_px=32, device="cpu"
    ... )
    >>> asked = iter([False, True])  # stop before the second step
    >>> for event in train(pairs, Instances(), "run", settings, should_stop=lambda: next(asked)):
    ...     pass
    >>> event.reason, event.step
    (<FinishReason.STOPPED: 'stopped'>, 1)
    >>> *_, finished = resume("run", pairs)
    >>> finished.reason, finished.step
    (<FinishReason.COMPLETED: 'completed'>, 2)
    """
    folder = RunFolder(run_folder)
    settings = folder.settings()
    state = folder.load_state()
    _check_same_labels(folder, pairs)
    compute = choose_compute(settings.training.device, settings.training.precision)
    loop = Loop(pairs, settings, compute, folder)
    try:
        loop.restore(state)
    except (KeyError, RuntimeError, TypeError, ValueError):
        raise ModelFileError(
            f"The state in {folder.path} does not belong to the settings in the same folder. Start "
            "a new run, for example from the last model of this one."
        ) from None
    loop.check_same_images()
    yield from loop.run(should_stop, Preview(on_preview, preview_s))


def _check_same_labels(folder: RunFolder, pairs: list[Pair]) -> None:
    snapshot = folder.snapshot()
    differ = None
    if [labels.shape for labels, _ in snapshot] != [p.labels.shape for p in pairs]:
        differ = "labels"
    for (labels, area), pair in zip(snapshot, pairs, strict=False):
        if not np.array_equal(labels, pair.labels):
            differ = "labels"
        elif not _same_area(area, pair.annotated):
            differ = differ or "annotated areas"
    if differ:
        raise SettingsError(
            f"The {differ} differ from those that the run in {folder.path} was started with. "
            "Restore them, or start a new run from the last model of this one."
        )


def _same_area(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))
