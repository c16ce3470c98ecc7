"""The fields of the Train widget show settings as their class declares them."""

from typing import Any

import pytest

from napari_unet.core.settings import fields_to_show
from napari_unet.core.training.settings import TrainingSettings
from napari_unet.gui.train import fields
from napari_unet.gui.train.fields import MoreFields, StartFields, form_of
from napari_unet.gui.train.form import training_settings


def test_settings_reach_the_training_from_their_fields(qtbot: Any) -> None:
    more = MoreFields()
    qtbot.addWidget(more.native)
    more.settings.show(depth=2, base_channels=8, patch_px=64, seed=5, validation_fraction=0.25)
    start = StartFields()
    settings = training_settings(form_of(start, None, (), more, {}))
    assert (settings.depth, settings.base_channels, settings.patch_px) == (2, 8, 64)
    assert (settings.seed, settings.validation_fraction) == (5, 0.25)


def test_the_fields_begin_with_the_defaults_and_bounds_of_the_settings(qtbot: Any) -> None:
    more = MoreFields()
    qtbot.addWidget(more.native)
    for field in fields_to_show(TrainingSettings, fields._SETTINGS):
        widget = more.settings.widgets[field.name]
        assert widget.value == pytest.approx(field.default)
        assert widget.min == field.minimum


def test_one_more_name_shows_one_more_setting(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields, "_SETTINGS", (*fields._SETTINGS, "batch_size"))
    more = MoreFields()
    qtbot.addWidget(more.native)
    more.settings.show(batch_size=7)
    assert training_settings(form_of(StartFields(), None, (), more, {})).batch_size == 7
