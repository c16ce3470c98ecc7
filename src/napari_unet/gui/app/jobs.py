"""A job's events on Qt's main thread, where widgets and layers may be touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined]

from napari_unet.compute.events import Ended

if TYPE_CHECKING:
    from napari_unet.compute.jobs import Job

__all__ = ["QtJob"]


class QtJob:
    """Brings the events of a job to the thread that made this object.

    Parameters
    ----------
    job
        What to listen to. All its events come, those that have happened already too, but only
        after control is back in Qt's event loop.
    parent
        With it the signals end, and the job is stopped at its next event: nobody waits for it.

    Attributes
    ----------
    event
        Signal: an event of the job, the last excepted.
    ended
        Signal: the last event, `napari_unet.compute.events.Ended`; exactly once.
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
    """What Qt knows of it, until the job has ended.

    No signal here is called ``event``: Qt calls the method of that name.
    """

    happened = Signal(object)
    ended = Signal(object)
    _arrived = Signal(object)

    def __init__(self, job: Job, parent: QObject | None) -> None:
        super().__init__(parent)
        self._job = job
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def send(self, event: object) -> None:
        """Runs on the engine's thread."""
        try:
            self._arrived.emit(event)
        except RuntimeError:  # the widget was closed and Qt has deleted this object
            self._job.stop()

    def _deliver(self, event: object) -> None:
        if isinstance(event, Ended):
            self.ended.emit(event)
            self.deleteLater()  # results are large: nothing of an ended job is kept
        else:
            self.happened.emit(event)
