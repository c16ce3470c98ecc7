import pytest

from napari_unet.core.training.presets import PRESETS, plan_for, preset_values
from napari_unet.core.training.settings import TrainingSettings


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("fine_tuning", [False, True])
def test_every_preset_is_a_whole_training(preset, fine_tuning):
    settings = TrainingSettings(**preset_values(preset, fine_tuning=fine_tuning))
    assert (settings.budget.minutes or settings.budget.steps) > 0


@pytest.mark.parametrize("effort", ["quick", "standard", "thorough"])
def test_a_trained_network_gets_a_gentler_and_shorter_schedule(effort):
    scratch, tuning = (plan_for(effort, fine_tuning=tuning) for tuning in (False, True))
    assert tuning.learning_rate < scratch.learning_rate
    assert tuning.minutes < scratch.minutes
