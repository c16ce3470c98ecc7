"""What a running job in the worker uses to reach its client: events, previews, stops, commands."""

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

__all__ = ["JobContext", "inboxes", "open_parcel", "previews", "stops"]

_EVENT_S = 0.05
"""Least time between two events of steps or progress that are sent."""

# By the id of the job.
stops: dict[str, threading.Event] = {}
previews: dict[str, bytes] = {}
inboxes: dict[str, queue.SimpleQueue[Parcel]] = {}


@dataclass(frozen=True)
class Inbox:
    """Unpacks what a client sends to a job."""

    parcels: queue.SimpleQueue[Parcel]

    def get_nowait(self) -> Any:
        """Return what was sent next; raise `queue.Empty` if there is nothing."""
        return open_parcel(self.parcels.get_nowait())


@dataclass
class JobContext:
    """The job as the code that does it sees it.

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
        """Whether the job was requested to stop."""
        return stops[self.id].is_set()

    def emit(self, event: object) -> None:
        """Send an event; of steps and progress only some each second, and always the last one."""
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
        """Send progress and an estimate of the time left."""
        passed = time.monotonic() - self._start_s
        self.emit(Progress(done, total, passed * (total - done) / done if done else None))

    def show(self, preview: Preview | LivePreview) -> None:
        """Keep a preview for the client, who fetches it: arrays are too large for events."""
        previews[self.id] = pickle.dumps(preview)
        self.emit(PreviewReady(preview.step))

    @property
    def preview_waits(self) -> bool:
        """Whether the latest preview was not fetched yet."""
        return self.id in previews

    @property
    def commands(self) -> Inbox:
        """What the client sends to the job while it runs."""
        return Inbox(inboxes[self.id])


def open_parcel(parcel: Parcel) -> Any:
    """Unpack what a client sent; raise `SettingsError` if it needs a module that is missing."""
    try:
        return unpack(parcel)
    except ImportError as error:
        problem = f"The worker has no module '{error.name}', which what was sent to it needs. "
    raise SettingsError(
        problem + "Install it where the worker runs, or save the image to a file and open that."
    )
