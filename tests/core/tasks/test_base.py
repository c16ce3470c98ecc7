"""Defaults of tasks, for labels that are objects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import OBJECTS, THREE, TWO

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.base import Head, Task
from napari_unet.core.tasks.instances import Instances


class Blobs(Task):
    """Task that declares only what every task must declare."""

    kind: str = "blobs"

    @property
    def heads(self):
        return (Head("foreground", 1, "sigmoid"), Head("border", 2, "linear"))

    @property
    def reach_px(self):
        return 4

    def encode(self, labels, inside):
        return np.zeros((3, *labels.shape), np.float32), np.ones((2, *labels.shape), np.float32)

    def loss(self):
        return lambda logits, targets, weight: (logits * weight).sum()

    def decode(self, outputs):
        return (outputs[0] > self.foreground_threshold).astype(np.int32)


def test_a_task_that_declares_only_what_it_must_is_one_of_objects():
    task = Blobs()
    assert task.labels_are_objects
    assert (task.background_id, task.background_target) == (0, 0)
    assert task.scores.primary.key == "mean_ap_by_image"
    assert [c.name for c in task.output_channels] == ["foreground", "border 1", "border 2"]
    assert [c.meaning for c in task.output_channels] == ["probability, 0 to 1", *["a number"] * 2]
    assert task.adjustments == ()
    assert "blobs" in task.words.done


def test_a_task_must_say_how_labels_become_targets():
    class Silent(Task):
        kind: str = "silent"

    with pytest.raises(TypeError, match="encode"):
        Silent()


@given(st.integers(1, 5), st.integers(0, 1000))
def test_the_confidence_of_an_object_is_its_mean_foreground(count, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, count + 1, (12, 13))
    labels[0, :count] = np.arange(1, count + 1)
    outputs = rng.random((3, 12, 13), np.float32)
    expected = [outputs[0][labels == i].mean() for i in range(1, count + 1)]
    np.testing.assert_allclose(Blobs().confidence(labels, outputs), expected, rtol=1e-5)


def test_classes_have_no_confidence_by_object():
    assert TWO.confidence(np.full((4, 4), 3), np.ones((1, 4, 4), np.float32)).size == 0


def test_only_networks_of_the_same_task_and_outputs_can_stand_in():
    assert OBJECTS.shares_outputs(Instances())
    assert not TWO.shares_outputs(THREE)
    assert not Blobs().shares_outputs(OBJECTS)


def test_labels_without_an_object_cannot_teach():
    empty, full = (Pair(Image(np.zeros((4, 4)), "YX"), np.full((4, 4), i)) for i in (0, 1))
    Blobs().check([empty, full])
    with pytest.raises(LabelsError, match="Nothing is labelled in 2 image"):
        Blobs().check([empty, empty])


def test_an_adjustment_that_a_task_lacks_is_refused_and_none_changes_nothing():
    with pytest.raises(SettingsError, match="no min-area: it has nothing to adjust"):
        Blobs().adjusted({"min_area_px": 3})
    task = Blobs()
    assert task.adjusted({}) is task
