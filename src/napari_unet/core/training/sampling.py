"""Sampling of training batches from planes.

The batch of a step depends only on the seed and the number of the step, so a resumed run continues
with the same batches.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.augmentation.patch import sample_patch
from napari_unet.core.images.normalization import IntensityRange, Normalization, apply_ranges
from napari_unet.core.images.pair import Plane
from napari_unet.core.tasks.base import Task
from napari_unet.core.training.settings import TrainingSettings

__all__ = ["Batch", "PatchSampler", "batch_of", "normalized", "prefetched"]

_MOST_POSITIONS = 100_000


@dataclass(frozen=True)
class Batch:
    """The patches of one step, float32.

    Parameters
    ----------
    images
        Normalised images, (N, C, Y, X).
    targets
        Targets from `Task.encode`, (N, T, Y, X).
    weight
        Weights, one per head, (N, H, Y, X); 0: ignored.
    """

    images: NDArray[np.float32]
    targets: NDArray[np.float32]
    weight: NDArray[np.float32]


def batch_of(patches: Iterable[tuple[NDArray[np.float32], ...]], size: int) -> Batch:
    """Stack patches one by one while they are created, so that each is still in the CPU cache.

    Parameters
    ----------
    patches
        Image, targets and weight of each patch, without N.
    size
        Number of patches.
    """
    whole: list[NDArray[np.float32]] = []
    for i, patch in enumerate(patches):
        whole = whole or [np.empty((size, *part.shape), part.dtype) for part in patch]
        for all_of_them, part in zip(whole, patch, strict=True):
            all_of_them[i] = part
    return Batch(*whole)


def normalized(planes: list[Plane], normalization: Normalization) -> list[Plane]:
    """Return planes with normalised images, each with the intensity range of its scope."""
    ranges: dict[int, list[IntensityRange]] = {}  # planes of one stack share their scope
    done = []
    for plane in planes:
        scope = plane.image if plane.scope is None else plane.scope
        if id(scope) not in ranges:
            ranges[id(scope)] = normalization.ranges(scope, plane.rgb, plane.name)
        image = apply_ranges(plane.image, ranges[id(scope)])
        done.append(replace(plane, image=image, scope=None))
    return done


class PatchSampler:
    """Random sampler of augmented, encoded patches.

    The probability of an image grows with the square root of its size. A fraction of the patches is
    centred near a labelled pixel; with sparse labels, all are.

    Parameters
    ----------
    planes
        Normalised planes, see `normalized`.
    task
        Task that encodes the labels of each patch.
    settings
        Settings of patch size, batch size, augmentation, foreground patches and seed.
    """

    def __init__(self, planes: list[Plane], task: Task, settings: TrainingSettings) -> None:
        self._planes = planes
        self._task = task
        self._settings = settings
        weights = np.sqrt([p.labels.size for p in planes])
        self._probability = weights / weights.sum()
        rng = np.random.default_rng([settings.seed, 0])
        self._labelled = [_positions(_labelled(p), rng) for p in planes]
        self._anywhere = [
            None if p.annotated is None else _positions(p.annotated, rng) for p in planes
        ]

    def batch(self, step: int) -> Batch:
        """Draw the batch of a step; the same step always returns the same batch."""
        rng = np.random.default_rng([self._settings.seed, 1, step])
        size = self._settings.batch_size
        return batch_of((self._patch(rng) for _ in range(size)), size)

    def _patch(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], ...]:
        index = int(rng.choice(len(self._planes), p=self._probability))
        plane = self._planes[index]
        size = (self._settings.patch_px,) * plane.labels.ndim
        image, labels, inside = sample_patch(
            plane.image,
            plane.labels,
            plane.annotated,
            self._centre(index, size, rng),
            size,
            self._settings.augmentation,
            rng,
        )
        return image, *self._task.encode(labels, inside)

    def _centre(
        self, index: int, size: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[int, ...]:
        shape = self._planes[index].labels.shape
        positions = self._anywhere[index]
        if len(self._labelled[index]) and (
            self._task.sparse or rng.random() < self._settings.foreground_patches
        ):
            positions = self._labelled[index]
        if positions is not None and len(positions):
            near = np.unravel_index(positions[rng.integers(len(positions))], shape)
            jitter = [int(rng.integers(-n // 4, n // 4 + 1)) for n in size]
            centre = [int(c) + j for c, j in zip(near, jitter, strict=True)]
        else:
            centre = [int(rng.integers(0, n)) for n in shape]
        # A patch that is not larger than the image is inside of it.
        return tuple(
            int(np.clip(c, min(n // 2, length // 2), max(length - (n - n // 2), length // 2)))
            for c, n, length in zip(centre, size, shape, strict=True)
        )


def prefetched(
    sampler: PatchSampler, first_step: int, ahead: int = 2
) -> Generator[Batch, None, None]:
    """Yield the batches of `first_step` and all later ones.

    Parameters
    ----------
    sampler
        Sampler that draws the batches.
    first_step
        Number of the first step.
    ahead
        Number of batches to prepare in a thread; 0: each is drawn on demand.
    """
    steps = count(first_step)
    if not ahead:
        yield from map(sampler.batch, steps)
    with ThreadPoolExecutor(1, thread_name_prefix="napari-unet-sampler") as pool:
        waiting: list[Future[Batch]] = []
        try:
            while True:
                while len(waiting) < ahead:
                    waiting.append(pool.submit(sampler.batch, next(steps)))
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _labelled(plane: Plane) -> NDArray[np.bool_]:
    """Return a mask of the labelled pixels in the annotated area."""
    labelled: NDArray[np.bool_] = plane.labels > 0
    return labelled if plane.annotated is None else labelled & plane.annotated


def _positions(mask: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Find the flat indices at which a mask is true; if there are many, a random subset."""
    found = np.flatnonzero(mask)
    if len(found) > _MOST_POSITIONS:
        found = rng.choice(found, _MOST_POSITIONS, replace=False)
    return found
