"""A job as seen by the caller, with its events in order and a way to stop it."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from napari_unet.compute.events import Ended, Preview, Progress
from napari_unet.core.errors import UNetError
from napari_unet.core.live.events import LivePreview, LiveState
from napari_unet.core.training.events import StepDone

if TYPE_CHECKING:
    from napari_unet.compute.requests import Request

__all__ = ["ComputeError", "Job", "WorkerLost"]

Status = Literal["waiting", "running", "stopping", "done", "failed"]

_log = logging.getLogger(__name__)

_PASSING = (StepDone, Progress, Preview, LivePreview, LiveState)
"""Events of which only the last is kept for late listeners: hours of previews would fill memory."""


class ComputeError(UNetError):
    """An unexpected error in the compute process."""


class WorkerLost(ComputeError):
    """The compute process ended unexpectedly."""


class Job:
    """A request that a worker runs, created by `Engine.submit`.

    Parameters
    ----------
    request
        The request.
    on_stop
        Called to stop the job.
    on_message
        Called with each command to the job.
    """

    def __init__(
        self,
        request: Request,
        on_stop: Callable[[Job], None],
        on_message: Callable[[Job, object], None] = lambda job, message: None,
    ) -> None:
        self.id = uuid.uuid4().hex
        self.request = request
        self._on_stop = on_stop
        self._on_message = on_message
        self._lock = threading.RLock()
        self._status: Status = "waiting"
        self._events: list[object] = []
        self._listeners: list[Callable[[object], None]] = []
        self._ended = threading.Event()

    @property
    def status(self) -> Status:
        """Status: waiting, running, stopping, done or failed."""
        return self._status

    def on_event(self, callback: Callable[[object], None]) -> None:
        """Call a function with each event, in order; the last one is `Ended`.

        Parameters
        ----------
        callback
            Called with past events immediately, and with later ones on a thread of the engine, one
            at a time. Of past steps, progress and previews, it receives only the last.
        """
        with self._lock:
            for event in self._events:
                _notify(callback, event)
            self._listeners.append(callback)

    def stop(self) -> None:
        """Ask the job to stop: training saves and finishes, other jobs end with `Cancelled`."""
        with self._lock:
            if self._status in ("done", "failed", "stopping"):
                return
            self._status = "stopping"
        self._on_stop(self)

    def tell(self, message: object) -> None:
        """Send a command to the job, in order; only live training reads commands."""
        self._on_message(self, message)

    def wait(self, timeout_s: float | None = None) -> Any:
        """Wait for the end and return the result; do not call it on a GUI's main thread.

        Raises
        ------
        UNetError
            If the job failed.
        TimeoutError
            If the job has not ended in time.
        """
        if not self._ended.wait(timeout_s):
            raise TimeoutError(f"The job has not ended after {timeout_s} s.")
        last = self._events[-1]
        assert isinstance(last, Ended)
        if last.error is not None:
            raise last.error
        return last.result

    def started(self) -> None:
        """Set the status to running; called by the engine when a worker starts the job."""
        with self._lock:
            if self._status == "waiting":
                self._status = "running"

    def post(self, event: object) -> None:
        """Send an event to the listeners; called by the engine. `Ended` is always the last."""
        with self._lock:
            if self._ended.is_set():
                return
            if isinstance(event, _PASSING):
                self._events = [e for e in self._events if type(e) is not type(event)]
            self._events.append(event)
            if isinstance(event, Ended):
                self._status = "failed" if event.error else "done"
                self._ended.set()
            for listener in self._listeners:
                _notify(listener, event)


def _notify(callback: Callable[[object], None], event: object) -> None:
    """Call a listener; log its exceptions, which must not end the job."""
    try:
        callback(event)
    except Exception:
        _log.exception("A listener failed on %s", type(event).__name__)
