import numpy as np
import pytest

from napari_unet.core.augmentation.empty_patches import empty_patch
from napari_unet.core.augmentation.patch import sample_patch
from napari_unet.core.augmentation.settings import Augmentation


@pytest.mark.parametrize("shape", [(1, 64, 48), (3, 40, 56), (2, 4, 40, 40)])
def test_empty_patches_are_backgrounds_in_the_range_of_normalised_images(shape, rng):
    patches = [empty_patch(shape, rng) for _ in range(20)]
    assert all(p.shape == shape and p.dtype == np.float32 for p in patches)
    assert all(np.isfinite(p).all() for p in patches)
    middle = np.stack([np.percentile(p, [5, 95]) for p in patches])
    assert middle.min() > -1
    assert middle.max() < 2
    assert np.ptp(middle, axis=1).max() > 0.5  # some backgrounds fill the range


def test_the_same_seed_draws_the_same_patch():
    first, again = (empty_patch((1, 64, 64), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_some_training_patches_are_empty():
    image = np.full((1, 64, 64), 9, np.float32)
    labels = np.ones((64, 64), np.uint8)
    settings, rng = Augmentation(empty=0.25), np.random.default_rng(0)
    empty = 0
    for _ in range(200):
        patch, mask, inside = sample_patch(image, labels, None, (32, 32), (32, 32), settings, rng)
        assert inside.all()
        if not mask.any():
            empty += 1
            assert patch.max() < 3
        else:
            assert (patch == 9).all()
    assert 30 < empty < 70
