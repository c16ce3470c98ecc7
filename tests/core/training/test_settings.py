"""Training settings: a budget has exactly one unit, and contradictions are refused."""

import pytest
from pydantic import ValidationError

from napari_unet.core.errors import SettingsError
from napari_unet.core.training.settings import Budget, TrainingSettings


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ({"steps": 1}, "1 step"),
        ({"steps": 250}, "250 steps"),
        ({"epochs": 30}, "30 epochs"),
        ({"minutes": 1}, "1 minute"),
        ({"minutes": 2.5}, "2.5 minutes"),
    ],
)
def test_a_budget_reads_as_words(budget: dict[str, float], words: str) -> None:
    assert str(Budget(**budget)) == words


@pytest.mark.parametrize("budget", [{}, {"steps": 3, "epochs": 2}])
def test_a_budget_is_exactly_one_thing(budget: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="expected exactly one of steps, epochs and minutes"):
        Budget(**budget)


def test_a_patch_must_fit_the_depth() -> None:
    assert TrainingSettings(patch_px=96, depth=5).patch_px == 96
    with pytest.raises(SettingsError, match="multiple of"):
        TrainingSettings(patch_px=96, depth=6)


def test_settings_come_back_from_a_run_folder() -> None:
    chosen = TrainingSettings(budget=Budget(minutes=3), learning_rate=0.01, seed=5)
    assert TrainingSettings.model_validate_json(chosen.model_dump_json()) == chosen
    with pytest.raises(ValidationError):
        TrainingSettings.model_validate({"learning_rat": 0.01})
