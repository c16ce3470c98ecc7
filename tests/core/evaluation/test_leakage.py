"""Notes on scores that are too good: images used in training, and copied labels."""

import numpy as np
import pytest

from napari_unet.core.datasets.splits import Split
from napari_unet.core.evaluation.evaluation import evaluate, evaluate_many
from napari_unet.core.evaluation.leakage import seen_by, training_note
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.training.division import divide


@pytest.fixture
def stack(rng: np.random.Generator) -> Image:
    return Image(rng.integers(0, 99, (4, 32, 32)).astype(np.uint8), "TYX", "stack")


def trained(*images: Image, validated: int = 0) -> ModelInfo:
    """Build a model with the header that training writes."""
    pairs = [Pair(i, np.ones(i.label_shape, np.uint8)) for i in images]
    n = len(pairs) - validated
    split = Split(tuple(range(n)), tuple(range(n, len(pairs))), "groups")
    division = divide(pairs, UNetConfig(), 0.2, 0, split)
    return ModelInfo(
        unet=UNetConfig(out_channels=4),
        task=Instances(),
        normalization=Normalization(),
        name="nuclei",
        trained_on=division.trained_on,
    )


def test_a_plane_of_a_training_stack_is_recognised(stack: Image) -> None:
    plane = Image(stack.data[2], "YX", "another name")
    assert seen_by(trained(stack), plane) == "training"
    assert seen_by(trained(plane), stack) == "training"
    assert training_note(trained(stack), [plane]) == (
        "The model 'nuclei' was trained on this image, so expect lower scores on new images."
    )


def test_a_channel_of_a_training_image_is_recognised(rng: np.random.Generator) -> None:
    colour = Image(rng.integers(0, 99, (3, 32, 32)).astype(np.uint8), "CYX", "rgb", rgb=True)
    assert seen_by(trained(colour), Image(colour.data[1], "YX")) == "training"


def test_a_new_image_is_not_spoken_of(stack: Image, rng: np.random.Generator) -> None:
    new = Image(rng.integers(0, 99, (32, 32)).astype(np.uint8), "YX")
    assert seen_by(trained(stack), new) == "unseen"
    assert training_note(trained(stack), [new]) == ""
    assert training_note(trained(), [new]) == ""


def test_validation_is_told_from_training(stack: Image, rng: np.random.Generator) -> None:
    kept = Image(rng.integers(0, 99, (32, 32)).astype(np.uint8), "YX", "kept")
    model = trained(stack, kept, validated=1)
    assert "was validated on this image" in training_note(model, [kept])
    assert "trained on 1 of these 2 images" in training_note(model, [kept, stack])


def squares(shape: tuple[int, int] = (96, 96), size: int = 8) -> np.ndarray:
    labels = np.zeros(shape, np.uint16)
    for n, (y, x) in enumerate(np.ndindex(shape[0] // 16, shape[1] // 16), start=1):
        labels[16 * y : 16 * y + size, 16 * x : 16 * x + size] = n
    return labels


def test_truth_equal_to_the_prediction_is_said() -> None:
    labels = squares()
    renumbered = np.where(labels > 0, labels + 100, 0)
    (note,) = evaluate(renumbered, labels).notes
    assert note.startswith(
        "Prediction and ground truth are the same, pixel by pixel (36 object(s))"
    )


def test_a_corrected_copy_is_said() -> None:
    prediction = squares()
    truth = prediction.copy()
    truth[:70] = np.roll(truth[:70], 1, axis=1)  # most are corrected, the last rows are not
    (note,) = evaluate(prediction, truth).notes
    assert note.startswith("6 of 36 ground-truth objects are the same in the prediction")


@pytest.mark.parametrize("change", ["moved", "small", "empty", "two by chance"])
def test_independent_labels_are_left_alone(change: str) -> None:
    prediction = truth = squares()
    if change == "moved":
        prediction = np.roll(truth, 1, axis=0)
    elif change == "small":  # objects of 25 pixels are easily the same by chance
        prediction = truth = squares(size=5)
    elif change == "empty":
        prediction, truth = np.zeros_like(truth), squares()
    else:
        prediction = np.roll(truth, 1, axis=0)
        prediction[:16, :32] = truth[:16, :32]
    assert evaluate(prediction, truth).notes == ()


def test_copied_classes_are_said_and_strokes_are_not_judged() -> None:
    classes = (squares() % 3).astype(np.uint8)
    names = {0: "background", 1: "cell", 2: "fold"}
    report = evaluate(classes, classes, kind="semantic", classes=names)
    assert report.notes[0].startswith("Prediction and ground truth are the same")
    strokes = np.where(squares() > 0, squares() % 2 + 1, 0)
    sparse = evaluate(strokes, strokes, kind="semantic", classes={1: "a", 2: "b"}, sparse=True)
    assert sparse.notes == ()


def test_one_copy_among_many_images_does_not_speak_for_all() -> None:
    good, copy = squares(), squares((16, 32))
    samples = [("copy", copy, copy), ("other", np.roll(good, 1, axis=0), good)]
    assert evaluate_many(samples).notes == ()
