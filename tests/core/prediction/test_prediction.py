import pickle
import subprocess
import sys
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
from networks import (
    CPU,
    OBJECTS,
    THREE,
    TWO,
    copying_model,
    cpu,
    logits_of,
    random_model,
    turned,
)

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import Cancelled, ImageError, ModelFileError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction import prediction as prediction_module
from napari_unet.core.prediction.prediction import predict, redecode
from napari_unet.core.prediction.rescale import rescaled

# -- tiled equals whole --------------------------------------------------------------------------


@pytest.mark.parametrize("task", [TWO, THREE])
@pytest.mark.parametrize("block_px", [1, 37, 64])
def test_labels_do_not_depend_on_the_block_size(task, block_px):
    model = random_model(task)
    image = Image(synthetic_nuclei((150, 210), 20)[0], "YX")
    whole = predict(model, image, CPU)
    tiled = predict(model, image, cpu(block_px=block_px))
    np.testing.assert_array_equal(tiled.labels, whole.labels)
    assert len(np.unique(whole.labels)) == len(task.classes)


@pytest.mark.parametrize("block_px", [48, 64])
@pytest.mark.parametrize("seed", range(3))
def test_objects_decoded_on_disk_are_those_decoded_in_memory(tmp_path, monkeypatch, block_px, seed):
    _, labels = synthetic_nuclei((200, 260), 60, seed=seed, diameter_px=(9, 18), touching=0.6)
    model = copying_model(OBJECTS)
    image = Image(logits_of(OBJECTS, labels), "CYX")
    whole = predict(model, image, CPU, probabilities=True)
    assert whole.labels.max() == labels.max()
    monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 0)
    tiled = predict(model, image, cpu(block_px=block_px), folder=tmp_path, probabilities=True)
    np.testing.assert_array_equal(tiled.labels[:], whole.labels)
    np.testing.assert_array_equal(np.asarray(tiled.probabilities), whole.probabilities)
    np.testing.assert_array_equal(tiled.confidence, whole.confidence)


def test_dask_images_are_read_as_numpy_ones():
    model = random_model(in_channels=2)
    image = np.stack([synthetic_nuclei((120, 90), 20, seed=s)[0] for s in (0, 1)])
    eager = predict(model, Image(image, "CYX"), cpu(block_px=40))
    lazy = Image(da.from_array(image, chunks=(1, 33, 50)), "CYX")
    np.testing.assert_array_equal(predict(model, lazy, cpu(block_px=40)).labels, eager.labels)


# -- test-time augmentation ----------------------------------------------------------------------


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_with_augmentation_a_turned_image_has_turned_labels(turns, flip):
    model = random_model(THREE)
    image = synthetic_nuclei((96, 64), 12)[0]
    before = predict(model, Image(image, "YX"), cpu(test_time_augmentation=True)).labels
    image = Image(turned(image, turns, flip), "YX")
    after = predict(model, image, cpu(test_time_augmentation=True)).labels
    assert (after == turned(before, turns, flip)).mean() > 0.999


def test_augmentation_of_sizes_that_are_no_multiple_keeps_every_pixel_in_its_place():
    _, labels = synthetic_nuclei((77, 61), 10, seed=2)
    task = TWO
    image = Image(np.where(labels > 0, 6, -6).astype(np.float32)[None], "CYX")
    found = predict(copying_model(task), image, cpu(test_time_augmentation=True)).labels
    np.testing.assert_array_equal(found, np.where(labels > 0, 3, 0))


# -- stacks, types, sentences --------------------------------------------------------------------


