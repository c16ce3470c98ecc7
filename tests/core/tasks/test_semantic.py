"""Classes: dense and sparse labels are encoded as targets and decoded to the same labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

THREE = (
    ClassInfo(id=0, name="background", background=True),
    ClassInfo(id=4, name="interior"),
    ClassInfo(id=9, name="border", color="#ff8800"),
)


def everywhere(labels):
    return np.ones(labels.shape, bool)


def pair(labels, annotated=None, axes="YX", name="cells"):
    image = Image(np.zeros(np.shape(labels), np.uint8), axes, name=name)
    return Pair(image, np.asarray(labels), annotated)


def as_outputs(task, targets):
    """Build the outputs of a network that predicts the targets perfectly."""
    if isinstance(task, Instances) or task.binary:
        return targets
    return np.eye(len(task.classes), dtype=np.float32)[targets[0].astype(int)].transpose(2, 0, 1)


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 60_000), min_size=1, max_size=5, unique=True),
    st.booleans(),
    st.randoms(),
)
def test_dense_classes_come_back_with_their_ids(ids, zero_painted, random):
    palette = [*ids, 0] if zero_painted or len(ids) == 1 else ids
    labels = np.array([random.choice(palette) for _ in range(48)], np.uint16).reshape(6, 8)
    labels[0, : len(ids)] = ids
    task = Semantic.from_labels([labels])
    targets, weight = task.encode(labels, everywhere(labels))
    np.testing.assert_array_equal(task.decode(as_outputs(task, targets)), labels)
    np.testing.assert_array_equal(weight, 1)
    assert task.background.id == 0


@settings(max_examples=30)
@given(st.lists(st.integers(1, 60_000), min_size=2, max_size=5, unique=True), st.randoms())
def test_sparse_classes_come_back_where_painted_and_never_as_zero(ids, random):
    labels = np.array([random.choice([*ids, 0]) for _ in range(48)], np.uint16).reshape(6, 8)
    labels[0, : len(ids)] = ids
    task = Semantic.from_labels([labels], sparse=True)
    targets, weight = task.encode(labels, everywhere(labels))
    found = task.decode(as_outputs(task, targets))
    np.testing.assert_array_equal(weight[0], labels > 0)
    np.testing.assert_array_equal(found[labels > 0], labels[labels > 0])
    assert set(np.unique(found)) <= set(ids)
    assert task.background.id == min(ids)


def test_the_background_of_sparse_classes_can_be_chosen():
    labels = np.array([[3, 7, 0]])
    task = Semantic.from_labels([labels], sparse=True, background=7, names={3: "nucleus"})
    assert [(c.id, c.name, c.background) for c in task.classes] == [
        (3, "nucleus", False),
        (7, "background", True),
    ]
    # The single output is the probability of the class that is not the background.
    np.testing.assert_array_equal(task.encode(labels, everywhere(labels))[0][0, 0, :2], [1, 0])
    np.testing.assert_array_equal(task.decode(np.array([[[0.9, 0.2]]], np.float32)), [[3, 7]])


def test_a_background_other_than_zero_adds_no_class_that_nobody_painted():
    labels = np.array([[1, 1, 2, 3]])
    task = Semantic.from_labels([labels], background=1)
    assert [(c.id, c.name, c.background) for c in task.classes] == [
        (1, "background", True),
        (2, "class 2", False),
        (3, "class 3", False),
    ]
    with_zero = Semantic.from_labels([np.array([[0, 1, 2]])], background=1)
    assert [c.id for c in with_zero.classes if not c.background] == [0, 2]
    with pytest.raises(
        LabelsError, match=r"background has the id 9, which is not painted: found \[1, 2, 3\]"
    ):
        Semantic.from_labels([labels], sparse=True, background=9)


def test_the_threshold_moves_the_foreground():
    task = Semantic.from_labels([np.array([0, 5])], threshold=0.8)
    outputs = np.array([[[0.7, 0.79, 0.81]]], np.float32)
    np.testing.assert_array_equal(task.decode(outputs), [[0, 0, 5]])


def test_class_ids_take_the_smallest_type_that_fits():
    assert Semantic.from_labels([np.array([255])]).decode(np.ones((1, 2, 2))).dtype == np.uint8
    assert Semantic.from_labels([np.array([256])]).decode(np.ones((1, 2, 2))).dtype == np.uint16


def test_weight_is_zero_outside_of_the_annotated_area_and_for_unknown_ids():
    labels = np.array([[0, 4, 9, 7, 0]])
    inside = np.array([[True, True, False, True, False]])
    weight = Semantic(classes=THREE).encode(labels, inside)[1]
    np.testing.assert_array_equal(weight, [[[1, 1, 0, 0, 0]]])


@pytest.mark.parametrize(
    ("labels", "sparse", "sentence"),
    [
        ([[0, 0]], False, "only id 0 is painted.*paint objects"),
        ([[0, 0]], True, "nothing is painted"),
        ([[0, 3]], True, "only id 3 is painted.*paint some background"),
        ([range(300)], False, "300 different ids.*choose instances"),
    ],
)
def test_labels_that_hold_no_classes(labels, sparse, sentence):
    with pytest.raises(LabelsError, match=sentence):
        Semantic.from_labels([np.array(labels)], sparse=sparse)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"classes": THREE[:1]}, "at least two classes"),
        ({"classes": (*THREE, THREE[0])}, "each id once"),
        ({"classes": THREE[1:]}, "Exactly one class must be marked"),
        ({"classes": THREE, "sparse": True}, "0 means 'not painted'"),
        ({"classes": THREE, "class_weights": (1, 2)}, "2 class weights for 3 classes"),
    ],
)
def test_classes_that_contradict_themselves(values, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Semantic(**values)


def test_check_finds_foreign_ids_and_a_class_that_stands_alone():
    task = Semantic(classes=THREE)
    task.check([pair([[0, 4]]), pair([[9, 9]])])
    with pytest.raises(LabelsError, match=r"'cells' contains the ids \[5\], which are not classes"):
        task.check([pair([[0, 4]]), pair([[0, 5]])])
    with pytest.raises(LabelsError, match=r"Painted classes in 1 image\(s\): interior\."):
        task.check([pair([[4, 4]])])
