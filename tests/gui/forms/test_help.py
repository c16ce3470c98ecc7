"""Every help button opens an existing page."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

from napari_unet.gui.evaluate.widget import EvaluateWidget
from napari_unet.gui.forms.help import HelpButton
from napari_unet.gui.predict.widget import PredictWidget
from napari_unet.gui.train.widget import TrainWidget

ROOT = Path(__file__).resolve().parents[3]
BASE = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
    "Documentation"
]

BUTTONS: dict[str, tuple[type, Callable[[Any], HelpButton]]] = {
    "guide/train": (TrainWidget, lambda widget: widget.help),
    "guide/live": (TrainWidget, lambda widget: widget.live_help),
    "guide/predict": (PredictWidget, lambda widget: widget.help),
    "guide/evaluate": (EvaluateWidget, lambda widget: widget.fields.help),
}


@pytest.mark.parametrize("page", BUTTONS)
def test_each_widget_opens_its_page(
    page: str, qtbot: Any, own_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    make, button_of = BUTTONS[page]
    widget = make(ViewerModel())
    qtbot.addWidget(widget.native)
    widget.native.show()
    button = button_of(widget)
    assert button.native.isVisible()
    button.native.click()
    assert [url.toString() for url in opened] == [f"{BASE}{page}/"]


@pytest.mark.parametrize("page", BUTTONS)
def test_the_page_exists(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    assert text.startswith("# ")
