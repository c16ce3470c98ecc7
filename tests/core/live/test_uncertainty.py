"""Uncertainty of classes, and the unpainted window in which it is highest."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.live.uncertainty import least_certain_window, uncertainty


@given(st.integers(2, 5), st.integers(0, 1000))
def test_it_is_0_if_certain_and_1_if_all_classes_are_equally_likely(classes, seed):
    rng = np.random.default_rng(seed)
    outputs = rng.dirichlet(np.ones(classes), (3, 4)).transpose(2, 0, 1).astype(np.float32)
    outputs[:, 0, 0] = 1 / classes
    outputs[:, 0, 1] = np.eye(classes)[0]
    found = uncertainty(outputs)
    assert found[0, 0] > 0.9999
    assert found[0, 1] < 1e-3
    assert ((found >= 0) & (found <= 1.0001)).all()
    np.testing.assert_allclose(uncertainty(outputs[::-1]), found, rtol=1e-5, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 6))
def test_no_free_window_is_less_certain(seed, side):
    rng = np.random.default_rng(seed)
    doubt, painted = rng.random((12, 15), np.float32), rng.random((12, 15)) < 0.02
    free = [
        doubt[y : y + side, x : x + side].mean()
        for y in range(13 - side)
        for x in range(16 - side)
        if not painted[y : y + side, x : x + side].any()
    ]
    window = least_certain_window(doubt, painted, side)
    if free:
        assert doubt[window].shape == (side, side)
        assert doubt[window].mean() >= max(free) - 1e-5
    assert window is None or not painted[window].any()


def test_the_window_is_smaller_between_strokes_and_in_a_small_image():
    doubt, painted = np.ones((40, 40), np.float32), np.zeros((40, 40), bool)
    painted[::12] = True
    rows, columns = least_certain_window(doubt, painted, 20)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (10, 10)
    assert least_certain_window(doubt, np.ones_like(painted), 20) is None
    small = least_certain_window(doubt[:8], np.zeros((8, 40), bool), 20)
    assert doubt[small].shape == (8, 20)
