"""Repairs of labels, and what they leave unchanged."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label as connected

from napari_unet.core.datasets.label_check import check_labels, repair_labels


def squares(n=4, dtype=np.uint16, size=6):
    """Draw `n` separate squares with ids 1 to n."""
    labels = np.zeros((size + 2, n * (size + 2)), dtype)
    for i in range(n):
        start = i * (size + 2) + 1
        labels[1 : size + 1, start : start + size] = i + 1
    return labels


def test_the_largest_piece_keeps_the_id():
    labels = np.zeros((20, 40), np.uint8)
    labels[2:6, 2:6], labels[2:18, 20:38] = 7, 7
    repaired = repair_labels(labels, ["pieces"])
    assert repaired[10, 30] == 7
    assert repaired[3, 3] == 8


def test_white_background_of_coloured_labels_becomes_0():
    palette = np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0]], np.uint8)
    repaired = repair_labels(palette[squares(2)], ["colours"])
    assert repaired[0, 0] == 0
    assert sorted(np.unique(repaired)) == [0, 1, 2]


def test_grey_saved_as_colour_keeps_its_numbers():
    labels = squares().astype(np.uint8)
    alpha = np.full_like(labels, 255)
    rgba = np.stack([labels, labels, labels, alpha], -1)
    np.testing.assert_array_equal(repair_labels(rgba, ["colours"]), labels)


@settings(max_examples=80, deadline=None)
@given(arrays(np.uint8, (12, 14), elements=st.sampled_from([0, 0, 1, 2, 3, 255])))
def test_repaired_instances_are_connected_and_nothing_else_is_lost(labels):
    issues = [i for i in check_labels(labels, instances=True) if i.kind != "fragments"]
    if any(i.kind == "no_background" for i in issues):
        return
    repaired = repair_labels(labels, issues)
    np.testing.assert_array_equal(repaired > 0, labels > 0)
    assert connected(repaired, return_num=True)[1] == np.count_nonzero(np.unique(repaired))
