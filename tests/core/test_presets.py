import numpy as np
import pytest

from napari_unet.core.config import TrainingSettings
from napari_unet.core.presets import PRESETS, plan_for, preset_values


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


def test_stained_tissue_looks_alike_with_many_nuclei_and_with_few(rng):
    normalization = preset_values("nuclei-brightfield", fine_tuning=True)["normalization"]
    background, nucleus = np.array([176, 156, 208]), np.array([90, 60, 160])

    def seen(nuclei: int) -> np.ndarray:
        image = np.tile(background[:, None, None], (1, 256, 256))
        for y, x in rng.integers(0, 240, (nuclei, 2)):
            image[:, y : y + 12, x : x + 12] = nucleus[:, None, None]
        noisy = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
        return np.median(normalization(noisy, rgb=True), axis=(1, 2))

    np.testing.assert_allclose(seen(2), seen(80), atol=0.05)
