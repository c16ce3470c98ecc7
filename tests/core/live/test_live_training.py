import json

import numpy as np
import pytest

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import LabelsError, ModelFileError, SettingsError
from napari_unet.core.evaluation.leakage import seen_by
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.live import judge, suggestions
from napari_unet.core.live.network import LiveNetwork
from napari_unet.core.live.session import LiveSession
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.live.uncertainty import uncertainty
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model, save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.models.tensor_file import write_tensors
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.records.methods_text import trained_on_text
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

QUICK = LiveSettings(
    patch_px=64, depth=2, base_channels=8, learning_rate=5e-3, device="cpu", precision="float32"
)
REST = ClassInfo(id=1, name="rest", background=True)
NUCLEI = ClassInfo(id=2, name="nuclei")
TASK = Semantic(classes=(REST, NUCLEI), sparse=True)


@pytest.fixture(scope="module")
def cells():
    image, truth = synthetic_nuclei((160, 160), 18, seed=5, diameter_px=(16, 24))
    return image[None], truth > 0


@pytest.fixture
def strokes(cells):
    """A few rows of the truth, as strokes."""
    labels = np.zeros(cells[1].shape, np.uint8)
    labels[40:42], labels[110:112] = cells[1][40:42] + 1, cells[1][110:112] + 1
    return labels


def dice(training, truth, name="cells"):
    found = training.outputs(name)[1] > 0.5
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


def learn(training, steps):
    return [training.step() for _ in range(steps)]


def test_it_learns_from_strokes_and_leaves_a_model_like_any_other(cells, strokes, tmp_path):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    losses = learn(training, 80)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert dice(training, cells[1]) > 0.8
    save_model(tmp_path / "live.safetensors", training.model())
    again = LiveTraining(TASK, load_model(tmp_path / "live.safetensors"), QUICK)
    again.put("cells", cells[0], strokes)
    again.step()
    assert dice(again, cells[1]) > 0.8


def test_what_is_painted_next_is_learned_and_what_is_erased_no_longer(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 60)
    before = dice(training, cells[1])
    swapped = np.where(strokes > 0, 3 - strokes, 0).astype(np.uint8)
    training.edit("cells", (0, 0), swapped)
    learn(training, 80)
    assert dice(training, cells[1]) < 0.3 < before
    assert dice(training, ~cells[1]) > 0.8
    training.edit("cells", (0, 0), np.zeros_like(strokes))
    assert not training.ready
    with pytest.raises(LabelsError, match="Fewer than two classes are painted"):
        training.step()


def test_a_class_can_be_added_while_it_runs(cells, strokes):
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


def test_strokes_are_judged_before_they_are_learned_and_proposals_are_not(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 80)
    assert training.score is None, "nothing was judged yet"
    truth = (cells[1] + 1).astype(np.uint8)
    for row in range(60, 72, 4):
        training.edit("cells", (row, 0), truth[row : row + 1])
    assert training.scores.counts == {1: 3, 2: 3}
    assert training.score > 0.8
    training.edit("cells", (80, 0), 3 - truth[80:84], judged=False)
    assert training.scores.counts == {1: 3, 2: 3}
    for row in range(84, 92, 4):  # all of it is wrong
        training.edit("cells", (row, 0), 3 - truth[row : row + 1])
    assert training.score < 0.7


def test_all_pieces_of_a_stroke_are_judged_by_what_was_known_before_it(cells, strokes):
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
    assert max(shares) < 0.4, "it had learned the stroke while it was drawn"
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


def test_classes_get_other_names_while_it_runs(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 3)
    before = training.outputs("cells")
    training.set_task(
        Semantic(classes=(REST, NUCLEI.model_copy(update={"name": "glia"})), sparse=True)
    )
    assert [c.name for c in training.model().info.task.classes] == ["rest", "glia"]
    np.testing.assert_array_equal(training.outputs("cells"), before)


@pytest.mark.parametrize("name", ["file", "strokes/a", "plate 1/well.tif"])
def test_a_session_keeps_strokes_whatever_their_image_is_called(cells, strokes, tmp_path, name):
    training = LiveTraining(TASK, settings=QUICK)
    training.put(name, cells[0], strokes)
    LiveSession(tmp_path).save(training)
    ((kept, labels),) = LiveSession(tmp_path).labels().items()
    assert kept == name
    np.testing.assert_array_equal(labels, strokes)


