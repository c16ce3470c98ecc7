"""What all widgets of one napari share: the engine, and news about models."""

from __future__ import annotations

import threading
from functools import cache

from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_unet.compute import Engine
from napari_unet.gui.app.preferences import Preferences, preferences

__all__ = ["Preferences", "Session", "preferences", "session", "start_engine_soon"]

_START_MS = 100
"""A widget is on screen first."""

_SAVE_S = 30.0
"""How long jobs may take to save when another engine takes the place of theirs."""


class Session:
    """One per process; see `session`."""

    models_changed = Signal()
    """Emitted when a model was made, renamed or removed."""

    def __init__(self) -> None:
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, started in the background when it is first asked for.

        After a change of the address in the preferences, or after `Engine.close`, a new one.
        """
        engine = self._current()
        engine.start()
        return engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = engine

    def start_engine(self, *modules: str) -> None:
        """Start the engine in the background, and import some modules there."""
        self._current().start(*modules)

    def _current(self) -> Engine:
        address = preferences().address
        engine = self._engine
        if engine is None or engine.state == "closed" or engine.address != address:
            if engine is not None:  # in the background: what it trains is saved first
                threading.Thread(target=engine.close, args=(_SAVE_S,), daemon=True).start()
            self._engine = engine = Engine(address)
        return engine


@cache
def session() -> Session:
    """Give the session of this process."""
    return Session()


def start_engine_soon(widget: QObject, *modules: str) -> None:
    """Start the engine once a widget is on screen, if it still is there then.

    Parameters
    ----------
    widget
        The widget.
    *modules
        What to import meanwhile, in the background.
    """
    _EngineStart(widget, modules).start(_START_MS)


class _EngineStart(QTimer):
    """Starts the engine by a method of its own.

    A closure would be emptied by Python's garbage collection when a window is closed, and called
    all the same where Qt deletes the timer later: that is a crash.
    """

    def __init__(self, widget: QObject, modules: tuple[str, ...]) -> None:
        super().__init__(widget)
        self._modules = modules
        self.setSingleShot(True)
        self.timeout.connect(self._start_engine)

    def _start_engine(self) -> None:
        session().start_engine(*self._modules)
