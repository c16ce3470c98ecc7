"""A simulated user who chooses from menus, presses buttons, paints, waits and takes pictures."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari._qt.dialogs.qt_notification import NapariQtNotification
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu, QPushButton, QWidget

from napari_unet.compute import Engine
from napari_unet.gui.app.session import session

LEFT = Qt.MouseButton.LeftButton
PICTURES = "NAPARI_UNET_PICTURES"
"""Environment variable for the folder of pictures; if unset, none are taken."""


class Person:
    """A simulated user of one napari window.

    Parameters
    ----------
    viewer
        Viewer with its window on the screen.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.window: QWidget = viewer.window._qt_window
        self.window.resize(1360, 800)

    def choose(self, *path: str) -> None:
        """Choose an entry of the menu bar by its text."""
        menu: Any = self.window.menuBar()
        for words in path:
            if isinstance(menu, QMenu):
                menu.aboutToShow.emit()
            found = {a.text().replace("&", ""): a for a in menu.actions()}
            assert words in found, f"no '{words}' among {[*found]}"
            action = found[words]
            menu = action.menu()
        assert action.isEnabled(), f"{' > '.join(path)} cannot be chosen"
        action.trigger()
        self.look()

    def open(self, widget: str) -> Any:
        """Open one of the plugin's widgets from the Plugins menu and return it."""
        self.choose("Plugins", "U-Net live", f"{widget} (U-Net live)")
        return self.find(widget)

    def find(self, widget: str) -> Any:
        """Return one of the plugin's widgets if it is on the screen, otherwise None."""
        for native in self.window.findChildren(QWidget):
            form = getattr(native, "_magic_widget", None)
            if type(form).__name__ == f"{widget}Widget" and native.isVisible():
                return form
        return None

    def press(self, button: Any) -> None:
        """Press a visible, enabled button."""
        native = getattr(button, "native", button)
        assert native.isVisible()
        assert native.isEnabled(), f"'{native.text()}' cannot be pressed"
        QTest.mouseClick(native, LEFT)

    def press_text(self, container: Any, text: str) -> None:
        """Press the button of a container with this text."""
        found = [b for b in container.native.findChildren(QPushButton) if b.text() == text]
        self.press(found[0])

    def see_all(self) -> None:
        """Press the button with the house, which shows everything."""
        self.press(self.viewer.window._qt_viewer.viewerButtons.resetViewButton)
        self.look()

    def close_notes(self) -> None:
        """Close napari's notifications."""
        for note in self.window.findChildren(NapariQtNotification):
            note.close()

    def pick(self, box: Any, text: str) -> None:
        """Choose an entry of a combo box by its text."""
        index = box.native.findText(text)
        assert index >= 0, f"no '{text}' among {[*box.choices]}"
        box.native.setCurrentIndex(index)

    def click_row(self, table: Any, place: int) -> None:
        """Click a row of a table."""
        index = table.view.model().index(place, 0)
        table.view.scrollTo(index)
        point = table.view.visualRect(index).center()
        QTest.mouseClick(table.view.viewport(), LEFT, pos=point)
        self.look()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the left button over the canvas, between two points [y, x] of the world."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        points = [self._on_canvas(p) for p in np.linspace(start, end, 6)]
        QTest.mouseMove(canvas, points[0])
        self.look(0.02)
        QTest.mousePress(canvas, LEFT, pos=points[0])
        for point in points[1:]:
            QTest.mouseMove(canvas, point)
            self.look(0.02)
        QTest.mouseRelease(canvas, LEFT, pos=points[-1])
        self.look(0.05)

    def key(self, key: str) -> None:
        """Press a key over the canvas."""
        QTest.keyClick(self.viewer.window._qt_viewer.canvas.native, key)
        self.look()

    def wait(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "that did not happen"
            QApplication.processEvents()
            time.sleep(0.01)

    def look(self, seconds: float = 0.2) -> None:
        """Wait until the window is drawn."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def picture(self, name: str, widget: Any = None) -> None:
        """Save the window or one widget in both themes, if pictures are wanted."""
        folder = os.environ.get(PICTURES)
        if not folder:
            return
        for theme in ("dark", "light"):
            self.viewer.theme = theme
            self.look(0.6)
            shot = self.window.grab() if widget is None else _whole(widget)
            path = Path(folder) / f"{name}-{theme}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert shot.save(str(path)), f"{path} could not be written"
        self.viewer.theme = "dark"

    def canvas_picture(self, name: str, layer: Any) -> None:
        """Save the canvas around a layer, if pictures are wanted."""
        folder = os.environ.get(PICTURES)
        if not folder:
            return
        self.look(0.6)
        canvas = self.viewer.window._qt_viewer.canvas.native
        corners = layer.extent.world[:, -2:]
        area = QRect(self._on_canvas(corners[0]), self._on_canvas(corners[1]))
        path = Path(folder) / f"{name}.png"
        assert canvas.grab(area & canvas.rect()).save(str(path)), f"{path} could not be written"

    def _on_canvas(self, position: Any) -> QPoint:
        camera = self.viewer.scene.camera
        canvas = self.viewer.window._qt_viewer.canvas.native
        middle = np.array([canvas.height(), canvas.width()]) / 2
        y, x = middle + (np.asarray(position) - camera.center[-2:]) * camera.zoom
        return QPoint(round(x), round(y))


def _whole(widget: Any) -> Any:
    """Take a picture of a form at its docked width, cropped below its last row."""
    inner = widget.native.widget()
    height = min(inner.height(), inner.sizeHint().height())
    return inner.grab(QRect(0, 0, inner.width(), height))


class HoldingQtBot(QtBot):
    """A robot that keeps a reference to shown widgets until they are closed.

    Without it, Python could collect a widget that only the screen refers to, which does not happen
    to docked widgets in napari, and Qt would delete it while painting it.
    """

    def __init__(self, request: Any) -> None:
        super().__init__(request)
        self.held: list[QWidget] = []

    def addWidget(self, widget: QWidget, **options: Any) -> None:  # noqa: N802
        self.held.append(widget)
        super().addWidget(widget, **options)


CHECKED = {"app", "evaluate", "forms", "layers"}
"""Folders whose tests leave nothing at all; in the others, widgets start shared engines."""


@pytest.fixture
def may_be_left(request: pytest.FixtureRequest) -> frozenset[str]:
    """Return the kinds of resources that a test of this folder may leave."""
    if request.path.parent.name in CHECKED:
        return frozenset()
    return frozenset({"process", "temporary", "thread", "widget"})


@pytest.fixture
def qtbot(qapp: QApplication, request: pytest.FixtureRequest) -> Iterator[HoldingQtBot]:
    """The robot of pytest-qt, which keeps the widgets added to it until they are closed."""
    robot = HoldingQtBot(request)
    yield robot
    robot.held.clear()  # pytest keeps the robot until all fixtures have ended


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Separate folders of models and runs for the test."""
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NAPARI_UNET_DATA_FOLDER", str(tmp_path / "data"))


@pytest.fixture
def own_session(engine: Engine, own_folders: None) -> Iterator[None]:
    """Widgets use the engine of all tests and separate folders of models and runs."""
    before, session()._engine = session()._engine, engine
    yield
    session()._engine = before


@pytest.fixture
def finish(qtbot: Any, widget: Any) -> Callable[[], None]:
    """Press Predict in the test's `widget` and wait for all results."""

    def run() -> None:
        widget.predict()
        assert widget.run.busy, widget.message.text
        qtbot.waitUntil(lambda: not widget.run.busy, timeout=50_000)

    return run


@pytest.fixture
def person(make_napari_viewer: Any, own_session: None) -> Iterator[Person]:
    """A simulated user with an empty napari window and separate folders of models and runs."""
    person = Person(make_napari_viewer(show=True))
    yield person
    del person.viewer, person.window  # napari's fixture looks whether anything holds them
