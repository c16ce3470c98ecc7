"""Regions are predicted exactly as in the whole image."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from live_training import QUICK, TASK, learn

from napari_unet.core.live.regions import bounds
from napari_unet.core.live.trainer import LiveTraining


def test_a_region_is_predicted_as_the_whole_image(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 3)
    region = (slice(70, 101), slice(90, 131))
    whole = training.outputs("cells")[(slice(None), *region)]
    np.testing.assert_allclose(training.outputs("cells", region), whole, atol=1e-5)


EDGE = st.none() | st.integers(-30, 30)


@given(st.tuples(EDGE, EDGE, EDGE, EDGE), st.integers(1, 20), st.integers(1, 20))
def test_bounds_are_those_of_the_slices(edges, height, width):
    image = np.arange(height * width).reshape(height, width)
    region = slice(*edges[:2]), slice(*edges[2:])
    top, bottom, left, right = bounds(region, image.shape)
    np.testing.assert_array_equal(
        image[top : max(top, bottom), left : max(left, right)], image[region]
    )
    assert bounds(None, image.shape) == (0, height, 0, width)
