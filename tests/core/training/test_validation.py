"""A model in training is scored on whole planes, in the annotated area only."""

from dataclasses import replace

import numpy as np
import pytest
from networks import COMPUTE, OBJECTS, THREE, TWO, copying_model, logits_of

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.pair import Plane
from napari_unet.core.models.blocks import BlockNetwork
from napari_unet.core.tasks.semantic import Semantic
from napari_unet.core.training.validation import ValidationSet

_, NUCLEI = synthetic_nuclei((96, 80), 8, (14, 20), seed=4)
CLASSES = np.where(NUCLEI > 0, 3, 0)


def plane_of(logits, labels, annotated=None):
    return Plane(logits.astype(np.float32), labels, annotated, "cells", "cells")


def score(task, *planes, block_px=1024):
    network = BlockNetwork(copying_model(task), COMPUTE)
    return ValidationSet(list(planes), task).score(network, block_px)


def classes_plane():
    return plane_of(np.where(CLASSES > 0, 9.0, -9.0)[None], CLASSES)


@pytest.mark.parametrize(
    ("task", "plane"),
    [(OBJECTS, plane_of(logits_of(OBJECTS, NUCLEI), NUCLEI)), (TWO, classes_plane())],
)
def test_perfect_outputs_have_perfect_scores_and_the_lowest_loss(task, plane):
    loss, scores = score(task, plane)
    assert scores[task.scores.primary.key] == pytest.approx(1)
    worse, scores = score(task, replace(plane, image=-plane.image))
    assert scores[task.scores.primary.key] < 0.3
    assert worse > 5 * loss >= 0


def test_blocks_have_the_scores_of_the_whole():
    plane = plane_of(logits_of(OBJECTS, NUCLEI), NUCLEI)
    plane = replace(
        plane,
        image=plane.image
        + np.random.default_rng(0).normal(0, 2, plane.image.shape).astype(np.float32),
    )
    whole, blocks = score(OBJECTS, plane), score(OBJECTS, plane, block_px=16)
    assert blocks[0] == pytest.approx(whole[0], rel=1e-5)
    assert blocks[1] == pytest.approx(whole[1], rel=1e-5)


def test_what_is_not_annotated_does_not_count():
    plane = classes_plane()
    image = plane.image.copy()
    image[:, 48:] *= -1
    annotated = np.ones(plane.labels.shape, bool)
    annotated[48:] = False
    key = TWO.scores.primary.key
    assert score(TWO, replace(plane, image=image))[1][key] < 0.9
    assert score(TWO, replace(plane, image=image, annotated=annotated))[1][key] == pytest.approx(1)


def test_of_sparse_labels_only_what_is_painted_counts():
    labels = CLASSES + 1
    logits = np.where(labels > 1, 9.0, -9.0)[None]
    logits[:, 10:] *= -1  # wrong, but not painted there
    labels[10:] = 0
    task = Semantic.from_labels([labels], sparse=True)
    assert score(task, plane_of(logits, labels))[1][task.scores.primary.key] == pytest.approx(1)


def test_the_loss_is_the_mean_of_the_planes_and_classes_are_named():
    plane = classes_plane()
    wrong = replace(plane, image=-plane.image)
    losses = [score(TWO, p)[0] for p in (plane, wrong)]
    assert score(TWO, plane, wrong)[0] == pytest.approx(np.mean(losses))
    logits = np.stack([np.where(np.isin(CLASSES, i), 9.0, -9.0) for i in (0, 3, 300)])
    scores = score(THREE, plane_of(logits, CLASSES))[1]
    assert scores["iou_class_3_by_image"] == pytest.approx(1)
