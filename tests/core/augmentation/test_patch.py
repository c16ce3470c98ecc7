"""Patches: labels stay exact, image and labels move together, and seeds are reproducible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from napari_unet.core.augmentation.patch import sample_patch
from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import ImageError, LabelsError

GEOMETRY = Augmentation(
    flips=True,
    quarter_turns=True,
    shift_px=12,
    rotation_deg=180,
    scale=(0.6, 1.6),
    shear_deg=15,
    elastic_px=10,
    elastic_scale_px=32,
)
_, NUCLEI = synthetic_nuclei((150, 180), n=25, seed=3)
PRESETS = ["none", "light", "standard"]


@pytest.fixture
def plane() -> tuple[np.ndarray, np.ndarray]:
    image, labels = synthetic_nuclei((150, 180), n=25, seed=3, dtype=np.float32)
    return image[None], labels


def lengths() -> st.SearchStrategy[int]:
    return st.integers(1, 90)


@given(lengths(), lengths(), lengths(), lengths(), st.integers(0, 89), st.integers(0, 89))
def test_none_is_the_exact_crop_and_mirrors_outside(height, width, patch_h, patch_w, y, x):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, height, width)).astype(np.float32)
    labels = rng.integers(1, 99, (height, width)).astype(np.uint16)
    centre = (y % height, x % width)

    patch, patch_labels, inside = sample_patch(
        image, labels, None, centre, (patch_h, patch_w), Augmentation.preset("none"), rng
    )

    top, left = 100 + centre[0] - patch_h // 2, 100 + centre[1] - patch_w // 2
    box = (..., slice(top, top + patch_h), slice(left, left + patch_w))
    around = [(100, 100), (100, 100)]
    np.testing.assert_array_equal(patch, np.pad(image, [(0, 0), *around], mode="reflect")[box])
    np.testing.assert_array_equal(patch_labels, np.pad(labels, around)[box])
    np.testing.assert_array_equal(inside, np.pad(np.ones(labels.shape, bool), around)[box])
    assert patch.dtype == np.float32
    assert patch_labels.dtype == np.uint16


@examples(max_examples=50)
@given(
    st.integers(0, 2**32),
    st.sampled_from([np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64]),
    lengths(),
    lengths(),
)
def test_labels_come_back_as_they_were(seed, dtype, height, width):
    largest = min(np.iinfo(dtype).max, 2**63 - 1)
    ids = np.unique(np.array([0, 1, 254, largest - 1, largest], dtype))
    rng = np.random.default_rng(seed)
    labels = rng.choice(ids, (height, width))
    image = rng.random((1, height, width), np.float32)

    _, patch_labels, inside = sample_patch(
        image, labels, None, (height // 2, width // 2), (48, 64), GEOMETRY, rng
    )

    assert patch_labels.dtype == dtype
    assert set(np.unique(patch_labels)) <= set(ids)
    assert not patch_labels[~inside].any()


def test_ids_above_two_to_the_24_stay_apart():
    labels = np.where(np.arange(200)[:, None] < 100, 20_000_001, 20_000_002).astype(np.int32)
    labels = np.repeat(labels, 200, axis=1)
    image = np.zeros((1, 200, 200), np.float32)
    small = Augmentation(rotation_deg=180)
    _, moved, _ = sample_patch(
        image, labels, None, (100, 100), (64, 64), small, np.random.default_rng(1)
    )
    assert set(np.unique(moved)) == {20_000_001, 20_000_002}


@given(st.integers(0, 2**32), st.integers(-20, 170), st.integers(-20, 200))
def test_image_and_labels_come_from_the_same_place(seed, y, x):
    """The image encodes the position of each pixel, the labels the nearest pixel to it."""
    place = np.stack(np.mgrid[:150, :180]).astype(np.float32)
    index = np.arange(150 * 180).reshape(150, 180)
    rng = np.random.default_rng(seed)

    image, moved, inside = sample_patch(place, index, None, (y, x), (80, 100), GEOMETRY, rng)

    away = np.abs(image - np.stack(np.unravel_index(moved, index.shape)))[:, inside]
    assert (away <= 0.5 + 1e-3).all()


def test_labels_lie_on_their_nuclei():
    foreground = (NUCLEI > 0).astype(np.float32)[None]
    for seed in range(30):
        rng = np.random.default_rng(seed)
        image, moved, inside = sample_patch(
            foreground, NUCLEI, None, (75, 90), (80, 100), GEOMETRY, rng
        )
        assert np.mean(((image[0] > 0.5) == (moved > 0))[inside]) > 0.98


@pytest.mark.parametrize("name", PRESETS)
def test_the_same_seed_gives_the_same_patch(plane, name):
    settings = Augmentation.preset(name)

    def draw(seed):
        rng = np.random.default_rng(seed)
        return [sample_patch(*plane, None, (70, 80), (64, 64), settings, rng) for _ in range(5)]

    for first, second in zip(draw(7), draw(7), strict=True):
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a, b)
    changed = any(not np.array_equal(a[0], b[0]) for a, b in zip(draw(7), draw(8), strict=True))
    assert changed == (name != "none")


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("size", [(64, 64), (33, 70)])
def test_patches_are_fresh_finite_arrays_of_the_size_asked_for(plane, name, size):
    image, labels = plane
    before = image.copy(), labels.copy()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        parts = sample_patch(image, labels, None, (75, 90), size, Augmentation.preset(name), rng)
        assert [p.shape for p in parts] == [(1, *size), size, size]
        assert [p.dtype for p in parts] == [np.float32, labels.dtype, bool]
        assert all(p.flags.c_contiguous and p.flags.writeable for p in parts)
        assert not any(np.shares_memory(p, q) for p in parts for q in plane)
        assert np.isfinite(parts[0]).all()
        for part in parts:
            part[:] = 0
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize("settings", [Augmentation(), GEOMETRY], ids=["crop", "warp"])
def test_inside_is_the_annotated_area(settings):
    """An annotated area equal to the labels' foreground must move exactly as they do."""
    _, labels = synthetic_nuclei((120, 120), n=20, seed=1)
    image = np.zeros((1, 120, 120), np.float32)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        _, moved, inside = sample_patch(
            image, labels, labels > 0, (10, 60), (96, 96), settings, rng
        )
        np.testing.assert_array_equal(inside, moved > 0)
        assert inside.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 5), (40, 30)])
