"""Descriptions of the validation data, and warnings about unreliable scores."""

import numpy as np
import pytest

from napari_unet.compute import TrainRequest
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.events import Finished, FinishReason
from napari_unet.core.training.settings import TrainingSettings
from napari_unet.gui.train.run_panel import ending_words
from napari_unet.gui.train.validation import Validated, validated_by_request

CLASSES = (ClassInfo(id=1, name="background", background=True), ClassInfo(id=2, name="cell"))
STROKES = Semantic(classes=CLASSES, sparse=True)
FINISHED = Finished(
    FinishReason.COMPLETED, 7, "last", "best",
    {"mean_ap_by_image": 0.9, "mean_iou_with_background_pooled": 1.0}, 60,
)  # fmt: skip


def pair(name: str, labels: np.ndarray) -> Pair:
    return Pair(Image(np.zeros(labels.shape, np.uint8), "YX", name=name), labels)


@pytest.mark.parametrize(
    ("validated", "task", "words", "kind"),
    [
        (
            Validated(1, True, None, 540, True), STROKES,
            "on a strip of 1 image, 540 painted pixels: too few to trust.", "warning",
        ),
        (
            Validated(1, False, None, 1540, True), STROKES,
            "on 1 image, 1,540 painted pixels.", "good",
        ),
        (Validated(2, False, 191, 9, False), Instances(), "on 2 images with 191 objects.", "good"),
        (
            Validated(2, True, 1, 99_999, False), Instances(),
            "on a strip of 2 images with 1 object: too few to trust.", "warning",
        ),
    ],
)  # fmt: skip
def test_a_score_on_little_is_no_good_news(validated, task, words, kind) -> None:
    text, said = ending_words(FINISHED, task, "cells", validated)
    assert words in text
    assert said == kind


def test_without_a_score_nothing_is_said_about_trust() -> None:
    nothing = Finished(FinishReason.STOPPED, 7, "last", None, {}, 60)
    text, kind = ending_words(nothing, STROKES, "cells", Validated(1, True, None, 5, True))
    stopped = "Stopped after about 1 min; you can resume the run any time. "
    assert text.startswith(f"{stopped}There is no score because nothing was validated.")
    assert kind == "good"


def test_objects_and_painted_pixels_of_the_validation_side_are_counted(tmp_path) -> None:
    labels = np.zeros((128, 128), np.uint8)
    labels[:4, :100], labels[10:14, :100] = 1, 2  # of the plane that is kept
    settings = TrainingSettings(validation_fraction=0.5, depth=1)
    pairs = (pair("a", labels), pair("b", labels))
    strokes = validated_by_request(TrainRequest(pairs, STROKES, tmp_path, settings))
    assert strokes == Validated(1, False, None, 800, True)
    objects = validated_by_request(TrainRequest(pairs, Instances(), tmp_path, settings))
    assert objects == Validated(1, False, 2, 128 * 128, False)
    nothing = TrainingSettings(validation_fraction=0, depth=1)
    assert validated_by_request(TrainRequest(pairs, STROKES, tmp_path, nothing)) is None
