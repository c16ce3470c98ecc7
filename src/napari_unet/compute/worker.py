"""What a client calls in the worker: run a job, stop it, fetch its preview."""

from __future__ import annotations

import contextlib
import gc
import logging
import pickle
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from napari_unet.compute.events import (
    Accepted,
    LivePreview,
    Over,
    Preview,
    PreviewReady,
    Progress,
)
from napari_unet.compute.parcels import Parcel, pack, unpack
from napari_unet.core import errors
from napari_unet.core.errors import DeviceError, SettingsError, UNetError
from napari_unet.core.training.events import StepDone

__all__ = [
    "Failure",
    "JobContext",
    "Success",
    "fetch_preview",
    "run_job",
    "stop_all",
    "stop_job",
    "tell_job",
]

_log = logging.getLogger("napari_unet")

_EVENT_S = 0.05
"""Least time between two steps, or two bits of progress, that are told."""

_stops: dict[str, threading.Event] = {}
_previews: dict[str, bytes] = {}
_inboxes: dict[str, queue.SimpleQueue[Parcel]] = {}
_running: set[str] = set()


@dataclass(frozen=True)
class Success:
    """What a job came to."""

    value: Any


@dataclass(frozen=True)
class Failure:
    """Why a job failed: an error for people, or else the stack trace of what nobody foresaw."""

    error: UNetError | None
    trace: str = ""


@dataclass
class JobContext:
    """What work knows of its job.

    Parameters
    ----------
    id
        The job's.
    send
        Sends an event.
    """

    id: str
    send: Callable[[object], None]
    _held: object = None
    _sent_s: dict[type, float] = field(default_factory=dict)
    _start_s: float = field(default_factory=time.monotonic)

    def should_stop(self) -> bool:
        """Whether somebody asked to stop."""
        return _stops[self.id].is_set()

    def emit(self, event: object) -> None:
        """Send an event; of steps and progress only some each second, and always the last."""
        now = time.monotonic()
        if isinstance(event, StepDone | Progress):
            if now - self._sent_s.get(type(event), 0.0) < _EVENT_S:
                self._held = event
                return
            self._sent_s[type(event)] = now
        else:
            self.flush()
        self._held = None
        self.send(event)

    def flush(self) -> None:
        """Send what was held back."""
        if self._held is not None:
            self.send(self._held)
            self._held = None

    def progress(self, done: float, total: int) -> None:
        """Tell progress and guess the time left."""
        passed = time.monotonic() - self._start_s
        self.emit(Progress(done, total, passed * (total - done) / done if done else None))

    def show(self, preview: Preview | LivePreview) -> None:
        """Keep a preview for the client, who fetches it: arrays are too large for events."""
        _previews[self.id] = pickle.dumps(preview)
        self.emit(PreviewReady(preview.step))

    @property
    def preview_waits(self) -> bool:
        """Whether the latest preview was not fetched yet."""
        return self.id in _previews

    def messages(self) -> list[Any]:
        """Take what was told to the job since the last time, in order."""
        inbox = _inboxes[self.id]
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(_open(inbox.get_nowait()))
        return found


def run_job(job: str, parcel: Parcel, long: bool) -> Parcel:
    """Run a job as a task of a dask worker.

    Parameters
    ----------
    job
        Its id, also the topic of its events.
    parcel
        The request.
    long
        Whether it gives its place among the worker's threads to others, as training does.

    Returns
    -------
    Parcel
        `Success` or `Failure`: no exception leaves this function, as an unpickled one could make
        the client import torch.
    """
    from distributed import get_worker, secede

    worker = get_worker()
    if long:
        secede()

    def send(event: object) -> None:
        worker.log_event(job, pickle.dumps(event))

    outcome: list[Parcel] = []

    def run() -> None:
        outcome.append(_outcome(JobContext(job, send), parcel))

    # A thread that dask does not know: in its own, every dask array would be computed by sending
    # its graph to the scheduler. Daemon: it must not keep an ending worker alive.
    _inboxes[job] = queue.SimpleQueue()  # before anybody can know that it runs here
    send(Accepted(worker.address))
    thread = threading.Thread(target=run, name=f"job-{job[:8]}", daemon=True)
    thread.start()
    thread.join()
    send(Over())
    return outcome[0]


def stop_job(job: str) -> None:
    """Ask a job to stop, also one that has not begun."""
    _stops.setdefault(job, threading.Event()).set()


def tell_job(job: str, parcel: Parcel) -> None:
    """Tell a job something; it looks when it likes, see `JobContext.messages`."""
    if job in _inboxes:
        _inboxes[job].put(parcel)


def stop_all(timeout_s: float) -> None:
    """Ask all jobs to stop, and wait for them to save."""
    for job in list(_running):
        stop_job(job)
    deadline = time.monotonic() + timeout_s
    while _running and time.monotonic() < deadline:
        time.sleep(0.02)


def fetch_preview(job: str) -> bytes | None:
    """Hand over the latest preview, pickled, once."""
    return _previews.pop(job, None)


def _outcome(context: JobContext, parcel: Parcel) -> Parcel:
    from napari_unet.compute.work import work

    _stops.setdefault(context.id, threading.Event())
    _running.add(context.id)
    try:
        result: Success | Failure = Success(work(_open(parcel), context))
        context.flush()
        return pack(result)
    except BaseException as error:
        result = _failure(error)
    finally:
        _running.discard(context.id)
        _stops.pop(context.id, None)
        _inboxes.pop(context.id, None)
        _free_memory()
    return pack(result)


def _open(parcel: Parcel) -> Any:
    try:
        return unpack(parcel)
    except ImportError as error:
        problem = f"The worker has no module '{error.name}', which what was sent to it needs. "
    raise SettingsError(
        problem + "Install it where the worker runs, or save the image to a file and open that."
    )


def _failure(error: BaseException) -> Failure:
    """Keep of an error what may travel: our own kinds, without what caused them."""
    if isinstance(error, UNetError):
        kind = next(c for c in type(error).__mro__ if c.__module__ == errors.__name__)
        return Failure(kind(str(error)))
    if isinstance(error, MemoryError):
        text = "The memory of the computer is full. Choose a smaller image, or smaller blocks."
        return Failure(DeviceError(text))
    trace = "".join(traceback.format_exception(error))
    _log.error("A job failed:\n%s", trace)
    return Failure(None, trace)


def _free_memory() -> None:
    """Give cached GPU memory back to other programs."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
