"""The network of live training: its start, changes of its task, and its predictions."""

import numpy as np
from live_training import NUCLEI, QUICK, REST, TASK, learn

from napari_unet.core.images.image import Image
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.semantic import ClassInfo, Semantic


def test_a_class_can_be_added_during_training(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 40)
    training.set_task(Semantic(classes=(REST, NUCLEI, ClassInfo(id=7, name="edge")), sparse=True))
    labels = strokes.copy()
    labels[:, :3] = 7
    training.edit("cells", (0, 0), labels)
    learn(training, 60)
    outputs = training.outputs("cells")
    assert outputs.shape == (3, 160, 160)
    np.testing.assert_allclose(outputs.sum(0), 1, atol=1e-5)
    assert (outputs.argmax(0)[4:36, 4:-4] == 1).mean() > 0.02
    assert training.model().info.task.ids.tolist() == [1, 2, 7]


def test_classes_can_be_renamed_during_training(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 3)
    before = training.outputs("cells")
    training.set_task(
        Semantic(classes=(REST, NUCLEI.model_copy(update={"name": "glia"})), sparse=True)
    )
    assert [c.name for c in training.model().info.task.classes] == ["rest", "glia"]
    np.testing.assert_array_equal(training.outputs("cells"), before)


def test_a_plane_of_a_stack_is_normalised_as_for_prediction(cells, strokes):
    dim, bright = cells[0][0], 4 * cells[0][0].astype(np.uint16)
    stack = np.stack([dim.astype(np.uint16), bright])
    exact = QUICK.model_copy(update={"precision": "float32"})
    training = LiveTraining(TASK, settings=exact)
    training.put("cells", stack[:1], strokes, ranges=training.ranges(stack[None], False))
    learn(training, 20)
    image = Image(stack, "ZYX")
    whole = predict(
        training.model(),
        image,
        PredictOptions(device="cpu", precision="float32"),
        probabilities=True,
    )
    expected = np.asarray(whole.probabilities)[0, ..., :, :]
    np.testing.assert_allclose(training.outputs("cells")[1], np.squeeze(expected), atol=1e-4)
    training.put("cells", stack[:1], strokes)
    assert np.abs(training.outputs("cells")[1] - np.squeeze(expected)).max() > 0.05


def test_a_network_built_during_a_stroke_is_rebuilt_when_more_is_painted(cells, strokes):
    start = LiveTraining(TASK, settings=QUICK)
    start.put("cells", cells[0], strokes)
    learn(start, 60)
    first = np.zeros_like(strokes)
    y, x = np.argwhere(strokes == 2)[0]
    first[y, x - 3 : x + 2] = strokes[y, x - 3 : x + 2]
    training = LiveTraining(TASK, start.model(), QUICK)
    training.put("cells", cells[0], first)
    learn(training, 3)
    learner = training._network._learner
    training.edit("cells", (0, 0), np.where(first > 0, first, strokes))
    learn(training, 1)
    assert training._network._learner is learner  # the stroke may continue
    learn(training, 3)
    assert training._network._learner is not learner
    learner = training._network._learner
    learn(training, 2)
    assert training._network._learner is learner


def test_another_class_keeps_the_pull_to_the_start_model_if_there_is_one(cells, strokes):
    three = Semantic(classes=(REST, NUCLEI, ClassInfo(id=3, name="spots")), sparse=True)
    scratch = LiveTraining(TASK, settings=QUICK)
    scratch.put("cells", cells[0], strokes)
    learn(scratch, 3)
    held = LiveTraining(TASK, scratch.model(), QUICK)
    held.put("cells", cells[0], strokes)
    learn(held, 3)
    before = dict(held._network._learner.held)
    assert before
    for training in (scratch, held):
        training.set_task(three)
        training.edit("cells", (0, 0), np.full((2, 40), 3, np.uint8))
        learn(training, 2)
    assert not scratch._network._learner.held
    assert held._network._learner.held.keys() == before.keys()
    for name, weight in before.items():
        assert weight.equal(held._network._learner.held[name])
