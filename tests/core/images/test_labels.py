"""Labels: checks of their values and numbering of ids."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.labels import (
    as_labels,
    check_same_shape,
    checked_labels,
    consecutive,
    planes,
)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_labels_become_integers(dtype):
    labels = as_labels(np.array([[0, 1]], dtype), "a")
    assert labels.dtype.kind in "iu"
    assert labels.tolist() == [[0, 1]]


@pytest.mark.parametrize("values", [[0.5], [np.nan], [np.inf], [1e300], [-1], [-1.0], ["a"], [1j]])
def test_what_is_not_labels(values):
    with pytest.raises(LabelsError):
        as_labels(np.array(values), "a")


@given(arrays(np.int64, (4, 5), elements=st.sampled_from([0, 1, 2, 3, 7, 90, 10**12])))
def test_consecutive_numbers_and_their_ids_give_the_labels_back(labels):
    numbers, ids = consecutive(labels)
    assert np.array_equal(np.append(0, ids)[numbers], labels)
    assert ids.tolist() == sorted(set(labels[labels > 0]))


def test_a_stack_is_scored_plane_by_plane_with_its_annotated_area():
    labels = np.arange(24).reshape(2, 3, 4)
    found = list(planes(labels, labels + 1, labels > 12))
    assert [position for position, *_ in found] == [(0,), (1,)]
    for (index,), prediction, truth, annotated in found:
        assert np.array_equal(prediction, labels[index])
        assert np.array_equal(truth, labels[index] + 1)
        assert np.array_equal(annotated, labels[index] > 12)
    with pytest.raises(LabelsError, match=r"Score volumes as \(Z, Y, X\)"):
        list(planes(labels[0], labels[0], ndim=3))


def test_a_probability_map_is_not_scored_as_labels():
    with pytest.raises(LabelsError, match="Threshold a probability map"):
        checked_labels(np.full((2, 2), 0.5), "prediction")
    with pytest.raises(LabelsError, match="lowest id of the labels is -1"):
        checked_labels(np.array([[-1, 2]]))
    assert checked_labels(np.array([[True, False]])).tolist() == [[1, 0]]


def test_prediction_truth_and_area_must_have_one_shape():
    labels = np.zeros((3, 4), int)
    assert check_same_shape(labels, labels) is None
    assert check_same_shape(labels, labels, labels + 2).all()
    with pytest.raises(LabelsError, match="at the same scale and crop"):
        check_same_shape(labels, labels[:2])
    with pytest.raises(LabelsError, match="area that was drawn on this image"):
        check_same_shape(labels, labels, labels[:2])
