"""What a network learns of objects."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.targets import contact_zone, relative_distance, spread


@pytest.mark.parametrize("shape", [(23, 17), (3, 2), (1, 1), (6, 9, 8)])
@pytest.mark.parametrize("radius", [1, 2])
def test_spreading_gives_what_the_filters_of_scipy_give(shape, radius, rng) -> None:
    values = rng.integers(0, 50, shape).astype(np.int32)
    before = values.copy()
    side = 2 * radius + 1
    largest, smallest = (spread(values, f, radius) for f in (np.maximum, np.minimum))
    np.testing.assert_array_equal(largest, ndimage.maximum_filter(values, side))
    np.testing.assert_array_equal(smallest, ndimage.minimum_filter(values, side))
    mask = values > 45
    square = np.ones((side,) * len(shape))
    dilated = ndimage.binary_dilation(mask, square)
    np.testing.assert_array_equal(spread(mask, np.logical_or, radius), dilated)
    np.testing.assert_array_equal(values, before)


def test_objects_touch_up_to_four_pixels_apart() -> None:
    labels = np.zeros((9, 20), np.intp)
    labels[:, 2:6], labels[:, 9:12], labels[:, 17:] = 3, 1, 2
    zone = contact_zone(labels)
    assert zone[:, 6:9].all()
    assert not zone[:, 14].any()
    assert not contact_zone(np.where(labels == 3, 0, labels)).any()


def test_distance_is_that_to_the_outline_whatever_lies_beyond_the_edges() -> None:
    labels = np.zeros((9, 12), np.intp)
    labels[1:6, 1:6], labels[1:6, 6:] = 4, 2
    square = [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 2, 3, 2, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]
    at_the_edge = [[1, 1, 1], [1, 2, 2], [1, 2, 3], [1, 2, 2], [1, 1, 1]]
    distance = relative_distance(labels)
    np.testing.assert_allclose(distance[1:6, 1:6], np.divide(square, 3), rtol=1e-6)
    np.testing.assert_allclose(distance[1:6, 6:9], np.divide(at_the_edge, 3), rtol=1e-6)
    np.testing.assert_array_equal(distance[labels == 0], 0)


@pytest.mark.parametrize("shape", [(5, 7), (4, 5, 6)])
def test_an_object_that_fills_everything_is_inside_everywhere(shape) -> None:
    np.testing.assert_array_equal(relative_distance(np.full(shape, 3)), 1)
