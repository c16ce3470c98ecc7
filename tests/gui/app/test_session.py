import subprocess
import sys
from dataclasses import replace

import pytest
from qtpy.QtCore import QObject

from napari_unet.gui.app import session as module
from napari_unet.gui.app.session import Session, preferences, session, start_engine_soon


class FakeEngine:
    """An engine that records its calls."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.state = "new"

    def start(self, *modules: str) -> None:
        if self.state == "new":
            self.state = "starting"

    def close(self, timeout_s: float = 5) -> None:
        self.state = "closed"


@pytest.fixture
def fake_session(monkeypatch) -> Session:
    monkeypatch.setattr(module, "Engine", FakeEngine)
    return Session()


def test_there_is_one_session() -> None:
    assert session() is session()


def test_the_engine_starts_when_it_is_asked_for_and_stays(fake_session) -> None:
    engine = fake_session.engine
    assert engine.state == "starting"
    assert fake_session.engine is engine


def test_a_closed_engine_is_replaced(fake_session) -> None:
    first = fake_session.engine
    first.close()
    assert fake_session.engine is not first


def test_another_address_makes_another_engine(fake_session, monkeypatch, qtbot) -> None:
    first = fake_session.engine
    elsewhere = replace(preferences(), address="tcp://elsewhere:8786")
    monkeypatch.setattr(module, "preferences", lambda: elsewhere)
    assert fake_session.engine.address == "tcp://elsewhere:8786"
    qtbot.waitUntil(lambda: first.state == "closed")


def test_widgets_hear_of_new_models(fake_session) -> None:
    heard: list[bool] = []
    fake_session.models_changed.connect(lambda: heard.append(True))
    fake_session.models_changed.emit()
    assert heard == [True]


def test_the_engine_starts_for_a_widget_that_is_still_there(
    fake_session, monkeypatch, qtbot
) -> None:
    monkeypatch.setattr(module, "session", lambda: fake_session)
    gone, there = QObject(), QObject()
    start_engine_soon(gone)
    gone.deleteLater()
    qtbot.wait(300)
    assert fake_session._engine is None
    start_engine_soon(there)
    assert fake_session._engine is None  # the widget is drawn first
    qtbot.waitUntil(lambda: fake_session._engine is not None)


_CLOSED_WINDOW = """
import gc, sys, time
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget
from napari_unet.gui.app.session import session, start_engine_soon

app = QApplication([])

def open_and_close():
    window, widget = QMainWindow(), QWidget()
    dock = QDockWidget(window)
    dock.setWidget(widget)
    window.me, widget.window_of = window, window  # cycles, as napari's windows have
    start_engine_soon(widget, "colorsys")
    window.show()
    window.deleteLater()  # by the event loop, later than Python's garbage collection

open_and_close()
gc.collect()
end = time.monotonic() + 0.5
while time.monotonic() < end:
    app.processEvents()
    time.sleep(0.01)
print("engine:", session()._engine)
"""


def test_a_window_closed_at_once_does_no_harm() -> None:
    # a closure as the timer's slot ends this with a segmentation fault
    done = subprocess.run([sys.executable, "-c", _CLOSED_WINDOW], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "engine: None\n"
