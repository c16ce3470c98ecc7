"""Live training on whole painted objects and a painted background."""

import numpy as np
import pytest

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation.object_scores import object_scores
from napari_unet.core.live.session import LiveSession
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.catalogue import DEFAULT_MODEL, find_model
from napari_unet.core.models.model_file import load_model
from napari_unet.core.tasks.instances import Instances

OBJECTS = Instances(sparse=True)
QUICK = LiveSettings(patch_px=64, batch_size=2)


@pytest.fixture(scope="module")
def start():
    return load_model(find_model(DEFAULT_MODEL))


def train_live(field, whole, start, steps, settings=QUICK):
    training = LiveTraining(OBJECTS, start, settings)
    training.put("field", field[0], whole)
    for _ in range(steps):
        training.step()
    return training


def test_a_few_whole_objects_are_enough_to_find_the_others(field, whole, start):
    training = train_live(field, whole, start, 12)
    found = training.meaning.labels(training.outputs("field"))
    assert object_scores(found, field[1], thresholds=[0.5]).mean_ap > 0.8
    model = training.model()
    assert isinstance(model.info.task, Instances)
    assert model.info.task.decoder == start.info.task.decoder
    assert 18 < model.info.object_diameter_px < 26
    assert model.info.object_diameter_px == round(model.info.object_diameter_px, 1)
    assert not model.info.rgb


def test_background_and_an_object_are_needed(field, whole):
    training = LiveTraining(OBJECTS, settings=QUICK)
    only_objects = np.where(whole > 1, whole, 0)
    training.put("field", field[0], only_objects)
    assert not training.ready
    with pytest.raises(LabelsError, match="so is any object"):
        training.step()
    training.edit("field", (0, 0), whole)
    assert training.ready
    assert training.step() > 0


def test_strokes_are_judged_as_background_or_object(field, whole, start):
    training = train_live(field, whole, start, 12)
    truth = field[1]
    for number in (10, 11, 12):
        y, x = (int(v) for v in np.argwhere(truth == number).mean(0))
        here = slice(y - 3, y + 4), slice(x - 3, x + 4)
        training.edit("field", (y - 3, x - 3), np.full((7, 7), 40 + number, np.uint16))
        assert (training.labels()["field"][here] == 40 + number).all()
        row = int(np.argwhere((truth == 0).all(1))[0, 0]) if (truth == 0).all(1).any() else 0
        free = np.flatnonzero((truth[row] == 0) & (training.labels()["field"][row] == 0))
        training.edit("field", (row, int(free[number])), np.ones((1, 1), np.uint16))
    assert training.scores.counts == {1: 3, 2: 3}
    assert training.score > 0.7


def test_a_proposal_contains_background_and_whole_unpainted_objects(field, whole, start):
    training = train_live(field, whole, start, 12)
    found = training.meaning.labels(training.outputs("field"))
    origin, proposal = training.proposal("field", (slice(70, 150), slice(80, 170)))
    assert origin == (6, 16)
    assert proposal.shape == (186, 176)
    here = found[6:, 16:]
    window = np.zeros(here.shape, bool)
    window[64:144, 64:154] = True
    ids = np.unique(proposal[proposal > 1])
    np.testing.assert_array_equal(ids, np.arange(2, 2 + ids.size))
    assert ids.size >= 2
    for number in ids:
        (same,) = np.unique(here[proposal == number])
        np.testing.assert_array_equal(here == same, proposal == number)  # all of it
        assert (window & (here == same)).sum() > 0.5 * (here == same).sum()
        assert (whole[6:, 16:][here == same] > 0).mean() <= 0.1
    np.testing.assert_array_equal(proposal == 1, window & (here == 0))


def test_a_session_of_objects_resumes_where_it_stopped(field, whole, start, tmp_path):
    settings = QUICK.model_copy(update={"new_share": 0})  # which strokes are new is not saved
    training = train_live(field, whole, start, 6, settings)
    session = LiveSession(tmp_path / "session")
    session.save(training)
    assert isinstance(session.task(), Instances)
    again = LiveTraining(session.task(), load_model(session.model), settings)
    session.restore(again)
    again.put("field", field[0], session.labels()["field"])
    assert again.steps == 6
    assert again.step() == training.step()
    assert again.model().info == training.model().info


def test_measurements_of_painted_objects_remain_after_removal(field, whole, start, tmp_path):
    training = train_live(field, whole, start, 1)
    diameter = training.model().info.object_diameter_px
    assert 15 < diameter < 30
    training.remove("field")
    info = training.model().info
    assert info.object_diameter_px == diameter
    assert info.provenance["counts"]["train_objects"] == 8
    (session := LiveSession(tmp_path)).save(training)
    again = LiveTraining(session.task(), load_model(session.model), QUICK)
    session.restore(again)
    assert again.model().info.object_diameter_px == diameter
