from dataclasses import replace

import pytest

from napari_unet.gui import session as module
from napari_unet.gui.session import Session, preferences, session


class FakeEngine:
    """Knows what happened to it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.state = "new"

    def start(self) -> None:
        if self.state == "new":
            self.state = "starting"

    def close(self, timeout_s: float = 5) -> None:
        self.state = "closed"


@pytest.fixture
def own_session(monkeypatch) -> Session:
    monkeypatch.setattr(module, "Engine", FakeEngine)
    return Session()


def test_there_is_one_session() -> None:
    assert session() is session()


def test_the_engine_starts_when_it_is_asked_for_and_stays(own_session) -> None:
    engine = own_session.engine
    assert engine.state == "starting"
    assert own_session.engine is engine


def test_a_closed_engine_is_replaced(own_session) -> None:
    first = own_session.engine
    first.close()
    assert own_session.engine is not first


def test_another_address_makes_another_engine(own_session, monkeypatch, qtbot) -> None:
    first = own_session.engine
    elsewhere = replace(preferences(), address="tcp://elsewhere:8786")
    monkeypatch.setattr(module, "preferences", lambda: elsewhere)
    assert own_session.engine.address == "tcp://elsewhere:8786"
    qtbot.waitUntil(lambda: first.state == "closed")


def test_widgets_hear_of_new_models(own_session) -> None:
    heard: list[bool] = []
    own_session.models_changed.connect(lambda: heard.append(True))
    own_session.models_changed.emit()
    assert heard == [True]
