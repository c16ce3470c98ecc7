"""Meaning of painted labels: classes, or objects on a background."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_training import TASK

from napari_unet.core.errors import SettingsError
from napari_unet.core.live.label_meaning import ClassMeaning, ObjectMeaning, label_meaning
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

OBJECTS = Instances(sparse=True)


def test_unpainted_pixels_have_no_weight_and_painted_objects_are_whole(whole):
    _, weight = ObjectMeaning(OBJECTS).encode(whole, np.ones(whole.shape, bool))
    assert weight.shape == (3, *whole.shape)
    assert not weight[:, whole == 0].any()
    assert (weight[:2, whole > 0] > 0).all()
    assert (weight[2, whole > 1] > 0).all(), "objects teach their separation"
    assert not weight[2, whole == 1].any()
    outside = np.ones(whole.shape, bool)
    outside[:96] = False
    _, weight = ObjectMeaning(OBJECTS).encode(whole, outside)
    assert not weight[:, :96].any()


def test_classes_and_objects_cannot_be_combined():
    classes = tuple(ClassInfo(id=i, name=str(i), background=i == 1) for i in (1, 2))
    semantic = Semantic(classes=classes, sparse=True)
    assert OBJECTS.shares_outputs(Instances(sparse=True))
    assert not OBJECTS.shares_outputs(semantic)
    assert not semantic.shares_outputs(OBJECTS)
    with pytest.raises(SettingsError, match="0 means 'not painted', so the task must be sparse"):
        LiveTraining(Instances())


def test_each_kind_of_task_has_its_meaning():
    assert isinstance(label_meaning(TASK), ClassMeaning)
    assert isinstance(label_meaning(OBJECTS), ObjectMeaning)


@given(st.integers(0, 1000))
def test_the_most_probable_class_becomes_the_label(seed):
    meaning = ClassMeaning(TASK)
    outputs = meaning.outputs(np.random.default_rng(seed).random((1, 5, 6), np.float32))
    np.testing.assert_allclose(outputs.sum(0), 1, rtol=1e-5)
    labels = meaning.labels(outputs)
    np.testing.assert_array_equal(labels, np.where(outputs[1] > outputs[0], 2, 1))
    np.testing.assert_array_equal(meaning.predicted_kinds(outputs), meaning.kinds_of(labels))
    np.testing.assert_array_equal(meaning.probability(outputs), outputs[1:])


def test_unknown_classes_have_no_kind_and_all_objects_have_the_same():
    ids = np.array([0, 1, 2, 3, 900])
    np.testing.assert_array_equal(ClassMeaning(TASK).kinds_of(ids), [0, 1, 2, 0, 0])
    np.testing.assert_array_equal(ObjectMeaning(OBJECTS).kinds_of(ids), [0, 1, 2, 2, 2])


def test_painted_and_cut_off_objects_are_not_proposed():
    squares = np.zeros((90, 90), np.uint16)
    corners = ((0, 10), (35, 10), (35, 50), (60, 35))  # the first is cut off by the edge
    for number, (y, x) in enumerate(corners, start=1):
        squares[y : y + 18, x : x + 18] = number
    outputs, _ = Instances().encode(squares, np.ones(squares.shape, bool))
    painted = np.where(squares == 2, 7, 0)
    window = (slice(5, 85), slice(5, 85))
    proposed = ObjectMeaning(OBJECTS).proposal(outputs, painted, window)
    assert {proposed[y + 9, x + 9] for y, x in corners[2:]} == {2, 3}
    assert not proposed[np.isin(squares, [1, 2])].any()
    assert (proposed[window][squares[window] == 0] == 1).all()
    assert not proposed[:5].any()
