"""Patches are drawn evenly from classes, images and objects, and more often from new strokes."""

import numpy as np
import pytest
from live_training import TASK

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.live.label_meaning import ClassMeaning, ObjectMeaning
from napari_unet.core.live.patches import Patches
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.tasks.instances import Instances

MEANING = ClassMeaning(TASK)


def patches(canvases, new_share=0.0, seed=0):
    settings = LiveSettings(
        patch_px=32,
        depth=1,
        batch_size=64,
        new_share=new_share,
        seed=seed,
        augmentation=Augmentation.preset("none"),
    )
    return Patches(canvases, settings)


def canvas(value, labels, known=None):
    return Canvas(np.full((1, *labels.shape), value, np.float32), labels, known)


def canvases():
    """Return two images: of value 0 full of class 1, and of value 1 with one pixel of class 2."""
    much, little = np.ones((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    little[30, 30] = 2
    return {"much": canvas(0, much), "little": canvas(1, little)}


def share_of_little(batch):
    return float(batch.images.mean())


def test_a_rare_class_is_drawn_as_often_as_a_common_one():
    batch = patches(canvases()).batch(MEANING)
    assert batch.images.shape == (64, 1, 32, 32)
    assert share_of_little(batch) == pytest.approx(0.5, abs=0.2)


def test_every_patch_contains_painted_pixels():
    batch = patches(canvases()).batch(MEANING)
    assert (np.asarray(batch.weight).reshape(64, -1).sum(1) > 0).all()


def test_new_strokes_are_preferred_while_they_are_new():
    images = {
        name: canvas(known.image[0, 0, 0], known.labels, known.labels)
        for name, known in canvases().items()
    }
    images["little"].edit((40, 40), np.full((1, 3), 2, np.uint8))
    drawn = patches(images, new_share=1)
    assert share_of_little(drawn.batch(MEANING)) > 0.5
    assert share_of_little(drawn.batch(MEANING)) == pytest.approx(0.5, abs=0.2)


def test_the_same_seed_draws_the_same_patches():
    first, again, other = (patches(canvases(), seed=s).batch(MEANING) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert not np.array_equal(first.targets, other.targets)


def test_kinds_are_classes_or_background_and_objects():
    labels = np.zeros((8, 8), np.uint8)
    labels[0], labels[2], labels[4] = 1, 2, 7
    found = patches({"a": canvas(0, labels)})
    assert found.painted_px == 24
    assert found.kinds(MEANING) == {1: {"a": [1]}, 2: {"a": [2]}}
    assert found.kinds(ObjectMeaning(Instances(sparse=True))) == {1: {"a": [1]}, 2: {"a": [2, 7]}}
