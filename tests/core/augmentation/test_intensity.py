"""Intensity augmentation: which properties change, and which must not."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.core.augmentation.patch import sample_patch
from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.datasets.synthetic import synthetic_nuclei

_, NUCLEI = synthetic_nuclei((150, 180), n=25, seed=3)


@pytest.mark.parametrize(
    "change",
    [
        {"brightness": 0.3},
        {"contrast": 2.0},
        {"gamma": 2.0},
        {"channel_jitter": 0.2},
        {"blur_px": 3.0},
        {"noise": 0.2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_intensity_change_alters_the_image_and_nothing_else(change):
    image, labels = synthetic_nuclei((64, 64), n=6, seed=0, dtype=np.float32)
    colours = np.stack([image, image * 0.5, image * 1.3 - 0.1])
    settings = Augmentation(intensity_probability=1, **change)
    patch, moved, inside = sample_patch(
        colours, labels, None, (32, 32), (64, 64), settings, np.random.default_rng(0)
    )
    assert np.abs(patch - colours).max() > 0.01
    np.testing.assert_array_equal(moved, labels)
    assert inside.all()


def test_gamma_keeps_the_order_of_values_beyond_0_and_1():
    """Values outside 0..1 of normalised images yield no NaN, no clipping and no new ties."""
    ramp = np.linspace(-1, 3, 4096, dtype=np.float32).reshape(1, 64, 64)
    settings = Augmentation(intensity_probability=1, gamma=3)
    for seed in range(10):
        patch, _, _ = sample_patch(
            ramp,
            np.zeros((64, 64), np.uint8),
            None,
            (32, 32),
            (64, 64),
            settings,
            np.random.default_rng(seed),
        )
        assert np.all(np.diff(patch.ravel()) > -1e-6)
        np.testing.assert_allclose([patch.min(), patch.max()], [-1, 3], atol=1e-5)


def test_only_channel_jitter_changes_channels_apart():
    image = np.repeat(np.random.default_rng(0).random((1, 32, 32), np.float32), 3, axis=0)
    labels = np.zeros((32, 32), np.uint8)

    def spread(**change):
        settings = Augmentation(intensity_probability=1, **change)
        rng = np.random.default_rng(0)
        patch, _, _ = sample_patch(image, labels, None, (16, 16), (32, 32), settings, rng)
        return float(np.ptp(patch, axis=0).max())

    assert spread(brightness=0.2, contrast=2, gamma=2) < 1e-6
    assert spread(channel_jitter=0.1) > 0.005
