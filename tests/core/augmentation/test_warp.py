"""Resampling: the identity warp copies, and labels are never mixed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.augmentation.warp import crop, warp, warped_grid

STILL = np.zeros((2, 1, 1), np.float32)


def plane(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image = rng.random((2, 20, 24), np.float32)
    return image, rng.integers(0, 9, (20, 24)), rng.random((20, 24)) > 0.3


def axes(top: int, left: int, size: int = 8) -> list[np.ndarray]:
    return [np.arange(top, top + size), np.arange(left, left + size)]


@given(st.integers(-6, 18), st.integers(-6, 22))
def test_warping_by_nothing_is_the_exact_crop_also_beyond_the_border(top: int, left: int) -> None:
    image, labels, annotated = plane(np.random.default_rng(0))
    where = axes(top, left)
    grid = warped_grid((10, 12), where, np.eye(2, dtype=np.float32), STILL)
    copied = crop(image, labels, annotated, where)
    warped = warp(image, labels, annotated, [], grid)
    np.testing.assert_allclose(warped[0], copied[0], atol=1e-5)
    assert np.array_equal(warped[1], copied[1])
    assert np.array_equal(warped[2], copied[2])


def test_half_a_pixel_mixes_the_image_and_not_the_labels(rng: np.random.Generator) -> None:
    image, labels, _ = plane(rng)
    half = np.full((2, 1, 1), [[[0.0]], [[0.4]]], np.float32)
    grid = warped_grid((10, 12), axes(5, 5), np.eye(2, dtype=np.float32), half)
    patch, patch_labels, inside = warp(image, labels, None, [], grid)
    expected = 0.6 * image[:, 5:13, 5:13] + 0.4 * image[:, 5:13, 6:14]
    np.testing.assert_allclose(patch, expected, atol=1e-5)
    assert np.array_equal(patch_labels, labels[5:13, 5:13])
    assert inside.all()


def test_a_copy_can_be_changed_without_changing_the_image(rng: np.random.Generator) -> None:
    image, labels, annotated = plane(rng)
    for copy, original in zip(crop(image, labels, annotated, axes(2, 2)), plane(rng), strict=True):
        copy[...] = 0
        assert not np.shares_memory(copy, original)
    assert image[:, 2:10, 2:10].any()
    assert labels[2:10, 2:10].any()
