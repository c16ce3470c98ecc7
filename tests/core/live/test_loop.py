"""Live training in a script, in a single process: strokes in, previews out, a model at the end."""

import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import DeviceError, LabelsError
from napari_unet.core.images.image import Image
from napari_unet.core.live import loop
from napari_unet.core.live.commands import (
    ChangeClasses,
    LiveImage,
    Paint,
    PutImage,
    RemoveImage,
    ShowView,
    Suggest,
)
from napari_unet.core.live.events import (
    LiveFinished,
    LivePreview,
    LiveState,
    LiveSuggestion,
    LiveTrouble,
)
from napari_unet.core.live.loop import run_live
from napari_unet.core.live.session import LiveSession
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.model_file import load_model, read_info
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

DOCS = Path(__file__).resolve().parents[3] / "docs"
CLASSES = (ClassInfo(id=1, name="rest", background=True), ClassInfo(id=2, name="nuclei"))
TASK = Semantic(classes=CLASSES, sparse=True)
QUICK = LiveSettings(
    patch_px=64, depth=2, base_channels=8, learning_rate=5e-3, device="cpu", precision="float32"
)


@pytest.fixture(scope="module")
def cells():
    image, truth = synthetic_nuclei((160, 160), 18, seed=5, diameter_px=(16, 24))
    return image, (truth > 0).astype(np.uint8) + 1


@pytest.fixture
def strokes(cells):
    return np.where(np.arange(160)[:, None] % 16 == 0, cells[1], 0)


@pytest.fixture(autouse=True)
def states_often(monkeypatch):
    monkeypatch.setattr(loop, "_STATE_S", 0.0)


def play(script, images, folder, **options):
    """Run live training until `script`, called with each event and the queue, returns True."""
    commands, stop, events = queue.SimpleQueue(), threading.Event(), []
    arguments = {"settings": QUICK, "commands": commands, "should_stop": stop.is_set} | options
    for event in run_live(images, TASK, folder, **arguments):
        events.append(event)
        if script(event, commands):
            stop.set()
    return events


def after(steps):
    return lambda event, commands: isinstance(event, LiveState) and event.step >= steps


def kinds(events, kind):
    return [event for event in events if isinstance(event, kind)]


def test_strokes_lead_to_previews_and_a_model(cells, tmp_path):
    image, truth = cells
    rows = iter(range(16, 150, 12))

    def paint_and_watch(event, commands):
        if isinstance(event, LiveState) and (row := next(rows, None)) is not None:
            commands.put(ShowView("cells"))
            commands.put(Paint("cells", (row, 0), truth[row : row + 1]))
        good = isinstance(event, LivePreview) and (event.labels == truth).mean() > 0.93
        return good and next(rows, None) is None

    events = play(paint_and_watch, {"cells": LiveImage(image)}, tmp_path)
    previews = kinds(events, LivePreview)
    assert previews[-1].step > previews[0].step
    assert previews[-1].uncertainty.shape == previews[-1].labels.shape == image.shape
    assert isinstance(events[-1], LiveFinished)
    assert isinstance(events[-2], LiveState)
    assert events[-2].applied == 2 * len(range(16, 150, 12))
    options = PredictOptions(device="cpu")
    predicted = predict(load_model(events[-1].model), Image(image, "YX"), options)
    assert (np.asarray(predicted.labels) == truth).mean() > 0.9
    assert LiveSession(tmp_path).labels()["cells"][16].any()


