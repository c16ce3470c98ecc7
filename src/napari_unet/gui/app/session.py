"""State shared by all widgets: the engine and notifications about models."""

from __future__ import annotations

import threading
from functools import cache

from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_unet.compute import Engine
from napari_unet.gui.app.preferences import Preferences, preferences

__all__ = ["Preferences", "Session", "preferences", "session", "start_engine_soon"]

_START_MS = 100
"""Delay that lets a widget appear first."""

_SAVE_S = 30.0
"""Time that jobs have to save when their engine is replaced."""


class Session:
    """Shared state of the widgets, one per process; see `session`."""

    models_changed = Signal()
    """Emitted when a model was created, renamed or removed."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """Engine, started in the background on first access.

        It is replaced after the address in the preferences changes and after `Engine.close`.
        """
        engine = self._current()
        engine.start()
        return engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = engine

    def start_engine(self, *modules: str) -> None:
        """Start the engine in the background and import some modules there."""
        self._current().start(*modules)

    def _current(self) -> Engine:
        address = preferences().address
        engine = self._engine
        if engine is None or engine.state == "closed" or engine.address != address:
            if engine is not None:  # in the background, because running jobs save first
                threading.Thread(target=engine.close, args=(_SAVE_S,), daemon=True).start()
            self._engine = engine = Engine(address)
        return engine


@cache
def session() -> Session:
    """Return the session of this process."""
    return Session()


def start_engine_soon(widget: QObject, *modules: str) -> None:
    """Start the engine shortly after a widget appears, if the widget still exists.

    Parameters
    ----------
    widget
        Widget that appears.
    *modules
        Modules to import in the background at the same time.
    """
    _EngineStart(widget, modules).start(_START_MS)


class _EngineStart(QTimer):
    """Timer that starts the engine through a method.

    Python's garbage collection would clear a closure when a window is closed, and Qt could still
    call it before deleting the timer, which crashes.
    """

    def __init__(self, widget: QObject, modules: tuple[str, ...]) -> None:
        super().__init__(widget)
        self._modules = modules
        self.setSingleShot(True)
        self.timeout.connect(self._start_engine)

    def _start_engine(self) -> None:
        session().start_engine(*self._modules)
