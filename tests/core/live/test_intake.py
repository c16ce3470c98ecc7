"""Intake of images into live training, which keeps the labels of refused and removed images."""

import numpy as np
import pytest
from live_training import QUICK, TASK

from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.live.commands import LiveImage, Paint
from napari_unet.core.live.intake import ImageIntake
from napari_unet.core.live.trainer import LiveTraining

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
PAINTED = np.eye(16, dtype=np.uint8)


@pytest.fixture
def training():
    return LiveTraining(TASK, settings=QUICK)


def test_one_refused_image_of_several_is_reported_and_its_labels_are_kept(training):
    intake = ImageIntake(training)
    images = {"a": LiveImage(GREY, PAINTED), "b": LiveImage(np.stack([GREY] * 2), PAINTED)}
    (problem,) = intake.put_all(images, {})
    assert "'b' has 2 channel(s)" in problem
    assert training.labels().keys() == {"a"}
    np.testing.assert_array_equal(intake.unused["b"], PAINTED)


def test_the_only_image_must_be_usable(training):
    with pytest.raises(LabelsError, match="shape"):
        ImageIntake(training).put_all({"a": LiveImage(GREY, PAINTED[:8])}, {})


def test_an_image_without_labels_can_be_painted(training):
    intake = ImageIntake(training)
    intake.put("a", LiveImage(GREY))
    intake.paint(Paint("a", (2, 3), np.full((1, 4), 2, np.uint8)))
    assert np.argwhere(training.labels()["a"] == 2).tolist() == [[2, x] for x in (3, 4, 5, 6)]


def test_labels_of_a_removed_image_are_kept_and_can_be_painted(training):
    intake = ImageIntake(training)
    for name, labels in {"a": PAINTED, "empty": None}.items():
        intake.put(name, LiveImage(GREY, labels))
        intake.remove(name)
    intake.remove("missing")
    assert training.labels() == {}
    assert intake.unused.keys() == {"a"}
    intake.paint(Paint("a", (0, 1), np.full((1, 1), 2, np.uint8)))
    assert intake.unused["a"][0, :3].tolist() == [1, 2, 0]
    intake.put("a", LiveImage(GREY, intake.unused["a"]))
    assert intake.unused == {}
    assert training.labels()["a"][0, 1] == 2


def test_only_painted_labels_of_closed_images_are_kept(training):
    intake = ImageIntake(training)
    intake.keep(iter({"a": PAINTED, "b": np.zeros_like(PAINTED)}.items()))
    assert intake.unused.keys() == {"a"}


def test_planes_of_a_stack_that_cannot_be_normalised_are_refused(training):
    intake = ImageIntake(training)
    broken = np.full((1, 2, 16, 16), np.nan, np.float32)
    with pytest.raises(ImageError, match="NaN"):
        intake.put("plane 1", LiveImage(GREY, PAINTED, scope=broken, scope_name="stack"))
    with pytest.raises(ImageError, match="'plane 2' is not used because its stack cannot be used"):
        intake.put("plane 2", LiveImage(GREY, PAINTED, scope_name="stack"))
    whole = np.stack([GREY] * 2)[None]
    intake.put("plane 1", LiveImage(GREY, PAINTED, scope=whole, scope_name="stack"))
    intake.put("plane 2", LiveImage(GREY, PAINTED, scope_name="stack"))
    assert training.labels().keys() == {"plane 1", "plane 2"}