def test_live_training_needs_neither_distributed_nor_a_window(tmp_path):
    code = """
import queue, sys
import numpy as np
from napari_unet import ClassInfo, LiveImage, LiveSettings, Semantic, run_live
image = np.zeros((64, 64), np.uint8)
image[16:48, 16:48] = 200
strokes = np.zeros_like(image)
strokes[4:6], strokes[30, 20:40] = 1, 2
classes = ClassInfo(id=1, name="rest", background=True), ClassInfo(id=2, name="square")
task = Semantic(classes=classes, sparse=True)
settings = LiveSettings(patch_px=32, depth=1, base_channels=4, device="cpu")
steps = iter(range(3))
events = run_live({"a": LiveImage(image, strokes)}, task, sys.argv[1], settings,
                  should_stop=lambda: next(steps, None) is None)
*_, last = events
others = {name.split(".")[0] for name in sys.modules}
print(last.model.is_file(), last.steps, others & {"distributed", "napari", "qtpy"},
      [name for name in sys.modules if name.startswith(("napari_unet.compute", "napari_unet.gui"))])
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True 3 set() []"


def test_the_example_of_the_documentation_runs(cells, tmp_path, monkeypatch):
    page = (DOCS / "guide" / "live-in-python.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(example, names)
    assert (names["labels"] == cells[1]).mean() > 0.9


def test_it_resumes_where_it_stopped(cells, strokes, tmp_path):
    images = {"a": LiveImage(cells[0], strokes)}
    first = play(after(5), images, tmp_path)[-1]
    again = play(after(first.steps + 2), images, tmp_path, resume=True)
    assert kinds(again, LiveState)[0].step > first.steps
    restarted = play(after(1), images, tmp_path)
    assert kinds(restarted, LiveState)[0].step <= 1


def test_it_starts_from_a_model_or_its_file(cells, strokes, tmp_path):
    images = {"a": LiveImage(cells[0], strokes)}
    model = play(after(5), images, tmp_path / "first")[-1].model
    for start in (model, str(model), load_model(model)):
        last = play(after(1), images, tmp_path / "second", start=start, name="second")[-1]
        assert read_info(last.model).provenance["started_from"] == "model"


def test_commands_are_applied_in_order_and_numbered(cells, strokes, tmp_path):
    image = cells[0]
    edge = ClassInfo(id=5, name="edge")

    def change(event, commands):
        if isinstance(event, LiveState) and event.step == 1:
            commands.put(ChangeClasses(Semantic(classes=(*CLASSES, edge), sparse=True)))
            commands.put(Paint("a", (0, 0), np.full((160, 4), 5), number=40))
            commands.put(PutImage("b", LiveImage(image)))
            commands.put(RemoveImage("b"))
            commands.put(RemoveImage("never put"))
        return isinstance(event, LiveState) and event.applied >= 43

    events = play(change, {"a": LiveImage(image, strokes)}, tmp_path)
    state = kinds(events, LiveState)[-1]
    assert state.applied == 43
    assert state.digests.keys() == {"a"}
    assert read_info(events[-1].model).task.ids.tolist() == [1, 2, 5]
    assert not kinds(events, LiveTrouble)


def test_an_invalid_command_is_reported_and_training_continues(cells, strokes, tmp_path):
    def wrong(event, commands):
        if isinstance(event, LiveState) and event.step == 1:
            commands.put(Paint("a", (150, 0), strokes[:20]))
            commands.put(PutImage("two", LiveImage(np.stack([cells[0]] * 2), strokes)))
        return isinstance(event, LiveState) and event.applied == 2 and event.step > 3

    events = play(wrong, {"a": LiveImage(cells[0], strokes)}, tmp_path)
    outside, channels = (trouble.sentence for trouble in kinds(events, LiveTrouble))
    assert "extend beyond the image" in outside
    assert "'two' has 2 channel(s)" in channels
    assert LiveSession(tmp_path).labels()["two"].any(), (
        "the image is refused, but its strokes are kept"
    )


def test_a_suggestion_answers_the_question(cells, strokes, tmp_path):
    def ask(event, commands):
        if isinstance(event, LiveState) and event.step == 1:
            commands.put(Suggest("a"))
            commands.put(Suggest("a"))
        if isinstance(event, LiveSuggestion) and event.name == "a":
            commands.put(Suggest("b"))
        return isinstance(event, LiveSuggestion) and event.name == "b"

    sparse = np.where(np.arange(160)[:, None] % 80 == 0, strokes, 0)
    events = play(ask, {"a": LiveImage(cells[0], sparse)}, tmp_path)
    here, nowhere = kinds(events, LiveSuggestion)
    y, x = here.origin
    height, width = here.labels.shape
    assert not sparse[y : y + height, x : x + width].any()
    assert nowhere.origin is None
    assert "nothing can be suggested" in nowhere.reason


def test_previews_wait_until_they_are_wanted(cells, strokes, tmp_path):
    def look(event, commands):
        if isinstance(event, LiveState) and event.step == 1:
            commands.put(ShowView("a"))
        return isinstance(event, LiveState) and event.step > 10

    images = {"a": LiveImage(cells[0], strokes)}
    events = play(look, images, tmp_path, preview_wanted=lambda: False)
    assert not kinds(events, LivePreview)
    assert kinds(play(look, images, tmp_path), LivePreview)


def test_nothing_is_lost_if_the_caller_leaves_the_loop(cells, strokes, tmp_path):
    image, truth = cells
    commands = queue.SimpleQueue()
    events = run_live({"a": LiveImage(image, strokes)}, TASK, tmp_path, QUICK, commands=commands)
    for event in events:
        if isinstance(event, LiveState) and event.step == 2:
            commands.put(Paint("a", (50, 0), truth[50:53]))
            break
    events.close()
    np.testing.assert_array_equal(LiveSession(tmp_path).labels()["a"][50:53], truth[50:53])
    assert read_info(LiveSession(tmp_path).model).provenance["steps"] == 2


def test_nothing_is_lost_if_the_device_fails(cells, strokes, tmp_path, monkeypatch):
    learn, commands = LiveTraining.step, queue.SimpleQueue()

    def fail_later(training):
        if training.steps == 2:
            commands.put(Paint("a", (50, 0), cells[1][50:53]))
            raise DeviceError("the device failed")
        return learn(training)

    monkeypatch.setattr(LiveTraining, "step", fail_later)
    with pytest.raises(DeviceError, match="device failed"):
        list(
            run_live({"a": LiveImage(cells[0], strokes)}, TASK, tmp_path, QUICK, commands=commands)
        )
    np.testing.assert_array_equal(LiveSession(tmp_path).labels()["a"][50:53], cells[1][50:53])


def test_too_little_painted_ends_without_a_model(cells, tmp_path):
    asked = iter(range(3))
    events = play(
        lambda *_: False,
        {"a": LiveImage(cells[0])},
        tmp_path,
        should_stop=lambda: next(asked, None) is None,
    )
    assert events[-1] == LiveFinished(None, 0, None)
    assert not kinds(events, LiveState)[-1].ready


def test_the_only_image_must_fit_its_labels(cells, strokes, tmp_path):
    with pytest.raises(LabelsError, match="shape"):
        list(run_live({"a": LiveImage(cells[0], strokes[1:])}, TASK, tmp_path, QUICK))
