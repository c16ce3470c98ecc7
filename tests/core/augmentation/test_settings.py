"""Settings of the augmentation: presets, bounds and contradictions."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.errors import SettingsError

PRESETS = ["none", "light", "standard"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"scale": (1.5, 0.5)}, "scale is 1.5 to 0.5"),
        ({"scale": (0, 1)}, "between 0.1 and 10"),
        ({"elastic_px": 30, "elastic_scale_px": 20}, "could fold"),
    ],
)
def test_settings_that_contradict_each_other_are_said_in_a_sentence(settings, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Augmentation(**settings)


@pytest.mark.parametrize("settings", [{"noise": -1}, {"rotate": 90}, {"rotation_deg": 200}])
def test_settings_out_of_range_or_unknown_are_refused(settings):
    with pytest.raises(ValidationError):
        Augmentation(**settings)


def test_settings_survive_json():
    for name in PRESETS:
        settings = Augmentation.preset(name)
        assert Augmentation.model_validate_json(settings.model_dump_json()) == settings


def test_an_unknown_preset_names_those_that_exist():
    with pytest.raises(SettingsError, match=r"'strong'.*none, light, standard"):
        Augmentation.preset("strong")
