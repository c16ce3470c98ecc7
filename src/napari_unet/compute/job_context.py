"""The link from a running job in the worker to its client: events, previews, stops, commands."""

from __future__ import annotations

import pickle
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from napari_unet.compute.events import Preview, PreviewReady, Progress
from napari_unet.compute.parcels import Parcel, unpack
from napari_unet.core.errors import SettingsError
from napari_unet.core.live.events import LivePreview
from napari_unet.core.training.events import StepDone

__all__ = ["JobContext", "command_queues", "open_parcel", "previews", "stop_requests"]

_EVENT_S = 0.05
"""Shortest time between two step or progress events that are sent."""

# The keys are the ids of the jobs.
stop_requests: dict[str, threading.Event] = {}
previews: dict[str, bytes] = {}
command_queues: dict[str, queue.SimpleQueue[Parcel]] = {}


@dataclass(frozen=True)
class Commands:
    """The commands that a client sends to a job, unpacked when they are read."""

    parcels: queue.SimpleQueue[Parcel]

    def get_nowait(self) -> Any:
        """Return the next command; raise `queue.Empty` if there is none."""
        return open_parcel(self.parcels.get_nowait())


@dataclass
class JobContext:
    """The interface between a running job and its client.

    Parameters
    ----------
    id
        Id of the job.
    send
        Function that sends an event.
    """

    id: str
    send: Callable[[object], None]
    _held: object = None
    _sent_s: dict[type, float] = field(default_factory=dict)
    _start_s: float = field(default_factory=time.monotonic)

    def should_stop(self) -> bool:
        """Return whether the client has asked the job to stop."""
        return stop_requests[self.id].is_set()

    def emit(self, event: object) -> None:
        """Send an event; limit the rate of steps and progress, but always send the last one."""
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
        """Send the event that was held back, if there is one."""
        if self._held is not None:
            self.send(self._held)
            self._held = None

    def progress(self, done: float, total: int) -> None:
        """Send progress and an estimate of the time left."""
        passed = time.monotonic() - self._start_s
        self.emit(Progress(done, total, passed * (total - done) / done if done else None))

    def show(self, preview: Preview | LivePreview) -> None:
        """Keep a preview until the client fetches it, because arrays are too large for events."""
        previews[self.id] = pickle.dumps(preview)
        self.emit(PreviewReady(preview.step))

    @property
    def preview_waits(self) -> bool:
        """Whether the client has not yet fetched the latest preview."""
        return self.id in previews

    @property
    def commands(self) -> Commands:
        """Commands that the client sends while the job runs."""
        return Commands(command_queues[self.id])


def open_parcel(parcel: Parcel) -> Any:
    """Unpack a parcel from the client; raise `SettingsError` if it needs a missing module."""
    try:
        return unpack(parcel)
    except ImportError as error:
        problem = f"The worker has no module '{error.name}', but the data sent to it needs one. "
    raise SettingsError(
        problem
        + "Install it where the worker runs, or save the image to a file and open that file."
    )
