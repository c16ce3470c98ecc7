"""Synthetic nuclei: labels are exact and visible in the image, and seeds are reproducible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label, regionprops

from napari_unet.core.datasets.synthetic import synthetic_dataset, synthetic_nuclei
from napari_unet.core.errors import SettingsError


def contacts(labels: np.ndarray) -> int:
    """Count neighbouring pixels that belong to different nuclei."""
    pairs = [(labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])]
    return sum(int(((a != b) & (a > 0) & (b > 0)).sum()) for a, b in pairs)


@settings(max_examples=25)
@given(
    st.integers(0, 2**32),
    st.integers(0, 60),
    st.floats(4, 60),
    st.floats(0, 1),
    st.integers(1, 160),
    st.integers(1, 160),
)
def test_every_nucleus_is_one_piece_and_ids_are_consecutive(seed, n, diameter, touching, h, w):
    image, labels = synthetic_nuclei((h, w), n, (diameter, diameter * 1.5), seed, touching=touching)
    assert image.shape == labels.shape == (h, w)
    count = int(labels.max())
    assert count <= n
    assert np.array_equal(np.unique(labels[labels > 0]), np.arange(1, count + 1))
    assert len(regionprops(label(labels, background=0, connectivity=2))) <= count
    for nucleus in regionprops(labels):
        assert label(nucleus.image, connectivity=1).max() == 1


def test_the_number_asked_for_is_drawn_where_there_is_room():
    for n in (0, 1, 40):
        assert synthetic_nuclei(n=n)[1].max() == n
    full = synthetic_nuclei((128, 128), n=5000)[1]
    assert 20 < full.max() < 200


@pytest.mark.parametrize("diameter", [8, 20, 60, 120])
def test_diameters_are_those_asked_for(diameter):
    shape = (6 * diameter, 6 * diameter)
    _, labels = synthetic_nuclei(shape, 12, (diameter, diameter), touching=0)
    whole = [
        r.equivalent_diameter_area
        for r in regionprops(labels)
        if min(r.bbox[:2]) > 0 and max(r.bbox[2:]) < shape[0]
    ]
    assert len(whole) >= 3
    assert np.median(whole) == pytest.approx(diameter, rel=0.08)


def test_nuclei_touch_as_much_as_asked_for():
    none, some, all_ = (
        sum(contacts(synthetic_nuclei(seed=s, touching=t)[1]) for s in range(3))
        for t in (0, 0.3, 1)
    )
    assert none == 0
    assert some > 50
    assert all_ > 2 * some


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("inverted", [False, True])
def test_the_picture_shows_the_labels_in_every_type(dtype, inverted):
    image, labels = synthetic_nuclei(seed=1, dtype=dtype, inverted=inverted)
    assert image.dtype == dtype
    largest = 1 if dtype is np.float32 else np.iinfo(dtype).max
    inside, outside = np.median(image[labels > 0]), np.median(image[labels == 0])
    assert abs(float(inside) - float(outside)) > 0.2 * largest
    assert (inside < outside) == inverted
    assert image.max() <= largest
    assert np.mean(image == largest) < 0.02


def test_noise_and_background_are_as_strong_as_asked_for():
    def background(**options):
        image, labels = synthetic_nuclei(n=10, dtype=np.float32, touching=0, **options)
        return image[labels == 0]

    plain = background(noise=0, background_gradient=0)
    assert np.mean(plain == plain.min()) > 0.1  # flat except for the light of the nuclei
    noisy, quiet = (background(noise=n, background_gradient=0).std() for n in (0.1, 0.02))
    assert noisy > 2 * quiet
    uneven = background(noise=0, background_gradient=0.4)
    assert np.percentile(uneven, 98) - np.percentile(uneven, 2) > 0.15


def test_the_seed_decides():
    first, again, other = (synthetic_nuclei(seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_a_data_set_varies_and_its_first_images_do_not_depend_on_its_length():
    short, long = synthetic_dataset(2, seed=4), synthetic_dataset(4, seed=4)
    assert len(long) == 4
    for a, b in zip(short, long, strict=False):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
    counts = [int(labels.max()) for _, labels in long]
    assert len(set(counts)) > 1
    assert all(20 <= c <= 50 for c in counts)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": -1}, "n is -1"),
        ({"shape": (0, 10)}, "a height and a width"),
        ({"diameter_px": (30, 14)}, "the smallest and the largest"),
        ({"diameter_px": (2, 14)}, "between 4 and 500"),
        ({"touching": 1.5}, "share from 0 to 1"),
        ({"noise": -0.1}, "noise is -0.1"),
        ({"background_gradient": 2}, "background_gradient is 2"),
        ({"dtype": np.int64}, "expected uint8, uint16 or float32"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(options, sentence):
    with pytest.raises(SettingsError, match=sentence):
        synthetic_nuclei(**options)


def test_a_data_set_with_impossible_numbers_is_refused():
    with pytest.raises(SettingsError, match="-1 images"):
        synthetic_dataset(-1)
    with pytest.raises(SettingsError, match="smallest and largest"):
        synthetic_dataset(2, n=(50, 20))
