"""Downloads in the background, while napari stays usable.

napari calls a sample command on its main thread and expects layers in return. A download of some
minutes inside that call would freeze the window, and redrawing from inside it (``processEvents``)
would let users close the viewer, or open the sample again, during the call. If napari's event loop
runs, the command therefore starts a thread that only fills the folder of the data set, and returns
an empty placeholder layer, because napari treats a sample without layers as an error. When the
download is complete, the placeholder is removed and napari opens the sample again. If the user
removes the placeholder earlier, the sample is not opened. In a script, before the event loop runs,
the command waits and returns the layers themselves.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, ClassVar

from napari_unet.core.errors import Cancelled, UNetError
from napari_unet.samples.download import DownloadError, Transfer, discard_unfinished, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_unet.samples.dsb2018 import LayerData, Source

__all__ = [
    "PLUGIN",
    "event_loop_runs",
    "fetch_and_wait",
    "open_when_fetched",
    "show",
    "with_ways_out",
]

PLUGIN = "napari-unet-live"

_OFFER = "File > Open Sample > U-Net live > Synthetic nuclei needs no download."

_AWAITED = "napari-unet-live.awaited"
"""Key in the placeholder's metadata: the sample it stands for."""

_CHECK_EVERY_MS = 200
_JOIN_S = 2.0


def event_loop_runs() -> bool:
    """Return whether the caller runs inside Qt's event loop, as menu entries do."""
    try:
        from qtpy.QtCore import QCoreApplication, QThread
    except ImportError:  # no Qt at all
        return False
    thread = QThread.currentThread()
    return QCoreApplication.instance() is not None and thread is not None and thread.loopLevel() > 0


def show(message: str) -> None:
    """Show a message as a napari notification."""
    from napari.utils.notifications import show_info

    show_info(message)


def with_ways_out(error: UNetError, sample: str) -> UNetError:
    """Return the error with alternatives, which napari shows as buttons."""
    offering = type(error)(f"{error} {_OFFER}")
    offering.actions = [  # type: ignore[attr-defined]
        ("Try again", lambda _dialog: _open(sample)),
        ("Synthetic", lambda _dialog: _open("synthetic")),
    ]
    return offering


def fetch_and_wait(origin: Source, folder: Path) -> Path:
    """Download with a progress bar and wait; raises the same errors as `fetch`."""
    from napari.utils import progress

    with progress(total=0, desc="Downloading") as bar:
        return fetch(origin, folder, _Shown(bar))


class _Shown(Transfer):
    """A transfer that updates a progress bar."""

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self._bar = bar

    def update(self, n_bytes: int) -> None:
        super().update(n_bytes)
        _move(self._bar, self)


def _move(bar: Any, transfer: Transfer) -> None:
    if bar.total != transfer.total:
        bar.total = transfer.total
    if transfer.received > bar.n:
        bar.update(transfer.received - bar.n)


def open_when_fetched(origin: Source, folder: Path, sample: str, name: str) -> LayerData:
    """Start a download, or join a running one, and open the sample when it is complete.

    Returns
    -------
    tuple
        Empty placeholder layer.
    """
    import napari

    if folder not in _Download.running:
        _Download.running[folder] = _Download(origin, folder)
        show(
            f"Downloading {origin.name} once, to '{folder}'. The sample opens when the download is "
            "complete; you can keep using napari."
        )
    running = _Download.running[folder]
    if viewer := napari.current_viewer():
        running.viewers.add(viewer)
    metadata = {_AWAITED: sample, "sample": {"name": origin.name}}
    return ([], {"name": f"{name}: downloading", "metadata": metadata}, "points")


class _Download:
    """A download on a thread, checked by a timer on the main thread."""

    running: ClassVar[dict[Path, _Download]] = {}

    def __init__(self, origin: Source, folder: Path) -> None:
        from napari.utils import cancelable_progress
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication

        self.viewers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._folder = folder
        self._transfer = Transfer()
        self._error: UNetError | None = None
        self._checking = False
        self._bar = cancelable_progress(total=0, desc="Downloading")
        self._thread = threading.Thread(
            target=self._run, args=(origin,), name="napari-unet download", daemon=True
        )
        self._timer = QTimer()
        self._timer.setInterval(_CHECK_EVERY_MS)
        self._timer.timeout.connect(self._check)
        if application := QApplication.instance():
            application.aboutToQuit.connect(self._quit)
        self._thread.start()
        self._timer.start()
        _show_progress()

    def stop(self) -> None:
        """Ask the download to end; nothing is kept."""
        self._transfer.stopped = True

    def _run(self, origin: Source) -> None:
        try:
            fetch(origin, self._folder, self._transfer)
        except UNetError as error:
            self._error = error
        except Exception as error:  # any error has to be reported
            self._error = DownloadError(f"{origin.name} could not be downloaded: {error}.")

    def _check(self) -> None:
        if self._checking:  # updating the bar runs Qt events, including this one
            return
        self._checking = True
        if self._thread.is_alive():
            if self._bar.is_canceled:
                self.stop()
            _move(self._bar, self._transfer)
        else:
            self._timer.stop()
            self._bar.close()
            del self.running[self._folder]
            self._finish()
        self._checking = False

    def _finish(self) -> None:
        waiting = list(self._take_placeholders())
        if isinstance(self._error, Cancelled):
            show(str(self._error))
        elif self._error is not None:
            _report(with_ways_out(self._error, waiting[0][1] if waiting else "dsb2018_field"))
        else:
            for viewer, sample in waiting:
                viewer.open_sample(PLUGIN, sample)

    def _take_placeholders(self) -> Iterator[tuple[Any, str]]:
        """Remove the placeholders; yield each viewer with each sample it still waits for, once."""
        for viewer in list(self.viewers):
            awaiting = {
                layer: layer.metadata[_AWAITED]
                for layer in viewer.layers
                if _AWAITED in layer.metadata
            }
            for layer in awaiting:
                viewer.layers.remove(layer)
            for sample in dict.fromkeys(awaiting.values()):
                yield viewer, sample

    def _quit(self) -> None:
        """Stop when napari quits, without waiting long for an unresponsive server."""
        self.stop()
        self._timer.stop()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            discard_unfinished(self._folder)


def _report(error: UNetError) -> None:
    from napari.utils.notifications import Notification, notification_manager

    ways = getattr(error, "actions", ())
    notification_manager.dispatch(Notification(str(error), "ERROR", actions=ways))


def _open(sample: str) -> None:
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        viewer.open_sample(PLUGIN, sample)


def _show_progress() -> None:
    """Open napari's activity dialog with the progress bar and its Cancel button."""
    import napari

    viewer = napari.current_viewer()
    window = getattr(viewer, "window", None)
    toggle: Callable[[bool], None] | None = getattr(
        getattr(window, "_status_bar", None), "_toggle_activity_dock", None
    )
    if toggle is not None:  # private, but used in napari's examples
        toggle(True)
