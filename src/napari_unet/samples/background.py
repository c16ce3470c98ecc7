"""Downloading while napari stays usable.

napari calls a sample command on its main thread and takes what it returns for layers. A download
of some minutes inside that call would freeze the window, and redrawing from inside it
(``processEvents``) would let people close the viewer, or open the sample again, under a call that
is still running. So when napari's event loop runs, the command starts a thread that only fills the
folder of the data set, and returns an empty layer that says so: napari takes a sample without
layers for a mistake. When everything is there, napari is asked to open the sample once more, and
that layer goes; whoever removes it before no longer waits for the sample. In a script, before the
event loop runs, the command waits and returns the layers themselves.
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

_OFFER = "Meanwhile, File > Open Sample > U-Net live > Synthetic nuclei needs no download."

_AWAITED = "napari-unet-live.awaited"
"""Key in the metadata of the empty layer: the sample that it stands for."""

_LOOK_EVERY_MS = 200
_JOIN_S = 2.0


def event_loop_runs() -> bool:
    """Say whether this is called from inside Qt's event loop, as menu entries are."""
    try:
        from qtpy.QtCore import QCoreApplication, QThread
    except ImportError:  # no Qt at all
        return False
    thread = QThread.currentThread()
    return QCoreApplication.instance() is not None and thread is not None and thread.loopLevel() > 0


def show(message: str) -> None:
    """Tell in a notification, where napari is."""
    from napari.utils.notifications import show_info

    show_info(message)


def with_ways_out(error: UNetError, sample: str) -> UNetError:
    """Make the error offer what else can be done: napari shows it with these buttons."""
    offering = type(error)(f"{error} {_OFFER}")
    offering.actions = [  # type: ignore[attr-defined]
        ("Try again", lambda _dialog: _open(sample)),
        ("Synthetic", lambda _dialog: _open("synthetic")),
    ]
    return offering


def fetch_and_wait(origin: Source, folder: Path) -> Path:
    """Download with a progress bar, and return when it is done; raises what `fetch` raises."""
    from napari.utils import progress

    with progress(total=0, desc="Downloading") as bar:
        return fetch(origin, folder, _Shown(bar))


class _Shown(Transfer):
    """A transfer that moves a progress bar as it goes."""

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
    """Start a download, or join the one that runs, and open the sample when it is done.

    Returns
    -------
    tuple
        An empty layer in place of the sample until then.
    """
    import napari

    if folder not in _Download.running:
        _Download.running[folder] = _Download(origin, folder)
        show(
            f"{origin.name} is downloaded once, into '{folder}'. The sample opens when it is here; "
            "meanwhile napari can be used."
        )
    running = _Download.running[folder]
    if viewer := napari.current_viewer():
        running.viewers.add(viewer)
    metadata = {_AWAITED: sample, "sample": {"name": origin.name}}
    return ([], {"name": f"{name}: downloading", "metadata": metadata}, "points")


class _Download:
    """A download on a thread, and a timer that looks after it on the main thread."""

    running: ClassVar[dict[Path, _Download]] = {}

    def __init__(self, origin: Source, folder: Path) -> None:
        from napari.utils import cancelable_progress
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication

        self.viewers: weakref.WeakSet[Any] = weakref.WeakSet()
        self._folder = folder
        self._transfer = Transfer()
        self._error: UNetError | None = None
        self._looking = False
        self._bar = cancelable_progress(total=0, desc="Downloading")
        self._thread = threading.Thread(
            target=self._run, args=(origin,), name="napari-unet download", daemon=True
        )
        self._timer = QTimer()
        self._timer.setInterval(_LOOK_EVERY_MS)
        self._timer.timeout.connect(self._look)
        if application := QApplication.instance():
            application.aboutToQuit.connect(self._quit)
        self._thread.start()
        self._timer.start()
        _show_progress()

    def stop(self) -> None:
        """End the download soon; nothing of it is kept."""
        self._transfer.stopped = True

    def _run(self, origin: Source) -> None:
        try:
            fetch(origin, self._folder, self._transfer)
        except UNetError as error:
            self._error = error
        except Exception as error:  # whatever it is, someone has to be told
            self._error = DownloadError(f"{origin.name} could not be downloaded: {error}.")

    def _look(self) -> None:
        if self._looking:  # moving the bar lets Qt's events run, this one among them
            return
        self._looking = True
        if self._thread.is_alive():
            if self._bar.is_canceled:
                self.stop()
            _move(self._bar, self._transfer)
        else:
            self._timer.stop()
            self._bar.close()
            del self.running[self._folder]
            self._finish()
        self._looking = False

    def _finish(self) -> None:
        waiting = list(self._take_placeholders())
        if isinstance(self._error, Cancelled):
            show(str(self._error))
        elif self._error is not None:
            _tell(with_ways_out(self._error, waiting[0][1] if waiting else "dsb2018_field"))
        else:
            for viewer, sample in waiting:
                viewer.open_sample(PLUGIN, sample)

    def _take_placeholders(self) -> Iterator[tuple[Any, str]]:
        """Remove the empty layers; gives each viewer and sample that is still waited for, once."""
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
        """End with napari; a thread that waits for a silent server is not waited for."""
        self.stop()
        self._timer.stop()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            discard_unfinished(self._folder)


def _tell(error: UNetError) -> None:
    from napari.utils.notifications import Notification, notification_manager

    ways = getattr(error, "actions", ())
    notification_manager.dispatch(Notification(str(error), "ERROR", actions=ways))


def _open(sample: str) -> None:
    import napari

    viewer = napari.current_viewer()
    if viewer is not None:
        viewer.open_sample(PLUGIN, sample)


def _show_progress() -> None:
    """Unfold napari's activity dialog, which shows the progress bar and its Cancel button."""
    import napari

    viewer = napari.current_viewer()
    window = getattr(viewer, "window", None)
    toggle: Callable[[bool], None] | None = getattr(
        getattr(window, "_status_bar", None), "_toggle_activity_dock", None
    )
    if toggle is not None:  # private, though in napari's own examples
        toggle(True)
