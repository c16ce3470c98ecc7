"""Delivery of a job's events on Qt's main thread, where widgets and layers may be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]

from napari_unet.compute.events import Ended

if TYPE_CHECKING:
    from napari_unet.compute.jobs import Job

__all__ = ["QtJob"]


class QtJob:
    """Events of a job, delivered to the thread that created this object.

    Parameters
    ----------
    job
        Job to follow. All its events are delivered, including past ones, once control returns to
        Qt's event loop.
    parent
        Qt parent. After it is deleted, no signal is emitted and the job is stopped at its next
        event.

    Attributes
    ----------
    event
        Signal emitted with every event of the job except the last.
    ended
        Signal emitted exactly once, with the last event, `napari_unet.compute.events.Ended`.
    """

    def __init__(self, job: Job, parent: QObject | None = None) -> None:
        self.job = job
        relay = _Relay(job, parent)
        self.event, self.ended = relay.happened, relay.ended
        job.on_event(relay.send)

    def stop(self) -> None:
        """Ask the job to stop."""
        self.job.stop()


class _Relay(QObject):
    """Qt object that emits the signals until the job has ended.

    No signal may be named ``event``, because Qt calls a method of that name.
    """

    happened = Signal(object)
    ended = Signal(object)
    _arrived = Signal(object)

    def __init__(self, job: Job, parent: QObject | None) -> None:
        super().__init__(parent)
        self._job = job
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def send(self, event: object) -> None:
        """Pass an event on; called on the engine's thread."""
        try:
            self._arrived.emit(event)
        except RuntimeError:  # the widget was closed and Qt has deleted this object
            self._job.stop()

    def _deliver(self, event: object) -> None:
        if isinstance(event, Ended):
            self.ended.emit(event)
            self.deleteLater()  # release the job: results are large
        else:
            self.happened.emit(event)
