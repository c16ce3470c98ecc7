"""Targets of instance segmentation, computed from objects."""

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.tasks.targets import Objects, local_extreme


@pytest.mark.parametrize("shape", [(23, 17), (3, 2), (1, 1), (6, 9, 8)])
@pytest.mark.parametrize("radius", [1, 2])
def test_spreading_gives_what_the_filters_of_scipy_give(shape, radius, rng) -> None:
    values = rng.integers(0, 50, shape).astype(np.int32)
    before = values.copy()
    side = 2 * radius + 1
    largest, smallest = (local_extreme(values, f, radius) for f in (np.maximum, np.minimum))
    np.testing.assert_array_equal(largest, ndimage.maximum_filter(values, side))
    np.testing.assert_array_equal(smallest, ndimage.minimum_filter(values, side))
    mask = values > 45
    square = np.ones((side,) * len(shape))
    dilated = ndimage.binary_dilation(mask, square)
    np.testing.assert_array_equal(local_extreme(mask, np.logical_or, radius), dilated)
    np.testing.assert_array_equal(values, before)


def test_objects_touch_up_to_four_pixels_apart() -> None:
    labels = np.zeros((9, 20), np.intp)
    labels[:, 2:6], labels[:, 9:12], labels[:, 17:] = 3, 1, 2
    zone = Objects(labels).contact_zone()
    assert zone[:, 6:9].all()
    assert not zone[:, 14].any()
    assert not Objects(np.where(labels == 3, 0, labels)).contact_zone().any()


def test_distance_is_that_to_the_outline_whatever_lies_beyond_the_edges() -> None:
    labels = np.zeros((9, 12), np.intp)
    labels[1:6, 1:6], labels[1:6, 6:] = 4, 2
    square = [[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 2, 3, 2, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]
    at_the_edge = [[1, 1, 1], [1, 2, 2], [1, 2, 3], [1, 2, 2], [1, 1, 1]]
    objects = Objects(labels)
    distance = np.zeros(labels.shape)
    distance.ravel()[objects.pixels] = objects.relative_distance()
    np.testing.assert_allclose(distance[1:6, 1:6], np.divide(square, 3), rtol=1e-6)
    np.testing.assert_allclose(distance[1:6, 6:9], np.divide(at_the_edge, 3), rtol=1e-6)
    np.testing.assert_array_equal(np.flatnonzero(labels), objects.pixels)


@pytest.mark.parametrize("shape", [(5, 7), (4, 5, 6)])
def test_an_object_that_fills_everything_is_inside_everywhere(shape) -> None:
    np.testing.assert_array_equal(Objects(np.full(shape, 3)).relative_distance(), 1)


@pytest.mark.parametrize("ids", [(1, 2, 3), (7, 250, 254), (8, 255, 256), (5, 65535, 70000)])
def test_ids_do_not_matter(ids) -> None:
    """Numbers are stored in the smallest type, so its limits are tested."""
    labels = np.zeros((30, 300), np.int64)
    labels[2:9, 3:20], labels[2:9, 22:30], labels[11:13, 40:42] = ids
    plain = np.zeros_like(labels)
    for number, i in enumerate((ids[2], ids[0], ids[1]), start=1):
        plain[labels == i] = number
    one, other = Objects(labels), Objects(plain)
    for what in ("relative_distance", "offsets_to_centre", "smallness", "contact_zone"):
        np.testing.assert_array_equal(getattr(one, what)(), getattr(other, what)())
    assert one.contact_zone().any()


def test_offsets_and_size_of_an_object() -> None:
    labels = np.zeros((12, 12), np.uint8)
    labels[2:5, 4:9] = 9  # centre at 3, 6
    objects = Objects(labels)
    y, x = np.unravel_index(objects.pixels, labels.shape)
    np.testing.assert_allclose(objects.offsets_to_centre(), [3 - y, 6 - x])
    assert objects.area[9] == 15
    np.testing.assert_allclose(objects.smallness(), 22.5 / np.sqrt(4 / np.pi * 16), rtol=1e-6)
