"""The loop of a live training: apply commands, learn, show previews, save."""

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
    """Where commands come from: `queue.Queue`, `queue.SimpleQueue`, or anything like them."""

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

    The training runs while the caller iterates. Between two steps it applies the commands that wait
    in the queue; from time to time it yields its state and previews, and saves the session.

    Parameters
    ----------
    images
        Images and what is painted on them, by the names that commands use.
    task
        Classes or objects, with ``sparse=True``: 0 means "not painted".
    folder
        Where the session is saved: every 30 seconds and at the end.
    settings
        How to train, and on which device; None: the defaults.
    commands
        Strokes, images, views and questions, see `napari_unet.core.live.commands`. Another thread
        may put them, or the caller between two events.
    start
        Model, or its file, to start from; None: from scratch.
    resume
        Whether to continue the session in `folder`, if it has learned anything.
    name
        Name of the model.
    should_stop
        Checked before each step; once true, the training saves and ends.
    preview_wanted
        Checked before each preview. Return False while the last one has not been shown, so that
        previews do not pile up.

    Yields
    ------
    LiveState
        Twice a second, and before the end.
    LivePreview
        After `ShowView`: the part in view, alternating with the rest of the image.
    LiveSuggestion
        The answer to `Suggest`.
    LiveTrouble
        If a command cannot be applied, or the session not be saved; the training continues.
    LiveFinished
        Once, at the end.

    Raises
    ------
    UNetError
        If there is no image to learn from, the device fails, or the session cannot be saved at the
        end. What was painted until then is saved if possible, also if the caller leaves the loop
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
        known = session.labels() if session.exists else {}  # also of a run that was interrupted
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
    """Begin a training, or continue the one of a session."""
    if session is None:
        return LiveTraining(task, _model(start), settings, name)
    saved = session.task()
    first = task if saved.shares_outputs(task) else saved
    training = LiveTraining(first, load_model(session.model), settings, name)
    session.restore(training)  # before any image is put: those of another kind are refused
    training.set_task(task)
    return training


def _model(start: Model | Path | str | None) -> Model | None:
    return start if start is None or isinstance(start, Model) else load_model(Path(start))


class _Loop:
    """What `run_live` keeps track of between two steps."""

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
        """Learn until it should stop; whatever ends it, what was painted is saved."""
        try:
            yield from self._save()
            while not should_stop():
                yield from self._advance(preview_wanted)
            yield from self._finish()
        except BaseException:  # also if the caller leaves the loop: `GeneratorExit`
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
        """Apply commands, take a step, and report what is due."""
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
        """Apply what was painted just before the end, and save."""
        yield from self._apply_waiting()
        training = self._training
        if training.ready and not training.began:  # the last command brought another class
            self._loss = training.step()
        self._session.save(training, self._intake.unused)

    def _apply_waiting(self, *, judged: bool = True) -> Generator[LiveEvent, None, bool]:
        """Apply all commands that wait; return whether there were any."""
        waiting = []
        with suppress(queue.Empty):
            while True:
                waiting.append(self._commands.get_nowait())
        for command in waiting:
            try:
                self._apply(command, judged=judged)
            except UNetError as error:  # the training continues without it
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
        """Answer where to paint next, once there is a network."""
        training, name = self._training, self._asked
        if not name or not training.began:
            return
        self._asked = ""
        region, reason = None, f"'{name}' is not learned from: nothing to suggest there."
        if name in training.labels():
            region = training.least_certain(name)
            reason = "Something is painted everywhere already: nothing to suggest."
        if region is None:
            yield LiveSuggestion(name, None, None, reason)
        else:
            yield LiveSuggestion(name, *training.proposal(name, region))

    def _save(self) -> Iterator[LiveEvent]:
        """Save the session; report it if that fails, and try again later."""
        try:
            self._session.save(self._training, self._intake.unused)
        except UNetError as error:
            yield LiveTrouble(str(error))
        return_freed_memory()  # saving copies what it writes
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