def test_a_layer_called_as_the_file_of_another_keeps_its_own_strokes(cells, strokes, tmp_path):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("a", cells[0], strokes)
    training.put("a.npy", cells[0], strokes.T)
    LiveSession(tmp_path).save(training)
    np.testing.assert_array_equal(LiveSession(tmp_path).labels()["a"], strokes)
    np.testing.assert_array_equal(LiveSession(tmp_path).labels()["a.npy"], strokes.T)


def test_damaged_files_of_a_session_are_told(cells, strokes, tmp_path):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 1)
    session = LiveSession(tmp_path)
    session.save(training)
    whole = (tmp_path / "strokes.npz").read_bytes()
    for damaged in (b"", whole[:100], whole[:80] + b"!!" + whole[82:]):
        (tmp_path / "strokes.npz").write_bytes(damaged)
        with pytest.raises(SettingsError, match="they are damaged"):
            session.labels()
    tensors, values = training.state()
    for key in ("task", "info", "learner"):
        less = {k: v for k, v in values.items() if k != key}
        write_tensors(
            tmp_path / "live.safetensors", tensors, {"napari_unet_live": json.dumps(less)}
        )
        with pytest.raises(ModelFileError, match=r"damaged.*strokes\.npz"):
            session.restore(LiveTraining(session.task(), settings=QUICK))
    write_tensors(tmp_path / "live.safetensors", {}, {"napari_unet_live": json.dumps(values)})
    with pytest.raises(ModelFileError, match="damaged"):
        session.restore(LiveTraining(TASK, settings=QUICK))


def test_an_image_of_another_kind_than_was_learned_from_is_refused(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 2)
    training.remove("cells")
    with pytest.raises(LabelsError, match=r"has 2 channel\(s\), the other images 1"):
        training.put("cells", np.concatenate([cells[0]] * 2), strokes)
    training.put("cells", cells[0], strokes)
    learn(training, 1)


def test_a_region_is_predicted_as_the_whole_image(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 3)
    region = (slice(70, 101), slice(90, 131))
    whole = training.outputs("cells")[(slice(None), *region)]
    np.testing.assert_allclose(training.outputs("cells", region), whole, atol=1e-5)


def test_it_says_where_it_is_least_certain_and_nothing_is_painted(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 30)
    window = training.least_certain("cells", 32)
    assert not strokes[window].any()
    assert strokes[window].shape == (32, 32)
    doubt = uncertainty(training.outputs("cells"))
    free = [
        doubt[y : y + 32, x : x + 32].mean()
        for y in range(0, 129, 4)
        for x in range(0, 129, 4)
        if not strokes[y : y + 32, x : x + 32].any()
    ]
    assert doubt[window].mean() >= max(free) - 1e-4
    training.edit("cells", (0, 0), np.where(np.indices(strokes.shape)[0] % 24, 0, 1))
    smaller = training.least_certain("cells", 32)
    assert strokes[smaller].shape == (16, 16)
    training.edit("cells", (0, 0), np.ones_like(strokes))
    assert training.least_certain("cells", 32) is None


def test_large_images_are_asked_about_in_part(cells, strokes, monkeypatch):
    monkeypatch.setattr(suggestions, "_TILE_PX", 32)
    monkeypatch.setattr(suggestions, "_MOST_TILES", 3)
    monkeypatch.setattr(judge, "_JUDGED_PX", 48)
    image, _ = cells
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", image, strokes)
    learn(training, 3)
    asked: list[tuple[slice, slice]] = []
    predict = LiveNetwork.predict

    def noted(network, canvas, region, predictor=None):
        asked.append(region)
        return predict(network, canvas, region, predictor)

    monkeypatch.setattr(LiveNetwork, "predict", noted)
    window = training.least_certain("cells", 16)
    assert len(asked) == 3
    assert any(r.start <= w.start < w.stop <= r.stop for w in window[:1] for r, _ in asked)
    assert not strokes[window].any()
    asked.clear()
    training.edit("cells", (0, 0), np.full(strokes.shape, 2, np.uint8))
    ((rows, columns),) = asked
    assert max(rows.stop - rows.start, columns.stop - columns.start) <= 48
    assert training.scores.counts == {2: 1}


