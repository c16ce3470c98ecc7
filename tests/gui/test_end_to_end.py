"""The whole workflow in a real window, on real nuclei, from menus to scores.

With ``NAPARI_UNET_PICTURES`` set to a folder, the window and the widgets are saved there on the
way; docs/make_pictures.py does that, and trains for longer.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.evaluation.evaluation import evaluate

TRAIN_S = float(os.environ.get("NAPARI_UNET_TRAIN_S", "0"))
"""Seconds of training after which Stop is pressed. If 0, a few steps are trained."""
OBJECT_STEPS, STROKE_STEPS = 100, 70

pytestmark = pytest.mark.timeout(1500)

SAMPLES = ("File", "Open Sample", "U-Net live")
TRAINING, FIELD = "DSB2018 nuclei, 16 fields to train on", "DSB2018 nuclei, one field"


@pytest.fixture(autouse=True)
def _samples(dsb2018: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples are opened from the local data set; nothing is downloaded."""
    monkeypatch.setenv("NAPARI_UNET_DATA", str(dsb2018.parents[1]))


def open_sample(person: Any, name: str) -> tuple[Any, Any]:
    """Open image and ground truth in an empty viewer."""
    layers = person.viewer.layers
    person.choose(*SAMPLES, name)
    person.wait(lambda: len(layers) == 2)
    person.close_notes()
    return layers[0], layers[1]


def set_budget(person: Any, train: Any, steps: int) -> None:
    """Set a small network that learns quickly, and a number of steps unless a time is set."""
    train.more.expanded = True
    train.more.settings.show(base_channels=8, patch_px=128)
    if not TRAIN_S:
        person.pick(train.more.unit, "steps")
        train.more.budget.value = steps
    train.more.expanded = False
    person.wait(lambda: TRAIN_S or f"{steps} steps" in train.summary)
    person.wait(lambda: train.train_button.enabled)


def watch_and_stop(person: Any, train: Any, steps: int, seconds: float, picture: str) -> list[int]:
    """Watch the curve while the model improves, then press Stop; return the steps drawn."""
    person.press(train.train_button)
    person.wait(lambda: train.panel.curves is not None)
    curve = train.panel.curves
    begin = time.monotonic()
    if TRAIN_S:
        person.wait(lambda: time.monotonic() - begin > seconds, seconds + 60)
        person.wait(lambda: len(curve.points("validation_loss")[0]) > 1, 300)
    else:
        person.wait(lambda: max(curve.points("train_loss")[0], default=0) > 0.9 * steps, 1000)
    person.picture(f"window-{picture}")
    person.picture(f"{picture}-during", train)
    drawn, losses = curve.points("train_loss")
    assert losses[-1] < 0.8 * losses[0]
    person.press(train.panel.progress._stop)
    person.wait(lambda: not train.controller.busy)
    assert "you can resume the run any time" in train.result.text
    return drawn


def put_away(person: Any, *widgets: str) -> None:
    """Hide widgets and remove all layers."""
    for widget in widgets:
        person.choose("Plugins", "U-Net live", f"{widget} (U-Net live)")
    person.viewer.layers.select_all()
    person.viewer.layers.remove_selected()
    person.look()


def predict(person: Any) -> tuple[Any, Any]:
    """Predict the open image with the model trained last; return the layer."""
    widget = person.find("Predict") or person.open("Predict")
    person.wait(lambda: widget.model.path is not None and widget.run_button.enabled)
    before = len(person.viewer.layers)
    person.press(widget.run_button)
    person.wait(lambda: not widget.run.busy, 120)
    assert widget.message.kind == "good", widget.message.text
    assert len(person.viewer.layers) == before + 1
    return widget, person.viewer.layers[-1]


def check_lies_on(result: Any, image: Any, dtype: Any = np.uint8) -> None:
    """Check that the result is an aligned layer of a small integer type."""
    assert result.data.dtype == dtype
    assert result.data.shape == image.data.shape
    assert tuple(result.scale) == tuple(image.scale)
    assert result.units == image.units
    assert tuple(result.axis_labels) == tuple(image.axis_labels)


def test_train_stop_predict_evaluate_and_jump_to_an_error(person: Any) -> None:
    _, labels = open_sample(person, TRAINING)
    train = person.open("Train")
    person.wait(lambda: train.summary.startswith("16 pairs, YX uint8"))
    assert train.fields.meaning.value == "objects"
    person.picture("train-before", train)
    labels.visible = False  # the preview is easier to see
    set_budget(person, train, OBJECT_STEPS)
    drawn = watch_and_stop(person, train, OBJECT_STEPS, TRAIN_S, "train")
    scored, scores = train.panel.curves.points("mean AP, validation")
    assert len(drawn) > 20
    assert scored, "no validation was drawn"
    assert scores[-1] > 0.1
    assert "mean AP" in train.result.text
    person.picture("train-after", train)

    put_away(person, "Train")
    image, truth = open_sample(person, FIELD)
    truth.visible = False
    person.picture("predict-before", person.open("Predict"))
    widget, found = predict(person)
    assert widget.model.path.stem == train.controller.model.stem
    check_lies_on(found, image, np.uint16)
    assert 80 < found.data.max() < 200  # nuclei; there are 130
    person.wait(lambda: len(found.features) > 80)  # measured a moment later
    person.picture("window-predict")
    person.picture("predict-after", widget)
    score_and_jump(person, truth, found)


