import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.prediction.rescale import (
    regridded_labels,
    rescaled,
    scaled_shape,
)


def computed(lazy):
    return lazy.compute(scheduler="synchronous")


def discs(shape, scale=1.0):
    """Twelve touching discs and their soft foreground, drawn on a grid enlarged by `scale`."""
    new = scaled_shape(shape, scale)
    y, x = ((i + 0.5) * n / m - 0.5 for i, n, m in zip(np.indices(new), shape, new, strict=True))
    labels = np.zeros(y.shape, np.uint16)
    depth = np.full(y.shape, -np.inf)
    for i, (cy, cx) in enumerate(np.ndindex(3, 4), start=1):
        inside = 10.2 - np.hypot(y - 12 - 21 * cy, x - 12 - 20 * cx)
        nearer = inside > depth
        depth[nearer] = inside[nearer]
        labels[nearer & (inside > 0)] = i
    return labels, (1 / (1 + np.exp(-depth * scale))).astype(np.float32)


def mean_iou(found, truth):
    ious = [
        ((found == i) & (truth == i)).sum() / ((found == i) | (truth == i)).sum()
        for i in range(1, 13)
    ]
    return np.mean(ious)


@settings(max_examples=25)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.floats(-5, 5),
    st.floats(-5, 5),
)
def test_a_slope_stays_the_same_slope_and_means_are_kept(shape, new, a, b):
    y, x = np.indices(shape)
    found = computed(rescaled((a * y + b * x + 7.0)[None], new))[0]
    assert found.shape == new
    old_y, old_x = (
        (i + 0.5) * n / m - 0.5 for i, n, m in zip(np.indices(new), shape, new, strict=True)
    )
    radius = [max(1, n / m) for n, m in zip(shape, new, strict=True)]
    inner = (old_y >= radius[0] - 0.5) & (old_y <= shape[0] - 0.5 - radius[0])
    inner &= (old_x >= radius[1] - 0.5) & (old_x <= shape[1] - 0.5 - radius[1])
    # Averages of an odd or even number of pixels differ from the slope by rounding of the window.
    window = 0.1 * (abs(a) * (radius[0] > 1) + abs(b) * (radius[1] > 1))
    np.testing.assert_allclose(found[inner], (a * old_y + b * old_x + 7)[inner], atol=1e-3 + window)


def test_shrinking_averages_instead_of_picking(rng):
    noise = rng.normal(100, 20, (1, 400, 400))
    assert computed(rescaled(noise, (40, 40))).std() < 4
    assert computed(rescaled(noise, (40, 40))).mean() == pytest.approx(noise.mean(), abs=1)


@pytest.mark.parametrize("new", [(700, 1300), (90, 130), (300, 300)])
def test_any_part_is_that_of_the_whole(monkeypatch, rng, new):
    data = rng.integers(0, 60_000, (2, 200, 310)).astype(np.uint16)
    whole = computed(rescaled(data, new))
    monkeypatch.setattr("napari_unet.core.prediction.rescale._CHUNK_PX", 64)
    lazy = rescaled(da.from_array(data, chunks=(1, 70, 33)), new)
    assert lazy.numblocks[1] > 1
    np.testing.assert_array_equal(computed(lazy), whole)
    np.testing.assert_array_equal(computed(lazy[1, 17:80, 33:101]), whole[1, 17:80, 33:101])


@pytest.mark.parametrize("scale", [0.2, 0.34, 0.5, 0.8, 1.7, 3.0])
def test_labels_come_back_with_round_outlines(scale):
    truth, _ = discs((66, 84))
    coarse, foreground = discs((66, 84), scale)
    fine = rescaled(foreground[None], truth.shape)[0]
    found = computed(regridded_labels(coarse, fine, 0.5, truth.shape))
    assert found.dtype == coarse.dtype
    assert mean_iou(found, truth) > (0.84 if scale < 0.3 else 0.92)
    blocky = coarse[
        tuple(
            ((i + 0.5) * m / n).astype(int)
            for i, n, m in zip(np.indices(truth.shape), truth.shape, coarse.shape, strict=True)
        )
    ]
    if scale < 1:
        assert mean_iou(found, truth) > mean_iou(blocky, truth) + 0.01


def test_labels_do_not_depend_on_the_chunks(monkeypatch):
    coarse, foreground = discs((66, 84), 0.4)
    fine = rescaled(foreground[None], (66, 84))[0]
    whole = computed(regridded_labels(coarse, fine, 0.5, (66, 84)))
    monkeypatch.setattr("napari_unet.core.prediction.rescale._CHUNK_PX", 13)
    lazy = regridded_labels(da.from_array(coarse, chunks=7), fine, 0.5, (66, 84))
    np.testing.assert_array_equal(computed(lazy), whole)


def test_a_volume_of_one_plane_and_labels_of_one_pixel():
    volume = computed(rescaled(np.ones((2, 1, 5, 6)), (1, 10, 3)))
    np.testing.assert_array_equal(volume, np.ones((2, 1, 10, 3)))
    one = regridded_labels(np.array([[7]]), np.ones((4, 3)), 0.5, (4, 3))
    np.testing.assert_array_equal(computed(one), np.full((4, 3), 7))
