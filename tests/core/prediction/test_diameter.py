"""The scale for objects of an estimated diameter."""

import numpy as np
import pytest
from ideal_network import KNOWN_PX, model_of

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.prediction.adaptation import ImageAdapter
from napari_unet.core.prediction.diameter import best_trial, check_estimable, fitting_scale
from napari_unet.core.prediction.scale_trial import Trial
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic


def test_objects_of_about_the_known_size_are_not_resized():
    for diameter_px in (KNOWN_PX / 1.9, KNOWN_PX, KNOWN_PX * 2.9):
        assert fitting_scale(model_of().info, diameter_px) == 1
    assert fitting_scale(model_of().info, None) == 1
    assert fitting_scale(model_of().info, 100) == 0.2
    assert fitting_scale(model_of().info, 6) == 3.33
    assert fitting_scale(model_of().info, 0.1) == 20


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task": Semantic.from_labels([np.array([0, 1])])}, "predicts classes"),
        ({"task": Instances(ndim=3), "ndim": 3}, "predicts volumes"),
    ],
)
def test_only_flat_objects_can_be_measured(values, words):
    info = model_of(**values).info
    with pytest.raises(SettingsError, match=words):
        check_estimable(info)
    assert not ImageAdapter(model_of(**values), Image(np.zeros((8, 8, 8)), "ZYX")).inverted()


def trial(scale, quality, diameter_px=20.0, count=10, looked_at_px=10_000):
    area = np.full(count, np.pi / 4 * diameter_px**2)
    return Trial(scale, area, np.full(count, float(quality)), looked_at_px)


def test_the_scale_at_which_objects_are_recognised_best_is_chosen():
    trials = [trial(2, 0.8), trial(1, 0.95), trial(0.5, 0.9), trial(0.25, 0.1)]
    assert best_trial(trials) is trials[1]
    assert best_trial([]) is None
    assert best_trial([trial(1, 0.5), trial(2, 0.9, count=0)]) is None


def test_a_few_specks_that_are_recognised_well_do_not_outweigh_the_objects():
    objects, specks = trial(1, 0.9), trial(2, 0.99, diameter_px=5, count=2)
    assert best_trial([specks, objects]) is objects


def test_a_smaller_scale_must_be_recognised_better():
    assert best_trial([trial(0.5, 0.8)]) is None
    assert best_trial([trial(2, 0.8)]) is not None
