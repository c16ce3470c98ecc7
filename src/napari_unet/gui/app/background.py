"""Work on another thread, so that napari stays responsive."""

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
    """A function call on another thread, whose result is delivered to the creating thread.

    Unlike the thread workers of napari and superqt, it does not swallow errors.

    Parameters
    ----------
    function
        Function to run. It must not touch Qt objects or change layers.
    done
        Function that receives the result, or the `UNetError` raised instead.
    parent
        Qt parent. Once it is deleted, `done` is not called.
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
            _log.exception("Background work failed")
            result = UNetError(f"Unexpected error: {type(error).__name__}: {error}.")
        try:
            self._arrived.emit(result)
        except RuntimeError:  # the widget was closed and Qt has deleted this object
            return

    def _deliver(self, result: Any) -> None:
        self._done(result)
        self.deleteLater()