def test_images_come_and_go(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], np.where(strokes == 1, strokes, 0))
    assert not training.ready
    training.put("more", cells[0], np.where(strokes == 2, strokes, 0))
    assert training.ready
    learn(training, 2)
    assert training.digest("cells") != training.digest("more")
    training.remove("more")
    assert not training.ready
    with pytest.raises(LabelsError, match="2 channel"):
        training.put("two", np.concatenate([cells[0]] * 2), strokes)


def test_labels_that_do_not_fit_and_dense_tasks_are_told(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    with pytest.raises(LabelsError, match="shape"):
        training.put("cells", cells[0], strokes[:-1])
    training.put("cells", cells[0], strokes)
    with pytest.raises(LabelsError, match="reach out"):
        training.edit("cells", (150, 0), strokes[:20])
    with pytest.raises(SettingsError, match="sparse"):
        LiveTraining(TASK.model_copy(update={"sparse": False}))
    volumes = UNetConfig(ndim=3, depth=1, base_channels=4, out_channels=1)
    info = ModelInfo(unet=volumes, task=Instances(), normalization=Normalization(), name="deep")
    with pytest.raises(SettingsError, match="'deep' is a model of volumes"):
        LiveTraining(TASK, Model(info, {}))
    with pytest.raises(SettingsError, match="Nothing was learned"):
        training.model()


def test_a_plane_of_a_stack_is_seen_as_it_will_be_predicted(cells, strokes):
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


def test_what_began_in_the_midst_of_a_stroke_begins_anew_when_more_is_painted(cells, strokes):
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
    assert training._network._learner is learner  # the brush may go on
    learn(training, 3)
    assert training._network._learner is not learner
    learner = training._network._learner
    learn(training, 2)
    assert training._network._learner is learner


def test_with_another_class_it_holds_on_to_the_start_model_and_to_none_from_scratch(cells, strokes):
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


def test_the_model_says_what_it_comes_from(cells, strokes, tmp_path):
    image = cells[0]
    training = LiveTraining(TASK, settings=QUICK, name="first")
    training.put("cells", image, strokes)
    training.put("unpainted", image[:, ::-1], np.zeros_like(strokes))
    learn(training, 2)
    first = training.model()
    told = trained_on_text(first.info)
    assert "trained from scratch" in told
    assert "It learned while the labels were being painted." in told
    assert "corrected for classes that were painted more or less than they occur" in told
    assert seen_by(first.info, Image(image[0], "YX")) == "training"
    assert seen_by(first.info, Image(image[0, ::-1], "YX")) == "unseen"

    later = LiveTraining(TASK, first, QUICK, name="second")
    two = np.concatenate([image, image[:, ::-1]])
    for name, pixels in {"a": two, "gone": two[:, :, ::-1]}.items():
        later.put(name, pixels, strokes)
    later.step()
    later.remove("gone")
    later.set_task(Semantic(classes=(REST, NUCLEI, ClassInfo(id=3, name="edge")), sparse=True))
    later.step()
    second = later.model().info
    assert second.name == "second"
    assert second.provenance["started_from"] == "first"
    assert second.provenance["steps"] == 2
    assert {image.name for image in second.trained_on} == {"a", "gone"}
    assert seen_by(second, Image(two, "CYX")) == "training"
    assert "fine-tuned from the model 'first'" in trained_on_text(second)


def test_images_that_were_erased_or_replaced_since_are_still_those_it_learned_from(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("a", cells[0], strokes)
    training.put("b", cells[0][:, ::-1], strokes)
    learn(training, 2)
    training.edit("b", (0, 0), np.zeros_like(strokes))
    training.put("a", cells[0][:, :, ::-1], strokes)
    training.step()
    info = training.model().info
    assert [image.name for image in info.trained_on] == ["a", "b", "a"]
    for pixels in (cells[0][0], cells[0][0, ::-1], cells[0][0, :, ::-1]):
        assert seen_by(info, Image(pixels, "YX")) == "training"