def test_time_and_depth_of_a_stack_keep_their_places():
    image = np.stack([synthetic_nuclei((40, 48), 4, seed=s)[0] for s in range(6)])
    stack = Image(image.reshape(2, 3, 40, 48), "TZYX")
    labels = predict(random_model(), stack, CPU).labels
    for i, plane in enumerate(image):
        ranges = Normalization().ranges(stack.scope({"T": i // 3, "Z": i % 3}))
        single = predict(random_model(), Image(plane, "YX"), CPU, ranges=ranges)
        np.testing.assert_array_equal(labels[divmod(i, 3)], single.labels)


def test_depth_is_normalised_as_one_and_each_time_for_itself():
    """A plane of background between planes of nuclei stays background; over time it would not."""
    image, _ = synthetic_nuclei((64, 64), 6, noise=0)
    faint = np.stack([image, image // 8]).astype(np.float32)
    task = TWO
    model = copying_model(task)
    info = model.info.model_copy(update={"normalization": Normalization()})
    model.weights["head.bias"].fill_(-0.5)  # foreground: above half of the range
    model = replace(model, info=info)
    depth = predict(model, Image(faint, "ZYX"), CPU).labels
    time = predict(model, Image(faint, "TYX"), CPU).labels
    assert (depth[0] > 0).mean() > 0.05
    assert (depth[1] > 0).sum() == 0
    np.testing.assert_array_equal(time[1], predict(model, Image(faint[1], "YX"), CPU).labels)
    assert (time[1] > 0).mean() > 0.05


def test_ranges_for_other_channels_are_a_sentence():
    with pytest.raises(SettingsError, match=r"2 intensity range\(s\) for 1 channel\(s\)"):
        predict(random_model(), Image(np.zeros((9, 9)), "YX"), CPU, ranges=[(0, 1)] * 2)


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_is_predicted_without_complaint(value):
    result = predict(random_model(), Image(np.full((33, 50), value, np.uint8), "YX"), CPU)
    assert result.labels.shape == (33, 50)


@pytest.mark.parametrize("on_disk", [False, True])
def test_stopping_leaves_nothing(tmp_path, monkeypatch, on_disk):
    if on_disk:
        monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(prediction_module.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "mine.txt").write_text("mine")
    image = Image(synthetic_nuclei((200, 200), 12)[0], "YX")
    for folder in (None, tmp_path):
        seen = []
        with pytest.raises(Cancelled, match="nothing was written"):
            predict(
                random_model(OBJECTS),
                image,
                cpu(block_px=50),
                folder=folder,
                progress=lambda done, total, seen=seen: seen.append((done, total)),
                should_stop=lambda seen=seen: len(seen) >= 3,
            )
        assert [done for done, _ in seen] == [1, 2, 3]
        assert sorted(p.name for p in tmp_path.rglob("*")) == ["mine.txt", "temporary"]


def test_planes_before_the_one_that_is_stopped_leave_nothing_either(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 0)
    stack = Image(np.stack([synthetic_nuclei((64, 64), 3)[0]] * 3), "TYX")
    steps = []
    with pytest.raises(Cancelled):
        predict(
            random_model(OBJECTS),
            stack,
            CPU,
            folder=tmp_path,
            progress=lambda done, total: steps.append((done, total)),
            should_stop=lambda: bool(steps) and steps[-1][0] == steps[-1][1] - 1,
        )
    assert len({done for done, _ in steps}) > 6, "two planes are done"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", [TWO, OBJECTS])
def test_large_planes_are_stopped_in_any_pass(tmp_path, monkeypatch, task):
    """Through the network, decoding and (objects) renumbering: each block can be the last."""
    monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 0)
    image = Image(synthetic_nuclei((100, 130), 9)[0], "YX")
    seen = []
    options = cpu(block_px=50)
    predict(
        random_model(task),
        image,
        options,
        folder=tmp_path / "out",
        progress=lambda *n: seen.append(n),
    )
    passes = 3 if task is OBJECTS else 2
    assert len(seen) == seen[0][1]
    assert len(seen) % passes == 0
    assert len(seen) // passes > 1
    for last in range(len(seen)):
        asked = []
        with pytest.raises(Cancelled):
            predict(
                random_model(task),
                image,
                options,
                folder=tmp_path / "stopped",
                should_stop=lambda asked=asked, last=last: len(asked) == last or asked.append(1),
            )
        assert len(asked) == last
        assert list((tmp_path / "stopped").iterdir()) == []


@pytest.mark.parametrize("on_disk", [False, True])
def test_progress_counts_every_block_once(monkeypatch, tmp_path, on_disk):
    if on_disk:
        monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 0)
    shape = (150, 130) if on_disk else (2, 150, 130)
    image = Image(np.zeros(shape, np.uint8), "TYX"[-len(shape) :])
    seen = []
    predict(
        random_model(),
        image,
        cpu(block_px=40),
        folder=tmp_path,
        progress=lambda done, total: seen.append((done, total)),
    )
    total = seen[0][1]
    assert total > 4
    assert seen == [(i, total) for i in range(1, total + 1)]


def test_the_wrong_number_of_channels_is_a_sentence():
    image = Image(np.zeros((3, 32, 32), np.uint8), "CYX", name="cells")
    with pytest.raises(
        ModelFileError,
        match=r"'cells' has 3 channel\(s\), but the model 'random' was trained on 1.*"
        r"Choose 1 channel",
    ):
        predict(random_model(), image, CPU)


def test_a_volume_model_wants_depth():
    model = random_model(ndim=3, depth=1)
    with pytest.raises(ModelFileError, match=r"'cells' has axes YX.*was trained on ZYX"):
        predict(model, Image(np.zeros((32, 32), np.uint8), "YX", name="cells"), CPU)
    stack = Image(np.zeros((3, 8, 32, 32), np.uint8), "TZYX")
    assert predict(model, stack, CPU).labels.shape == (3, 8, 32, 32)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named_with_their_plane(bad):
    data = np.zeros((2, 32, 32), np.float32)
    data[1, 3, 3] = bad
    with pytest.raises(ImageError, match="'cells T=1' holds 1 values that are NaN or infinite"):
        predict(random_model(), Image(data, "TYX", name="cells"), CPU)


# -- another scale -------------------------------------------------------------------------------


def enlarged(array, shape):
    return rescaled(array, shape).compute(scheduler="synchronous")


def nuclei_seen_at(scale):
    """An image for the copying model with objects of a different size, and its expected labels.

    The grid on which the objects have the right size is 160 x 192 px.
    """
    _, labels = synthetic_nuclei((160, 192), 40, seed=3, diameter_px=(10, 18), touching=0.5)
    shape = (round(160 / scale), round(192 / scale))
    return Image(enlarged(logits_of(OBJECTS, labels), shape), "CYX"), labels


def test_objects_of_another_size_are_found_at_the_right_scale_on_the_images_grid():
    image, labels = nuclei_seen_at(0.4)
    result = predict(copying_model(OBJECTS), image, cpu(scale=0.4), probabilities=True)
    assert result.scale == 0.4
    assert result.labels.shape == result.probabilities.shape == (400, 480)
    seen = predict(copying_model(OBJECTS), Image(logits_of(OBJECTS, labels), "CYX"), CPU).labels
    assert set(np.unique(result.labels)) == set(np.unique(seen)) == set(range(labels.max() + 1))
    # The same ids as on the network's grid, in the same places.
    coarse, fine = result.labels[1::5, 1::5], seen[::2, ::2]
    both = (coarse > 0) & (fine > 0)
    assert (coarse == fine)[both].mean() > 0.97
    np.testing.assert_array_less(0.5, result.probabilities[result.labels > 0])
    assert len(result.confidence) == labels.max() + 1
    assert (result.confidence[1:] > 0.9).all()


@pytest.mark.parametrize("scale", [0.4, 1.6])
@pytest.mark.parametrize("task", [TWO, THREE, OBJECTS])
def test_a_scaled_image_is_the_same_on_disk_in_blocks_and_in_memory(
    tmp_path, monkeypatch, scale, task
):
    model, image = random_model(task), Image(synthetic_nuclei((150, 210), 20)[0], "YX")
    if task is OBJECTS:
        model, image = copying_model(task), nuclei_seen_at(scale)[0]
    whole = predict(model, image, cpu(scale=scale), probabilities=True)
    assert whole.labels.shape == image.label_shape
    assert len(np.unique(whole.labels)) >= 2
    monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 0)
    options = cpu(scale=scale, block_px=64)
    tiled = predict(model, image, options, probabilities=True, folder=tmp_path)
    np.testing.assert_array_equal(np.asarray(tiled.labels), whole.labels)
    np.testing.assert_allclose(np.asarray(tiled.probabilities), whole.probabilities, atol=1e-5)
    np.testing.assert_allclose(tiled.confidence, whole.confidence, rtol=1e-4)


def test_a_scale_of_a_class_model_gives_the_image_back():
    _, labels = synthetic_nuclei((90, 120), 12, seed=1)
    image = Image(np.where(labels > 0, 6, -6).astype(np.float32)[None], "CYX")
    for scale in (0.5, 2):
        found = predict(copying_model(TWO), image, cpu(scale=scale)).labels
        assert found.dtype == np.uint8
        dice = 2 * ((found == 3) & (labels > 0)).sum() / ((found == 3).sum() + (labels > 0).sum())
        assert dice > 0.95


def test_scaled_stacks_count_their_blocks_and_keep_ids_unique():
    image, labels = nuclei_seen_at(0.4)
    seen = []
    result = predict(
        copying_model(OBJECTS),
        Image(np.stack([image.data] * 2), "TCYX"),
        cpu(scale=0.4, block_px=40),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i, len(seen)) for i in range(1, len(seen) + 1)]
    assert result.labels.max() == 2 * labels.max()
    np.testing.assert_array_equal(result.labels[0] > 0, result.labels[1] > 0)


def test_a_scale_that_makes_no_sense_is_a_sentence():
    with pytest.raises(SettingsError, match=r"Scale -2: expected a number from 0\.05 to 20"):
        predict(random_model(), Image(np.zeros((9, 9)), "YX"), cpu(scale=-2))


# -- decoding again ------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 0.4])
@pytest.mark.parametrize("axes", ["YX", "ZYX", "TZYX"])
def test_decoding_again_is_predicting_again(axes, scale):
    image = np.stack([synthetic_nuclei((90, 110), 14, seed=s)[0] for s in range(4)])
    shaped = {"YX": image[0], "ZYX": image, "TZYX": image.reshape(2, 2, 90, 110)}[axes]
    model = random_model(OBJECTS)
    first = predict(model, Image(shaped, axes), cpu(scale=scale), keep_outputs=True)
    changes = {"threshold": 0.7, "min_area_px": 30}
    options = cpu(scale=scale, adjustments=changes)
    second = predict(model, Image(shaped, axes), options, probabilities=True)
    decoder = OBJECTS.decoder.model_copy(update=changes)
    assert second.model.task == OBJECTS.model_copy(update={"decoder": decoder})
    assert second.outputs is None
    again = redecode(first, changes)
    np.testing.assert_array_equal(again.labels, second.labels)
    np.testing.assert_array_equal(again.confidence, second.confidence)
    assert again.labels.max() < first.labels.max()
    assert again.model == second.model
    assert again.scale == scale
    np.testing.assert_array_equal(
        redecode(again, {"threshold": 0.5, "min_area_px": 4}).labels, first.labels
    )


def test_decoding_classes_again_at_another_threshold():
    image = Image(synthetic_nuclei((60, 70), 9)[0], "YX")
    first = predict(random_model(TWO), image, CPU, keep_outputs=True)
    assert first.outputs.shape == (1, 60, 70)
    again = redecode(first, {"threshold": 0.8})
    np.testing.assert_array_equal(again.labels, np.where(first.outputs[0] > 0.8, 3, 0))


def test_what_cannot_be_decoded_again_is_a_sentence(monkeypatch):
    image = Image(synthetic_nuclei((60, 70), 9)[0], "YX")
    kept = predict(random_model(TWO), image, CPU, keep_outputs=True)
    with pytest.raises(
        SettingsError, match=r"'random'.*no min-area: its labels are classes, not objects"
    ):
        redecode(kept, {"min_area_px": 9})
    with pytest.raises(SettingsError, match=r"were not kept.*Predict again"):
        redecode(predict(random_model(TWO), image, CPU), {})
    monkeypatch.setattr(prediction_module, "KEPT_BYTES", 1000)
    assert predict(random_model(TWO), image, CPU, keep_outputs=True).outputs is None


def test_decoding_again_needs_no_torch(tmp_path):
    image = Image(synthetic_nuclei((60, 70), 9)[0], "YX")
    first = predict(random_model(OBJECTS), image, CPU, keep_outputs=True)
    (tmp_path / "prediction").write_bytes(pickle.dumps(replace(first, scale=1.0)))
    code = (
        "import pickle, sys; from pathlib import Path\n"
        "from napari_unet.core.prediction.prediction import redecode\n"
        f"first = pickle.loads(Path({str(tmp_path / 'prediction')!r}).read_bytes())\n"
        "assert redecode(first, {}).labels.max() > 2\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_inverted_is_the_prediction_of_the_negative():
    image, _ = synthetic_nuclei((96, 80), 8, seed=2)
    model = random_model(OBJECTS)
    negative = predict(model, Image.from_array(255 - image, "YX"), CPU, probabilities=True)
    found = predict(
        model, Image.from_array(image, "YX"), cpu(contrast="inverted"), probabilities=True
    )
    np.testing.assert_allclose(found.probabilities, negative.probabilities, atol=1e-5)
    assert (found.inverted, negative.inverted) == (True, False)
    assert np.ptp(found.probabilities) > 0.1


def test_an_estimated_scale_is_a_number_that_predicts_the_same():
    image, _ = synthetic_nuclei((128, 96), 12, seed=2)
    model = random_model(OBJECTS)
    info = model.info.model_copy(update={"object_diameter_px": 12.0, "contrast": "bright"})
    model = replace(model, info=info)
    picture = Image.from_array(image, "YX")
    found = predict(model, picture, cpu(scale="auto"))
    assert isinstance(found.scale, float)
    assert any("'image'" in note for note in found.notes)
    contrast = "inverted" if found.inverted else "as-is"
    again = predict(model, picture, cpu(scale=found.scale, contrast=contrast))
    np.testing.assert_array_equal(again.labels, found.labels)


def test_a_contrast_that_does_not_exist_is_refused():
    with pytest.raises(SettingsError, match="expected auto"):
        predict(random_model(), Image(np.zeros((16, 16)), "YX"), cpu(contrast="negative"))


def test_a_model_of_colour_images_takes_grey_ones():
    colour = random_model(in_channels=3)
    colour = replace(colour, info=colour.info.model_copy(update={"rgb": True}))
    grey = np.random.default_rng(0).random((3, 40, 50)).astype(np.float32)
    stack = Image(grey, "TYX", name="grey")
    same = Image(np.repeat(grey[:, None], 3, 1), "TCYX", rgb=True)
    found, expected = (
        predict(colour, i, PredictOptions(device="cpu"), probabilities=True) for i in (stack, same)
    )
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert found.labels.shape == (3, 40, 50)
    given = predict(colour, stack, PredictOptions(device="cpu"), ranges=[(0.0, 1.0)])
    np.testing.assert_array_equal(
        given.labels,
        predict(colour, same, PredictOptions(device="cpu"), ranges=[(0.0, 1.0)] * 3).labels,
    )
