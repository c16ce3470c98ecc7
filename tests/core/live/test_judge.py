"""Strokes are compared with the prediction of the network as it was when they began."""

import numpy as np
from live_training import NUCLEI, QUICK, REST, TASK, learn

from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.tasks.semantic import ClassInfo, Semantic


def test_strokes_are_judged_before_they_are_learned_and_proposals_are_not(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 80)
    assert training.score is None, "nothing has been judged yet"
    truth = (cells[1] + 1).astype(np.uint8)
    for row in range(60, 72, 4):
        training.edit("cells", (row, 0), truth[row : row + 1])
    assert training.scores.counts == {1: 3, 2: 3}
    assert training.score > 0.8
    training.edit("cells", (80, 0), 3 - truth[80:84], judged=False)
    assert training.scores.counts == {1: 3, 2: 3}
    for row in range(84, 92, 4):  # all pixels are wrong
        training.edit("cells", (row, 0), 3 - truth[row : row + 1])
    assert training.score < 0.7


def test_all_pieces_of_a_stroke_are_judged_by_the_network_before_it(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 60)
    wrong = (2 - cells[1]).astype(np.uint8)
    training.edit("cells", (0, 0), np.where(strokes > 0, 3 - strokes, 0).astype(np.uint8))
    training.scores.load({})
    for row in range(60, 66):
        training.edit("cells", (row, 0), wrong[row : row + 1], continues=row > 60)
        learn(training, 15)
    assert training.scores.counts == {1: 1, 2: 1}
    shares = [share for strokes in training.scores.dump().values() for share in strokes]
    assert max(shares) < 0.4, "the network had learned the stroke while it was drawn"
    training.edit("cells", (66, 0), wrong[66:67])
    assert all(strokes[-1] > 0.8 for strokes in training.scores.dump().values())


def test_a_stroke_that_began_before_the_network_did_is_not_judged(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], np.where(strokes == 1, strokes, 0).astype(np.uint8))
    nuclei = np.where(cells[1], 2, 0).astype(np.uint8)
    training.edit("cells", (40, 0), nuclei[40:44])
    learn(training, 3)
    training.edit("cells", (44, 0), nuclei[44:48], continues=True)
    assert training.scores.counts == {}
    training.edit("cells", (60, 0), nuclei[60:64])
    assert training.scores.counts == {2: 1}
    training.set_task(Semantic(classes=(REST, NUCLEI, ClassInfo(id=3, name="edge")), sparse=True))
    for row in (0, 2):
        training.edit("cells", (row, 0), np.full((2, 160), 3, np.uint8), continues=row > 0)
        learn(training, 3)
    assert training.scores.counts == {2: 1}
