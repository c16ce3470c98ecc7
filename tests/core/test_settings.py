"""Settings are immutable, and errors name each wrong value and what was expected."""

from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from napari_unet.core.errors import SettingsError
from napari_unet.core.settings import Settings, parse_settings


class Brush(Settings):
    size_px: Annotated[int, Field(ge=1)] = 10
    colour: str = "red"


def test_each_wrong_value_is_named_in_one_sentence() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(Brush, {"size_px": 0, "color": "blue"})
    text = str(caught.value)
    assert "size_px: input should be greater than or equal to 1, got 0" in text
    assert "color: there is no such setting, expected one of size_px, colour" in text
    assert text.count("\n") == 0


def test_settings_do_not_change_once_made() -> None:
    brush = parse_settings(Brush, {"size_px": 3})
    assert brush == Brush(size_px=3)
    with pytest.raises(ValidationError):
        brush.size_px = 4