def score_and_jump(person: Any, truth: Any, found: Any) -> None:
    """Evaluate a prediction in the widget and go to one of its errors."""
    viewer = person.viewer
    widget = person.open("Evaluate")
    behind = person.find("Predict").native
    assert behind.visibleRegion().isEmpty(), "Predict is not a tab behind Evaluate"
    assert widget.values.prediction is found
    assert widget.values.truth is truth
    person.press(widget.run)
    person.wait(lambda: widget.error_layer is not None and not widget.running)
    errors = widget.error_layer
    check_lies_on(errors, truth)
    assert set(np.unique(errors.data[(truth.data == 0) & (found.data == 0)])) == {0}
    ap = evaluate(found.data, truth.data).summary()["ap50_pooled"]
    assert ap > 0.5
    assert f"AP {ap:.3f}" in widget.results.headline.text()
    person.press_text(widget.views, "Errors")
    person.look()
    person.picture("window-evaluate")
    person.picture("evaluate-after", widget)

    camera = viewer.scene.camera
    before = np.array(camera.center[-2:])
    row = widget.results.objects.rows[1]
    person.click_row(widget.results.objects, 1)
    target = np.array([row["centroid_y"], row["centroid_x"]])
    assert np.abs(np.array(camera.center[-2:]) - target).max() < 2
    assert np.abs(np.array(camera.center[-2:]) - before).max() > 5
    assert viewer.layers.selection.active.selected_label == row["id"]
    person.picture("window-jump")


def strokes_on(truth: np.ndarray) -> dict[int, list[tuple[Any, Any]]]:
    """Return strokes from start to end [y, x]: class 1 around nuclei, class 2 across nuclei."""
    across = []
    for number in range(5, int(truth.max()), 12):
        ys, xs = np.nonzero(truth == number)
        y = round(ys.mean())
        row = np.sort(xs[ys == y])
        if len(row) > 14 and len(row) == np.ptp(row) + 1:
            across.append(((y, row[4]), (y, row[-5])))
    room = ndimage.distance_transform_edt(truth == 0)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(3000):
        start = rng.uniform(30, np.array(truth.shape) - 30)
        angle = rng.uniform(0, 2 * np.pi)
        end = start + 50 * np.array((np.sin(angle), np.cos(angle)))
        if (end > 20).all() and (end < np.array(truth.shape) - 20).all():
            way = room[tuple(np.linspace(start, end, 50).round().astype(int).T)]
            if way.min() > 4:
                found.append((np.minimum(way, 12).mean(), start, end))
    around: list[tuple[Any, Any]] = []
    for _, start, end in sorted(found, key=lambda f: f[0]):
        if len(around) < 9 and all(np.abs(start - other).max() > 70 for other, _ in around):
            around.append((start, end))
    return {1: around, 2: across[:9]}


def paint(person: Any, image: Any, truth: np.ndarray) -> Any:
    """Create a Labels layer for the image, choose the brush and paint strokes of two classes."""
    person.viewer.layers.selection.active = image
    person.choose("File", "New Layer", "Labels")
    strokes = person.viewer.layers[-1]
    person.key("2")
    assert strokes.mode == "paint"
    for number, lines in strokes_on(truth).items():
        strokes.selected_label = number
        strokes.brush_size = 6
        for start, end in lines:
            person.drag(start, end)
    return strokes


def test_a_few_strokes_of_the_brush_become_a_segmentation(person: Any) -> None:
    image, truth_layer = open_sample(person, FIELD)
    truth = truth_layer.data
    person.viewer.layers.remove(truth_layer)
    train = person.open("Train")
    person.see_all()
    strokes = paint(person, image, truth)
    assert set(np.unique(strokes.data)) == {0, 1, 2}
    assert 0 < (strokes.data > 0).mean() < 0.03
    assert (truth[strokes.data == 2] > 0).mean() > 0.9
    assert (truth[strokes.data == 1] == 0).mean() > 0.9
    person.wait(lambda: train.fields.meaning.value == "strokes" and train.train_button.enabled)
    person.picture("window-strokes")
    person.canvas_picture("strokes", image)
    set_budget(person, train, STROKE_STEPS)
    watch_and_stop(person, train, STROKE_STEPS, TRAIN_S / 2, "strokes-training")

    person.choose("Plugins", "U-Net live", "Train (U-Net live)")  # away
    _, found = predict(person)
    check_lies_on(found, image)
    assert set(np.unique(found.data)) <= {1, 2}, "every pixel has a class"
    nuclei, true_nuclei = found.data == 2, truth > 0
    dice = 2 * (nuclei & true_nuclei).sum() / (nuclei.sum() + true_nuclei.sum())
    print(f"Dice of the nuclei: {dice:.3f}")
    assert dice > 0.75
    for layer in person.viewer.layers:
        layer.visible = layer in (image, found)
    person.canvas_picture("strokes-predicted", image)