@pytest.mark.parametrize("name", PRESETS)
def test_a_plane_smaller_than_the_patch_fills_it_by_reflection(shape, name):
    rng = np.random.default_rng(0)
    image = rng.uniform(0.4, 0.6, (3, *shape)).astype(np.float32)
    labels = np.full(shape, 5, np.uint8)
    quiet = Augmentation.preset(name).model_copy(update={"intensity_probability": 0})
    seen = 0
    for _ in range(10):
        patch, patch_labels, inside = sample_patch(
            image, labels, None, (shape[0] // 2, shape[1] // 2), (64, 64), quiet, rng
        )
        assert 0.399 < patch.min() <= patch.max() < 0.601
        seen += inside.any()
        assert not inside.all()
        np.testing.assert_array_equal(patch_labels, np.where(inside, 5, 0))
    assert seen >= 5  # if scaled down, a single pixel can fall between two of the patch


def test_the_corners_of_a_turned_patch_come_from_the_image_around_it():
    image = np.random.default_rng(0).random((1, 300, 300), np.float32)
    labels = np.ones((300, 300), np.uint8)
    for seed in range(20):
        _, _, inside = sample_patch(
            image,
            labels,
            None,
            (150, 150),
            (128, 128),
            Augmentation(rotation_deg=180),
            np.random.default_rng(seed),
        )
        assert inside.all()


def test_scale_magnifies():
    """Objects in the patch are magnified by the factor in the settings."""
    y, x = np.mgrid[:400, :400] - 200
    labels = (y**2 + x**2 < 40**2).astype(np.uint8)
    image = labels[None].astype(np.float32)
    twice = Augmentation(scale=(2, 2))
    _, moved, _ = sample_patch(
        image, labels, None, (200, 200), (200, 200), twice, np.random.default_rng(0)
    )
    assert moved.sum() / labels.sum() == pytest.approx(4, rel=0.01)


@given(st.integers(0, 2**32))
def test_elastic_deformation_never_folds(seed):
    """Along a ramp, warped coordinates keep ascending even at the largest allowed amplitude."""
    ramps = np.stack(np.broadcast_arrays(*np.ogrid[:200, :200])).astype(np.float32)
    strongest = Augmentation(elastic_px=0.48 * 20, elastic_scale_px=20)
    (y, x), _, _ = sample_patch(
        ramps,
        np.zeros((200, 200), np.uint8),
        None,
        (100, 100),
        (120, 120),
        strongest,
        np.random.default_rng(seed),
    )
    jacobian = np.gradient(y, axis=0) * np.gradient(x, axis=1)
    jacobian -= np.gradient(y, axis=1) * np.gradient(x, axis=0)
    assert jacobian.min() > 0
    start = np.arange(40, 160)
    assert np.abs(y - start[:, None]).max() <= 0.48 * 20 + 1e-3


def test_flips_and_quarter_turns_reach_all_eight_orientations_and_interpolate_nothing():
    image = np.random.default_rng(0).random((1, 50, 50), np.float32)
    labels = np.arange(2500).reshape(50, 50)
    settings = Augmentation(flips=True, quarter_turns=True)
    corners = set()
    for seed in range(100):
        patch, moved, _ = sample_patch(
            image, labels, None, (25, 25), (50, 50), settings, np.random.default_rng(seed)
        )
        np.testing.assert_array_equal(patch[0], image[0].ravel()[moved])
        corners.add((int(moved[0, 0]), int(moved[0, -1])))
    assert len(corners) == 8


def test_shift_stays_in_the_image():
    image = np.random.default_rng(0).random((1, 100, 100), np.float32)
    labels = np.arange(10_000).reshape(100, 100)
    shifted = Augmentation(shift_px=30)
    firsts = set()
    for seed in range(30):
        _, moved, inside = sample_patch(
            image, labels, None, (32, 50), (64, 64), shifted, np.random.default_rng(seed)
        )
        assert inside.all()
        firsts.add(int(moved[0, 0]))
    assert len(firsts) > 10


def test_volumes_turn_in_the_plane_alike_in_all_z():
    _, labels = synthetic_nuclei((120, 120), n=15, seed=2)
    volume = np.stack([labels, labels, np.zeros_like(labels), labels])
    image = (volume > 0).astype(np.float32)[None]
    for seed in range(10):
        rng = np.random.default_rng(seed)
        patch, moved, inside = sample_patch(
            image, volume, volume >= 0, (2, 60, 60), (6, 64, 48), GEOMETRY, rng
        )
        assert patch.shape == (1, 6, 64, 48)
        planes = np.flatnonzero(inside.any(axis=(1, 2)))
        assert planes.tolist() in ([1, 2, 3, 4], [1, 2, 3, 4][::-1], [1, 2, 3, 4])
        empty = [z for z in planes if not moved[z].any()]
        assert len(empty) == 1
        full = [z for z in planes if z not in empty]
        assert all(np.array_equal(moved[z], moved[full[0]]) for z in full)
        assert not patch[0, empty[0]].any()


@pytest.mark.parametrize("settings", [Augmentation(), GEOMETRY], ids=["crop", "warp"])
def test_only_the_region_around_the_patch_is_touched(settings):
    """A copy of this plane, a 4 TB view of a single row, would run out of memory."""
    side = 10**6
    row = np.where(np.arange(side) < side // 2, 0, 9).astype(np.uint16)
    labels = np.broadcast_to(row, (side, side))
    image = np.broadcast_to(np.float32(0.5), (1, side, side))
    patch, moved, inside = sample_patch(
        image,
        labels,
        None,
        (side // 2, side // 2),
        (96, 96),
        settings,
        np.random.default_rng(0),
    )
    np.testing.assert_allclose(patch, 0.5, atol=1e-6)
    assert set(np.unique(moved)) == {0, 9}
    assert inside.all()


def test_shapes_that_do_not_fit_are_said_in_a_sentence(plane):
    image, labels = plane
    rng, none = np.random.default_rng(0), Augmentation()
    with pytest.raises(LabelsError, match=r"labels have shape \(150, 179\)"):
        sample_patch(image, labels[:, 1:], None, (5, 5), (8, 8), none, rng)
    with pytest.raises(LabelsError, match="annotated area has"):
        sample_patch(image, labels, labels[1:] > 0, (5, 5), (8, 8), none, rng)
    with pytest.raises(ImageError, match="3 dimension\\(s\\)"):
        sample_patch(image, labels, None, (5, 5), (8, 8, 8), none, rng)
