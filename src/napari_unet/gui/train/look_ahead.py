"""Checking the data after each change, on another thread and not too often."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_unet.gui.app.background import Background
from napari_unet.gui.forms import is_alive

__all__ = ["LookAhead"]

_LOOK_MS = 300
_SLOW_LOOK_MS = 700
_MOST_LOOK_MS = 5000


class LookAhead(QObject):
    """Calls a function on another thread soon after the last change.

    Parameters
    ----------
    make_task
        Called on the main thread; returns the function, with the current values of the form.
    parent
        The widget.

    Attributes
    ----------
    looked
        Signal: the result of the function, or the `UNetError` that it raised.
    slow
        Signal: the function is so slow that the user should be informed.
    """

    looked = Signal(object)
    slow = Signal()

    def __init__(self, make_task: Callable[[], Callable[[], Any]], parent: QObject) -> None:
        super().__init__(parent)
        self._make_task = make_task
        self._looking = self._again = False
        self._began_s = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_LOOK_MS)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether the function is running or scheduled."""
        return self._looking or self._timer.isActive()

    def schedule(self) -> None:
        """Schedule a call of the function."""
        self._timer.start()

    def _look(self) -> None:
        if self._looking:
            self._again = True
            return
        self._looking = True
        self._began_s = time.monotonic()
        Background(self._make_task(), self._done, self)
        QTimer.singleShot(_SLOW_LOOK_MS, self._note_slow)

    def _note_slow(self) -> None:
        if is_alive(self) and self._looking:
            self.slow.emit()

    def _done(self, result: Any) -> None:
        self._looking = False
        # Large labels take a while; the pause keeps the computer from counting all the time.
        took_ms = round(1000 * (time.monotonic() - self._began_s))
        self._timer.setInterval(min(max(_LOOK_MS, 2 * took_ms), _MOST_LOOK_MS))
        if self._again:
            self._again = False
            self._timer.start()
        self.looked.emit(result)
