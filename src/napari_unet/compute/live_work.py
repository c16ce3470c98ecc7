"""A live training in the worker: it learns, listens, and shows what is in view."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.compute.free_cores import FreeCores
from napari_unet.compute.requests import LiveRequest
from napari_unet.core.errors import ImageError, UNetError
from napari_unet.core.live import commands as told
from napari_unet.core.live.commands import LiveImage
from napari_unet.core.live.events import (
    LiveFinished,
    LivePreview,
    LiveState,
    LiveSuggestion,
    LiveTrouble,
)
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.system.allocator import keeping_freed_memory, return_freed_memory

if TYPE_CHECKING:
    from napari_unet.compute.job_context import JobContext
    from napari_unet.core.images.normalization import IntensityRange
    from napari_unet.core.live.trainer import LiveTraining

__all__ = ["train_live"]

Region = tuple[int, int, int, int]

_STATE_S = 0.5
_SAVE_S = 30.0
_IDLE_S = 0.03
_LEAST_PREVIEW_S = 0.3
_PREVIEW_SHARE = 0.25
"""Previews may cost this share of the time, beside the least distance between two."""
_TILE_PX = 256
_LARGEST_PLANE_PX = 4096**2
"""Of larger planes only what is in view is previewed."""
_LARGEST_DECODED_PX = 1024**2
"""The same where objects are previewed."""


def train_live(request: LiveRequest, context: JobContext) -> LiveFinished:
    """Train until somebody says stop; see `LiveRequest`."""
    with keeping_freed_memory(), FreeCores() as cores:
        return _Live(request, context).run(cores)


class _Live:
    def __init__(self, request: LiveRequest, context: JobContext) -> None:
        from napari_unet.core.live.session import LiveSession
        from napari_unet.core.live.settings import LiveSettings
        from napari_unet.core.live.trainer import LiveTraining
        from napari_unet.core.models.model_file import load_model

        self._context = context
        self._session = session = LiveSession(request.folder)
        resumed = request.resume and session.began
        start = session.model if resumed else request.start
        model = None if start is None else load_model(start)
        settings = request.settings or LiveSettings(device=request.device)
        saved = session.task() if resumed else request.task
        task = request.task if saved.shares_outputs(request.task) else saved
        self._training: LiveTraining = LiveTraining(task, model, settings, request.name)
        if resumed:  # before the images are put: those of another kind are refused
            session.restore(self._training)
            self._training.set_task(request.task)
        # It goes on after this process's predecessor died, or it is resumed.
        known = session.labels() if session.exists else {}
        self._gone: dict[str, NDArray[np.integer[Any]]] = {}
        self._ranges: dict[str, list[IntensityRange]] = {}
        self._unranged: dict[str, str] = {}
        self._put_all(request.images, known if resumed else {})
        self._gone |= {k: v for k, v in known.items() if v.any() and k not in request.images}
        self._applied = 0
        self._asked = ""
        self._view: told.ShowView | None = None
        self._loss = math.nan
        self._told_s = self._saved_s = time.monotonic()
        self._next_preview_s = 0.0
        self._previewed: dict[Region, tuple[int, int]] = {}
        self._parts: Iterator[Region] = iter(())

    def _put_all(
        self, images: Mapping[str, LiveImage], known: Mapping[str, NDArray[np.integer[Any]]]
    ) -> None:
        """Begin with what can be learned from; the rest is said."""
        for name, image in images.items():
            try:
                self._put(name, image, known.get(name))
            except UNetError as error:
                if len(images) == 1:
                    raise
                self._context.emit(LiveTrouble(str(error)))

    def run(self, cores: FreeCores) -> LiveFinished:
        try:
            self._learn(cores)
        except Exception:
            with suppress(Exception):  # the first error is told
                self._listen(judged=False)
            with suppress(Exception):
                self._save()
            raise
        training = self._training
        self._tell_state()
        model = self._session.model if training.began else None
        return LiveFinished(model, training.steps, training.score)

    def _learn(self, cores: FreeCores) -> None:
        training = self._training
        self._save()
        while not self._context.should_stop():
            cores.adapt()
            changed = self._listen()
            if training.ready:
                self._loss = training.step()
            elif not changed:
                time.sleep(_IDLE_S)
            self._suggest()
            self._show_view()
            now = time.monotonic()
            if now - self._told_s >= _STATE_S:
                self._tell_state()
            if now - self._saved_s >= _SAVE_S:
                self._save()
        self._listen()  # what was painted just before the end is kept, too
        if training.ready and not training.began:  # the last thing told was a new class
            self._loss = training.step()
        self._session.save(training, self._gone)

    def _listen(self, *, judged: bool = True) -> bool:
        messages = self._context.messages()
        for message in messages:
            try:
                self._apply(message, judged=judged)
            except UNetError as error:  # the training goes on without
                self._context.emit(LiveTrouble(str(error)))
            self._applied = self._applied + 1 if message.number is None else message.number
        return bool(messages)

    def _save(self) -> None:
        """Save now and then; where that fails it is said, and tried again later."""
        try:
            self._session.save(self._training, self._gone)
        except UNetError as error:
            self._context.emit(LiveTrouble(str(error)))
        return_freed_memory()  # what is written is copied first
        self._saved_s = time.monotonic()

    def _apply(self, message: told.Command, *, judged: bool = True) -> None:
        training = self._training
        refused = getattr(message, "name", "") not in training.labels()
        if refused and isinstance(message, told.Paint | told.RemoveImage):
            if isinstance(message, told.Paint) and message.name in self._gone:
                self._paint_gone(message)
            return
        if isinstance(message, told.Paint):
            training.edit(
                message.name,
                message.origin,
                np.asarray(message.block),
                judged=judged and message.judged,
                continues=message.continues,
            )
        elif isinstance(message, told.PutImage):
            self._put(message.name, message.image)
        elif isinstance(message, told.RemoveImage):
            labels = training.labels()[message.name]
            if labels.any():
                self._gone[message.name] = labels
            training.remove(message.name)
        elif isinstance(message, told.ChangeClasses):
            training.set_task(message.task)
        elif isinstance(message, told.Suggest):
            self._asked = message.name
        elif isinstance(message, told.ShowView):
            self._view = message
            self._parts = self._parts_of(message)
            self._previewed.clear()
            self._next_preview_s = 0.0

    def _paint_gone(self, message: told.Paint) -> None:
        """Keep what is painted on an image that is not learned from."""
        labels = self._gone[message.name]
        canvas = Canvas(np.empty((0, *labels.shape), np.float32), labels)
        canvas.edit(message.origin, np.asarray(message.block))
        self._gone[message.name] = canvas.labels

    def _put(
        self, name: str, image: LiveImage, known: NDArray[np.integer[Any]] | None = None
    ) -> None:
        pixels, labels = np.asarray(image.pixels), np.asarray(image.labels)
        self._gone[name] = labels  # kept also where nothing can be learned from them
        scope_name = image.scope_name
        if image.scope is not None:
            self._unranged.pop(scope_name, None)
            scope = np.asarray(image.scope)
            try:
                self._ranges[scope_name] = self._training.ranges(scope, image.rgb, name)
            except UNetError as error:
                self._unranged[scope_name] = str(error)
                raise
        if scope_name in self._unranged:  # not by its own values alone, as no plane of a stack is
            raise ImageError(
                f"'{name}' is not learned from, as its stack is not: {self._unranged[scope_name]}"
            )
        self._training.put(name, pixels, labels, image.rgb, self._ranges.get(scope_name), known)
        del self._gone[name]

    def _suggest(self) -> None:
        """Answer where to paint next; with a network that has to be made first, after that."""
        training, name = self._training, self._asked
        if not name or not training.began:
            return
        self._asked = ""
        region, reason = None, f"'{name}' is not learned from: nothing to suggest there."
        if name in training.labels():
            region = training.least_certain(name)
            reason = "Something is painted everywhere already: nothing to suggest."
        if region is None:
            self._context.emit(LiveSuggestion(name, None, None, reason))
        else:
            self._context.emit(LiveSuggestion(name, *training.proposal(name, region)))

    def _parts_of(self, view: told.ShowView) -> Iterator[Region]:
        """Give the part in view, and after it each time a tile of the rest of the plane.

        Objects are not put together from tiles: the plane at once, or the view of a large one.
        """
        labels = self._training.labels().get(view.name)
        tiles: list[Region] = []
        if self._training.meaning.task.labels_are_objects:
            if labels is None or labels.size > _LARGEST_DECODED_PX:
                return itertools.repeat(view.region)
            return itertools.repeat((0, 0, labels.shape[0], labels.shape[1]))
        if labels is not None and labels.size <= _LARGEST_PLANE_PX:
            tiles = [r for r in _tiles(labels.shape) if not _within(r, view.region)]
        if not tiles:
            return itertools.repeat(view.region)
        return itertools.chain.from_iterable((view.region, tile) for tile in itertools.cycle(tiles))

    def _show_view(self) -> None:
        """Preview the next part, if it is time and there is something new to show."""
        view, training = self._view, self._training
        start = time.monotonic()
        if view is None or not view.name or not training.began or start < self._next_preview_s:
            return
        if self._context.preview_waits:  # a slow client gets the latest, not a queue
            return
        if view.name not in training.labels():  # it was removed a moment ago
            return
        state = training.steps, self._applied
        part = next(self._parts)
        if self._previewed.get(part) == state:
            return
        self._previewed[part] = state
        y, x, height, width = part
        outputs = training.outputs(view.name, (slice(y, y + height), slice(x, x + width)))
        meaning = training.meaning
        probability = _in_bytes(meaning.probability(outputs)) if view.probability else None
        self._context.show(
            LivePreview(
                name=view.name,
                origin=(y, x),
                labels=meaning.labels(outputs),
                uncertainty=_in_bytes(meaning.doubt(outputs)),
                probability=probability,
                step=training.steps,
                applied=self._applied,
            )
        )
        took = time.monotonic() - start
        self._next_preview_s = start + max(_LEAST_PREVIEW_S, took / _PREVIEW_SHARE)

    def _tell_state(self) -> None:
        training = self._training
        self._told_s = time.monotonic()
        self._context.emit(
            LiveState(
                step=training.steps,
                loss=self._loss,
                applied=self._applied,
                digests={name: training.digest(name) for name in training.labels()},
                score=training.score,
                counts=training.scores.counts,
                ready=training.ready,
            )
        )


def _in_bytes(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(255 * maps, 0, 255).round().astype(np.uint8)


def _tiles(shape: tuple[int, ...]) -> Iterator[Region]:
    height, width = shape
    for y in range(0, height, _TILE_PX):
        for x in range(0, width, _TILE_PX):
            yield y, x, min(_TILE_PX, height - y), min(_TILE_PX, width - x)


def _within(inner: Region, outer: Region) -> bool:
    return all(
        o <= i and i + n <= o + m
        for i, n, o, m in zip(inner[:2], inner[2:], outer[:2], outer[2:], strict=True)
    )
