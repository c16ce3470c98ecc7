"""The loop of live training: apply commands, learn, show previews, save."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from napari_unet.core.errors import UNetError
from napari_unet.core.live.commands import (
    ChangeClasses,
    Command,
    LiveImage,
    Paint,
    PutImage,
    RemoveImage,
    ShowView,
    Suggest,
)
from napari_unet.core.live.events import (
    LiveEvent,
    LiveFinished,
    LiveState,
    LiveSuggestion,
    LiveTrouble,
)
from napari_unet.core.live.intake import ImageIntake
from napari_unet.core.live.session import LiveSession
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.live.view_previews import ViewPreviews
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import load_model
from napari_unet.core.system.allocator import keeping_freed_memory, return_freed_memory
from napari_unet.core.tasks.base import Task

__all__ = ["CommandQueue", "run_live"]

_STATE_S = 0.5
_SAVE_S = 30.0
_IDLE_S = 0.03


class CommandQueue(Protocol):
    """A source of commands: `queue.Queue`, `queue.SimpleQueue` or a similar class."""

    def get_nowait(self) -> Command:
        """Return the next command; raise `queue.Empty` if there is none."""
        ...


def run_live(
    images: Mapping[str, LiveImage],
    task: Task,
    folder: Path | str,
    settings: LiveSettings | None = None,
    *,
    commands: CommandQueue | None = None,
    start: Model | Path | str | None = None,
    resume: bool = False,
    name: str = "model",
    should_stop: Callable[[], bool] = lambda: False,
    preview_wanted: Callable[[], bool] = lambda: True,
) -> Generator[LiveEvent]:
    """Train on labels that change while the network learns.

    Training runs while the caller iterates. Between steps, it applies the commands in the queue;
    from time to time, it yields its state and previews, and saves the session.

    Parameters
    ----------
    images
        Images with their painted labels, by the names that commands use.
    task
        Classes or objects, with ``sparse=True``: 0 means "not painted".
    folder
        Folder of the session, which is saved every 30 seconds and at the end.
    settings
        Training settings, including the device; None: the defaults.
    commands
        Queue of strokes, images, views and questions, see `napari_unet.core.live.commands`. Another
        thread can fill it, or the caller between two events.
    start
        Model, or path of a model file, to start from; None: from scratch.
    resume
        Whether to continue the session in `folder`, if it has learned anything.
    name
        Name of the model.
    should_stop
        Function called before each step; if it returns True, training saves and ends.
    preview_wanted
        Function called before each preview. Return False until the last preview has been shown, so
        that previews do not accumulate.

    Yields
    ------
    LiveState
        State, twice a second and before the end.
    LivePreview
        Preview of the part in view, alternating with the rest of the image, after `ShowView`.
    LiveSuggestion
        Answer to `Suggest`.
    LiveTrouble
        Problem with applying a command or saving the session; training continues.
    LiveFinished
        Result, once at the end.

    Raises
    ------
    UNetError
        If there is no image to learn from, the device fails, or the session cannot be saved at the
        end. All labels painted so far are saved if possible, even if the caller leaves the loop
        early.

    Examples
    --------
    Draw two strokes on an image, watch the prediction, and stop after a few steps:

    >>> import queue, tempfile
    >>> import numpy as np
    >>> from napari_unet import ClassInfo, LiveSettings, Semantic, run_live
    >>> from napari_unet.core.live import LiveFinished, LiveImage, LivePreview, Paint, ShowView
    >>> image = np.zeros((64, 64), np.uint8)
    >>> image[16:48, 16:48] = 200
    >>> classes = ClassInfo(id=1, name="rest", background=True), ClassInfo(id=2, name="square")
    >>> commands, shown = queue.SimpleQueue(), []
    >>> commands.put(ShowView("square"))
    >>> commands.put(Paint("square", (4, 4), np.full((2, 56), 1)))
    >>> commands.put(Paint("square", (30, 20), np.full((2, 24), 2)))
    >>> folder = tempfile.TemporaryDirectory()
    >>> for event in run_live(
    ...     {"square": LiveImage(image)},
    ...     Semantic(classes=classes, sparse=True),
    ...     folder.name,
    ...     LiveSettings(patch_px=32, depth=1, base_channels=4, device="cpu"),
    ...     commands=commands,
    ...     should_stop=lambda: len(shown) > 0,
    ... ):
    ...     if isinstance(event, LivePreview):
    ...         shown.append(event.labels)
    ...     if isinstance(event, LiveFinished):
    ...         print(event.model.name, shown[0].shape)
    last.safetensors (64, 64)
    >>> folder.cleanup()
    """
    with keeping_freed_memory():
        session = LiveSession(Path(folder))
        resumed = resume and session.began
        training = _start_training(session if resumed else None, task, start, settings, name)
        intake = ImageIntake(training)
        known = session.labels() if session.exists else {}  # even if it was interrupted
        problems = intake.put_all(images, known if resumed else {})
        intake.keep((n, labels) for n, labels in known.items() if n not in images)
        loop = _Loop(training, session, intake, commands or queue.SimpleQueue())
        yield from map(LiveTrouble, problems)
        yield from loop.run(should_stop, preview_wanted)


def _start_training(
    session: LiveSession | None,
    task: Task,
    start: Model | Path | str | None,
    settings: LiveSettings | None,
    name: str,
) -> LiveTraining:
    """Start training, or continue a session."""
    if session is None:
        return LiveTraining(task, _model(start), settings, name)
    saved = session.task()
    first = task if saved.shares_outputs(task) else saved
    training = LiveTraining(first, load_model(session.model), settings, name)
    session.restore(training)  # before images are added, so that other kinds are refused
    training.set_task(task)
    return training


def _model(start: Model | Path | str | None) -> Model | None:
    return start if start is None or isinstance(start, Model) else load_model(Path(start))


class _Loop:
    """State of `run_live` between two steps."""

    def __init__(
        self,
        training: LiveTraining,
        session: LiveSession,
        intake: ImageIntake,
        commands: CommandQueue,
    ) -> None:
        self._training = training
        self._session = session
        self._intake = intake
        self._commands = commands
        self._previews = ViewPreviews(training)
        self._applied = 0
        self._asked = ""
        self._loss = math.nan
        self._state_s = self._saved_s = time.monotonic()

    def run(
        self, should_stop: Callable[[], bool], preview_wanted: Callable[[], bool]
    ) -> Iterator[LiveEvent]:
        """Learn until `should_stop`; save the painted labels however it ends."""
        try:
            yield from self._save()
            while not should_stop():
                yield from self._advance(preview_wanted)
            yield from self._finish()
        except BaseException:  # also `GeneratorExit`, if the caller leaves the loop
            with suppress(Exception):  # the first error is the one to report
                list(self._apply_waiting(judged=False))
            with suppress(Exception):
                list(self._save())
            raise
        yield self._state()
        training = self._training
        model = self._session.model if training.began else None
        yield LiveFinished(model, training.steps, training.score)

    def _advance(self, preview_wanted: Callable[[], bool]) -> Iterator[LiveEvent]:
        """Apply commands, train for one step, and yield the events that are due."""
        changed = yield from self._apply_waiting()
        if self._training.ready:
            self._loss = self._training.step()
        elif not changed:
            time.sleep(_IDLE_S)
        yield from self._answer()
        if preview_wanted() and (preview := self._previews.next_preview(self._applied)):
            yield preview
        now_s = time.monotonic()
        if now_s - self._state_s >= _STATE_S:
            yield self._state()
        if now_s - self._saved_s >= _SAVE_S:
            yield from self._save()

    def _finish(self) -> Iterator[LiveEvent]:
        """Apply the remaining commands, and save."""
        yield from self._apply_waiting()
        training = self._training
        if training.ready and not training.began:  # the last command added a second class
            self._loss = training.step()
        self._session.save(training, self._intake.unused)

    def _apply_waiting(self, *, judged: bool = True) -> Generator[LiveEvent, None, bool]:
        """Apply all waiting commands; return whether there were any."""
        waiting = []
        with suppress(queue.Empty):
            while True:
                waiting.append(self._commands.get_nowait())
        for command in waiting:
            try:
                self._apply(command, judged=judged)
            except UNetError as error:  # training continues without it
                yield LiveTrouble(str(error))
            self._applied = self._applied + 1 if command.number is None else command.number
        return bool(waiting)

    def _apply(self, command: Command, *, judged: bool) -> None:
        match command:
            case Paint():
                self._intake.paint(command, judged=judged)
            case PutImage(name=name, image=image):
                self._intake.put(name, image)
            case RemoveImage(name=name):
                self._intake.remove(name)
            case ChangeClasses(task=task):
                self._training.set_task(task)
            case Suggest(name=name):
                self._asked = name
            case ShowView():
                self._previews.show(command)

    def _answer(self) -> Iterator[LiveEvent]:
        """Answer a `Suggest` command once there is a network."""
        training, name = self._training, self._asked
        if not name or not training.began:
            return
        self._asked = ""
        region, reason = None, f"'{name}' is not used for training, so nothing can be suggested."
        if name in training.labels():
            region = training.least_certain(name)
            reason = "Every part of the image is painted already, so nothing can be suggested."
        if region is None:
            yield LiveSuggestion(name, None, None, reason)
        else:
            yield LiveSuggestion(name, *training.proposal(name, region))

    def _save(self) -> Iterator[LiveEvent]:
        """Save the session; if that fails, report the problem and try again later."""
        try:
            self._session.save(self._training, self._intake.unused)
        except UNetError as error:
            yield LiveTrouble(str(error))
        return_freed_memory()  # saving copies the data
        self._saved_s = time.monotonic()

    def _state(self) -> LiveState:
        training = self._training
        self._state_s = time.monotonic()
        return LiveState(
            step=training.steps,
            loss=self._loss,
            applied=self._applied,
            digests={name: training.digest(name) for name in training.labels()},
            score=training.score,
            counts=training.scores.counts,
            ready=training.ready,
        )
