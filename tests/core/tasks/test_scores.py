"""The scores of a task are scores that an evaluation computes."""

import numpy as np
import pytest
from networks import OBJECTS, THREE, TWO

from napari_unet.core.evaluation.evaluation import evaluate
from napari_unet.core.tasks.scores import CLASS_SCORES, OBJECT_SCORES, ScoreName, TaskScores

LABELS = np.zeros((32, 32), np.uint16)
LABELS[4:14, 4:14], LABELS[18:28, 18:28] = 1, 2


@pytest.mark.parametrize(
    ("scores", "kind"), [(OBJECT_SCORES, "instances"), (CLASS_SCORES, "semantic")]
)
def test_every_score_is_computed_and_1_for_the_truth_itself(scores, kind):
    found = evaluate(LABELS, LABELS, kind=kind).summary()
    for name in (*scores.curves, *scores.line, *scores.card):
        assert found[name.key] == pytest.approx(1), name.key


@pytest.mark.parametrize("scores", [OBJECT_SCORES, CLASS_SCORES])
def test_labels_are_unique_so_that_curves_are_told_apart(scores):
    for names in (scores.curves, scores.line, scores.card):
        assert len({name.label for name in names}) == len(names)


def test_the_best_model_is_chosen_by_the_first_curve():
    first, second = ScoreName("a", "A"), ScoreName("b", "B")
    assert TaskScores(curves=(second, first), line=(first,), card=()).primary is second


def test_objects_are_counted_and_classes_are_not():
    assert OBJECTS.scores is OBJECT_SCORES
    assert TWO.scores is THREE.scores is CLASS_SCORES
