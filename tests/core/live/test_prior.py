import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.image import Image
from napari_unet.core.live.prior import Prior, patches_near_strokes, prior_shift
from napari_unet.core.live.session import LiveSession
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import load_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.sampling import Batch

QUICK = LiveSettings(
    patch_px=64,
    depth=2,
    base_channels=8,
    learning_rate=5e-3,
    new_share=0,  # a session's strokes count as new again
    device="cpu",
    precision="float32",
)


def of(*ids):
    classes = tuple(ClassInfo(id=i, name=f"class {i}", background=i == 1) for i in ids)
    return Semantic(classes=classes, sparse=True)


@pytest.mark.parametrize(
    ("expected", "painted", "shift"),
    [
        ((0.7, 0.3), (50, 50), (0, np.log(3 / 7))),
        ((0.3, 0.7), (50, 50), (np.log(3 / 7), 0)),
        ((0.7, 0.3), (70, 30), (0, 0)),
        ((0.7, 0.3), (30, 70), (0, -np.log(4))),  # (3/7)^2 is less than a quarter
        ((1.0, 0.0), (50, 50), (0, -np.log(4))),
        ((0.5, 0.3, 0.2), (1, 1, 1), (0, np.log(0.6), np.log(0.4))),
        ((0.5, 0.3, 0.2), (1, 1, 0), (0, np.log(0.6), -np.log(4))),
        ((0.7, 0.3, 0.0), (1, 1, 1e-9), (0, np.log(3 / 7), -np.log(4))),  # erased long ago
        ((0.7, 0.3), (0, 0), (0, 0)),
    ],
)
def test_classes_painted_more_often_than_they_occur_are_reduced(expected, painted, shift):
    found = prior_shift(np.array(expected), np.array(painted, float))
    np.testing.assert_allclose(found, shift, atol=1e-12)


@pytest.fixture(scope="module")
def cells():
    image, truth = synthetic_nuclei((160, 160), 12, seed=5, diameter_px=(14, 18))
    return image[None], truth > 0


@pytest.fixture(scope="module")
def strokes(cells):
    """Equal amounts of nuclei and of background, which is ten times as common; no rims."""
    rng = np.random.default_rng(0)
    labels = np.zeros(cells[1].shape, np.uint8)
    for number, kind in enumerate((~cells[1], cells[1]), start=1):
        inner = np.flatnonzero(binary_erosion(kind, iterations=2))
        labels.ravel()[rng.choice(inner, 150, replace=False)] = number
    return labels


@pytest.fixture(scope="module")
def learned(cells, strokes):
    training = LiveTraining(of(1, 2), settings=QUICK)
    training.put("cells", cells[0], strokes)
    for _ in range(120):
        training.step()
    return training


def test_a_rare_class_is_predicted_about_as_often_as_it_occurs(learned, cells):
    true = cells[1].mean()
    model = learned.model()
    as_learned = learned.state()[0]["average/module.head.bias"]
    unshifted = Model(model.info, {**model.weights, "head.bias": as_learned})
    image = Image(cells[0], "CYX")
    shares, dice = [], []
    for some in (model, unshifted):
        result = predict(
            some, image, PredictOptions(device="cpu", precision="float32"), probabilities=True
        )
        found = result.labels == 2
        shares.append(result.probabilities[-1].mean())
        dice.append(2 * (found & cells[1]).sum() / (found.sum() + true * found.size))
    assert abs(shares[0] - true) < 0.5 * abs(shares[1] - true)
    assert dice[0] > dice[1]


def test_the_correction_is_small_at_first():
    batch = Batch(
        images=np.zeros((1, 1, 2, 2), np.float32),
        targets=np.array([[[[0, 1], [2, 2]]]], np.float32),
        weight=np.array([[[[1, 1], [1, 0]]]], np.float32),
    )
    prior = Prior()
    maps = np.array([0.5, 0.3, 0.2], np.float32)[:, None, None].repeat(4, axis=2)
    prior.measure([maps])
    assert prior.shift is None  # nothing has been learned
    for batches, share in ((1, 0.01), (50, 0.5), (100, 1), (200, 1)):
        while prior.batches < batches:
            prior.note(batch, 3)
        prior.measure([maps])
        np.testing.assert_allclose(prior.shift, share * np.log([1, 0.6, 0.4]), atol=1e-6)
    weights = {"head.bias": torch.tensor([1.0, 2.0, 3.0])}
    found = prior.correct(weights)["head.bias"].numpy()
    np.testing.assert_allclose(found, np.array([1, 2, 3]) + prior.shift, atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 50), (300, 900)])
def test_patches_are_near_the_strokes(shape):
    labels = np.zeros(shape, np.uint8)
    labels[20, 20] = 1
    marked = np.arange(labels.size, dtype=np.float32).reshape(1, *shape)
    canvases = [Canvas(marked, labels), Canvas(-marked - 1, np.zeros_like(labels))]
    patches = list(patches_near_strokes(canvases, 0))
    assert len(patches) == 4
    for patch in patches:
        assert patch.shape == (1, min(shape[0], 128), min(shape[1], 128))
        y, x = divmod(int(patch[0, 0, 0]), shape[1])
        np.testing.assert_array_equal(patch[0], marked[0, y : y + 128, x : x + 128])
        assert x <= 20 + 256
    assert list(patches_near_strokes(canvases[1:], 0)) == []


def test_the_saved_model_predicts_the_same_as_the_preview(learned, cells):
    found = predict(
        learned.model(), Image(cells[0], "CYX"), PredictOptions(device="cpu", precision="float32")
    )
    np.testing.assert_array_equal(found.labels == 2, learned.outputs("cells")[1] > 0.5)


def test_a_session_resumes_with_the_shift_even_without_its_images(
    learned, cells, strokes, tmp_path
):
    session = LiveSession(tmp_path / "session")
    session.save(learned)
    again = LiveTraining(session.task(), load_model(session.model), QUICK)
    session.restore(again)
    expected = learned.model().weights["head.bias"]
    np.testing.assert_array_equal(again.model().weights["head.bias"], expected)
    again.put("cells", cells[0], strokes)
    again.step()
    learned.step()
    np.testing.assert_array_equal(
        again.state()[1]["prior"]["painted"], learned.state()[1]["prior"]["painted"]
    )
    assert again.state()[1]["prior"]["batches"] == 121
