"""Work that would make napari stutter, done on another thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal  # type: ignore[attr-defined, unused-ignore]

from napari_unet.core.errors import UNetError

__all__ = ["Background"]

_log = logging.getLogger(__name__)


class Background(QObject):
    """Calls a function on another thread and hands what it returns to the thread that made this.

    Unlike the thread workers of napari and superqt it swallows no error.

    Parameters
    ----------
    function
        What to do. It touches no Qt object and changes no layer.
    done
        Called with the result, or with the `UNetError` that came instead.
    parent
        When it is gone, `done` is no longer called.
    """

    _arrived = Signal(object)

    def __init__(
        self, function: Callable[[], Any], done: Callable[[Any], None], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._function, self._done = function, done
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        threading.Thread(target=self._run, name="napari-unet-background", daemon=True).start()

    def _run(self) -> None:
        try:
            result = self._function()
        except UNetError as error:
            result = error
        except Exception as error:
            _log.exception("Something failed in the background")
            result = UNetError(f"That did not work: {type(error).__name__}: {error}.")
        try:
            self._arrived.emit(result)
        except RuntimeError:  # the widget was closed and Qt has deleted this object
            return

    def _deliver(self, result: Any) -> None:
        self._done(result)
        self.deleteLater()
