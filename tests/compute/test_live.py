"""Live training in the compute process: strokes, previews and saved sessions."""

import queue
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from napari_unet.compute import (
    Engine,
    LiveRequest,
    WorkerLost,
)
from napari_unet.compute.live_work import train_live
from napari_unet.compute.worker import send_command
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import DeviceError, LabelsError
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
from napari_unet.core.live.session import LiveSession
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.model_file import read_info
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

pytestmark = pytest.mark.timeout(300)

PATIENCE_S = 280
CLASSES = (ClassInfo(id=1, name="rest", background=True), ClassInfo(id=2, name="nuclei"))
TASK = Semantic(classes=CLASSES, sparse=True)
QUICK = LiveSettings(patch_px=64, depth=2, base_channels=8, learning_rate=5e-3, device="cpu")


class Listener:
    """Receives the events of a job, and waits for some of them."""

    def __init__(self, job) -> None:
        self.job = job
        self.latest: dict[type, object] = {}
        self._changed = threading.Condition()
        job.on_event(self._receive)

    def _receive(self, event: object) -> None:
        with self._changed:
            self.latest[type(event)] = event
            self._changed.notify_all()

    def wait_for(self, kind, condition=lambda event: True):
        def has_arrived() -> bool:
            return kind in self.latest and condition(self.latest[kind])

        with self._changed:
            assert self._changed.wait_for(has_arrived, PATIENCE_S), f"no such {kind.__name__}"
            return self.latest[kind]


@pytest.fixture(scope="module")
def cells():
    image, truth = synthetic_nuclei((160, 160), 18, seed=5, diameter_px=(16, 24))
    return image[None], (truth > 0).astype(np.uint8) + 1


def some_rows(truth: np.ndarray) -> np.ndarray:
    """Return strokes: every sixteenth row of the ground truth."""
    return np.where(np.arange(160)[:, None] % 16 == 0, truth, 0)


def same(state: LiveState, name: str, labels: np.ndarray) -> bool:
    return state.digests.get(name) == Canvas(np.zeros((1, *labels.shape)), labels).digest()


def test_strokes_are_applied_in_order_and_the_view_is_previewed(
    engine: Engine, cells, tmp_path: Path
):
    pixels, truth = cells
    labels = np.zeros(truth.shape, np.uint8)
    request = LiveRequest(TASK, {"a": LiveImage(pixels, labels)}, tmp_path / "live", QUICK)
    listener = Listener(job := engine.submit(request))
    assert not listener.wait_for(LiveState).ready
    job.tell(ShowView("a", (0, 0, 160, 160), number=1))
    for number, row in enumerate(range(20, 140, 8), start=2):
        labels[row] = truth[row]
        job.tell(Paint("a", (row, 0), truth[row : row + 1], number=number))
    last = number
    state = listener.wait_for(LiveState, lambda s: s.applied == last and s.ready)
    assert same(state, "a", labels)
    good = lambda p: p.step > 60 and (p.labels == truth).mean() > 0.93  # noqa: E731
    preview = listener.wait_for(LivePreview, good)
    assert preview.uncertainty.dtype == np.uint8
    wrong = preview.labels != truth
    assert preview.uncertainty[wrong].mean() > preview.uncertainty[~wrong].mean()

    edge = ClassInfo(id=5, name="edge")
    job.tell(ChangeClasses(Semantic(classes=(*CLASSES, edge), sparse=True), number=last + 1))
    labels[:, :4] = 5
    job.tell(Paint("a", (0, 0), labels[:, :4], number=last + 2))
    job.tell(PutImage("b", LiveImage(pixels, np.zeros_like(labels)), number=last + 3))
    state = listener.wait_for(LiveState, lambda s: s.applied == last + 3)
    assert state.digests.keys() == {"a", "b"}
    job.tell(RemoveImage("b", number=last + 4))
    state = listener.wait_for(LiveState, lambda s: s.applied == last + 4)
    assert same(state, "a", labels)
    job.stop()
    done = job.wait(PATIENCE_S)
    assert isinstance(done, LiveFinished)
    assert read_info(done.model).task.ids.tolist() == [1, 2, 5]
    np.testing.assert_array_equal(LiveSession(tmp_path / "live").labels()["a"], labels)


def test_a_stroke_that_did_not_arrive_is_sent_again(engine: Engine, cells, tmp_path, monkeypatch):
    pixels, truth = cells
    labels = np.zeros(truth.shape, np.uint8)
    request = LiveRequest(TASK, {"a": LiveImage(pixels, labels)}, tmp_path / "live", QUICK)
    listener = Listener(job := engine.submit(request))
    listener.wait_for(LiveState)
    client = engine._connection._client
    run, failures = client.run, [OSError("connection reset")] * 2

    def fail_twice(function, *args, **options):
        if function is send_command and failures:
            raise failures.pop()
        return run(function, *args, **options)

    monkeypatch.setattr(client, "run", fail_twice)
    labels[20:24] = truth[20:24]
    job.tell(Paint("a", (20, 0), truth[20:24], number=1))
    state = listener.wait_for(LiveState, lambda s: s.applied == 1)
    assert not failures
    assert same(state, "a", labels)
    job.stop()
    job.wait(PATIENCE_S)


def test_a_session_resumes_where_it_stopped(engine: Engine, cells, tmp_path: Path):
    pixels, truth = cells
    strokes = some_rows(truth)
    session = LiveSession(tmp_path / "live")
    request = LiveRequest(TASK, {"a": LiveImage(pixels, strokes)}, session.path, QUICK)
    listener = Listener(job := engine.submit(request))
    listener.wait_for(LiveState, lambda s: s.step > 30)
    job.stop()
    steps = job.wait(PATIENCE_S).steps
    image = LiveImage(pixels, session.labels()["a"])
    request = LiveRequest(session.task(), {"a": image}, session.path, QUICK, resume=True)
    listener = Listener(job := engine.submit(request))
    state = listener.wait_for(LiveState)
    assert 0 < steps <= state.step
    assert same(state, "a", strokes)
    job.stop()
    assert job.wait(PATIENCE_S).steps >= steps


def test_a_session_resumes_with_another_class_and_records_its_images(engine, cells, tmp_path):
    pixels, truth = cells
    strokes = some_rows(truth)
    session = LiveSession(tmp_path / "live")
    image, turned = LiveImage(pixels, strokes), LiveImage(pixels[:, ::-1], strokes)
    request = LiveRequest(TASK, {"a": image, "b": turned}, session.path, QUICK)
    listener = Listener(job := engine.submit(request))
    listener.wait_for(LiveState, lambda s: s.step > 5)
    job.tell(RemoveImage("b", number=1))
    job.stop()
    steps = job.wait(PATIENCE_S).steps
    edge = ClassInfo(id=5, name="edge")
    labels = strokes.copy()
    labels[:, :4] = 5
    images = {"a": LiveImage(pixels, labels)}
    task = Semantic(classes=(*CLASSES, edge), sparse=True)
    again = replace(request, task=task, images=images, resume=True)
    listener = Listener(job := engine.submit(again))
    listener.wait_for(LiveState, lambda s: s.step > steps)
    job.stop()
    done = job.wait(PATIENCE_S)
    info = read_info(done.model)
    assert info.task.ids.tolist() == [1, 2, 5]
    assert info.provenance["steps"] == done.steps > steps
    assert {i.name for i in info.trained_on} == {"a", "b"}


def test_another_kind_of_image_under_the_same_name_is_refused(engine, cells, tmp_path):
    pixels, truth = cells
    strokes = some_rows(truth)
    request = LiveRequest(TASK, {"a": LiveImage(pixels, strokes)}, tmp_path / "live", QUICK)
    listener = Listener(job := engine.submit(request))
    listener.wait_for(LiveState, lambda s: s.step > 0)
    job.stop()
    job.wait(PATIENCE_S)
    images = {"a": LiveImage(np.concatenate([pixels] * 3), strokes)}
    job = engine.submit(replace(request, images=images, resume=True))
    with pytest.raises(LabelsError, match=r"'a' has 3 channel\(s\)"):
        job.wait(PATIENCE_S)
    np.testing.assert_array_equal(LiveSession(tmp_path / "live").labels()["a"], strokes)


def test_no_plane_is_used_if_its_stack_cannot_be_used(engine, cells, tmp_path):
    pixels, truth = cells
    strokes = some_rows(truth)
    stack = np.stack([pixels, pixels], axis=1).astype(np.float32)
    stack[0, 1, 7, 7] = np.nan
    images = {
        "other": LiveImage(pixels, strokes),
        "Z=0": LiveImage(pixels, strokes, scope=stack, scope_name="stack"),
    }
    request = LiveRequest(TASK, images, tmp_path / "live", QUICK)
    listener = Listener(job := engine.submit(request))
    listener.wait_for(LiveState, lambda s: s.step > 0)
    assert "NaN" in listener.latest[LiveTrouble].sentence
    job.tell(PutImage("Z=2", LiveImage(pixels, strokes, scope_name="stack"), number=1))
    state = listener.wait_for(LiveState, lambda s: s.applied == 1)
    assert state.digests.keys() == {"other"}
    sentence = listener.latest[LiveTrouble].sentence
    assert sentence.startswith("'Z=2' is not used because its stack cannot be used: 'Z=0' holds")
    job.stop()
    job.wait(PATIENCE_S)


@pytest.mark.leaves_behind("the new process of the shared engine")
def test_a_killed_worker_is_reported_and_the_saved_session_remains(
    engine: Engine, cells, tmp_path: Path
):
    import os
    import signal

    pixels, truth = cells
    strokes = some_rows(truth)
    request = LiveRequest(TASK, {"a": LiveImage(pixels, strokes)}, tmp_path / "live", QUICK)
    listener = Listener(job := engine.submit(request))
    listener.wait_for(LiveState, lambda s: s.step > 3)
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        job.wait(PATIENCE_S)
    listener = Listener(job := engine.submit(request))
    assert same(listener.wait_for(LiveState, lambda s: s.step > 3), "a", strokes)
    job.stop()
    assert job.wait(PATIENCE_S).model.is_file()


def test_strokes_of_deleted_layers_are_kept_by_the_next_process(engine, cells, tmp_path):
    pixels, truth = cells
    strokes = some_rows(truth)
    image = LiveImage(pixels, strokes)
    request = LiveRequest(TASK, {"a": image, "b": image}, tmp_path / "live", QUICK)
    listener = Listener(job := engine.submit(request))
    listener.wait_for(LiveState)
    job.stop()
    job.wait(PATIENCE_S)
    listener = Listener(job := engine.submit(replace(request, images={"a": image})))
    listener.wait_for(LiveState)
    job.stop()
    job.wait(PATIENCE_S)
    kept = LiveSession(tmp_path / "live").labels()
    assert kept.keys() == {"a", "b"}
    np.testing.assert_array_equal(kept["b"], strokes)


def test_strokes_on_a_refused_image_are_kept(engine, cells, tmp_path):
    pixels, truth = cells
    strokes = some_rows(truth)
    two = np.concatenate([pixels, pixels])
    images = {"a": LiveImage(pixels, strokes), "b": LiveImage(two, strokes)}
    listener = Listener(job := engine.submit(LiveRequest(TASK, images, tmp_path / "live", QUICK)))
    listener.wait_for(LiveState, lambda s: s.step > 0)
    assert "'b' has 2 channel(s), the other images have 1" in listener.latest[LiveTrouble].sentence
    later = np.full((3, 160), 300)
    job.tell(Paint("b", (50, 0), later, number=1))
    job.stop()
    job.wait(PATIENCE_S)
    kept = LiveSession(tmp_path / "live").labels()
    assert kept.keys() == {"a", "b"}
    strokes = strokes.astype(int)
    strokes[50:53] = later
    np.testing.assert_array_equal(kept["b"], strokes)


def test_a_suggestion_waits_for_the_network_of_a_new_class(engine, cells, tmp_path):
    pixels, truth = cells
    strokes = np.where(np.arange(160)[:, None] % 80 == 0, truth, 0)
    request = LiveRequest(TASK, {"a": LiveImage(pixels, strokes)}, tmp_path / "live", QUICK)
    listener = Listener(job := engine.submit(request))
    listener.wait_for(LiveState, lambda s: s.step > 1)
    edge = ClassInfo(id=5, name="edge")
    job.tell(ChangeClasses(Semantic(classes=(*CLASSES, edge), sparse=True), number=1))
    job.tell(Suggest("a", number=2))
    assert listener.wait_for(LiveSuggestion).origin is not None
    job.tell(Suggest("b", number=3))
    nowhere = listener.wait_for(LiveSuggestion, lambda s: s.name == "b")
    assert nowhere.origin is None
    assert nowhere.reason.startswith("'b' is not used for training")
    job.stop()
    job.wait(PATIENCE_S)


def test_a_missing_device_is_reported(engine, cells, tmp_path):
    pixels, truth = cells
    image = LiveImage(pixels, truth)
    job = engine.submit(LiveRequest(TASK, {"a": image}, tmp_path / "live", device="mps"))
    with pytest.raises(DeviceError, match="'mps' is not available"):
        job.wait(PATIENCE_S)


def test_strokes_before_an_error_are_saved(cells, tmp_path, monkeypatch):
    pixels, truth = cells
    strokes = some_rows(truth)
    learn, commands = LiveTraining.step, queue.SimpleQueue()

    def fail_later(training: LiveTraining) -> float:
        if training.steps == 2:
            commands.put(Paint("a", (50, 0), truth[50:53], number=1))  # during a step
            raise DeviceError("the device failed")
        return learn(training)

    monkeypatch.setattr(LiveTraining, "step", fail_later)
    context = SimpleNamespace(
        should_stop=lambda: False, commands=commands, emit=lambda _: None, preview_waits=False
    )
    request = LiveRequest(TASK, {"a": LiveImage(pixels, strokes)}, tmp_path / "live", QUICK)
    with pytest.raises(DeviceError, match="device failed"):
        train_live(request, context)
    session = LiveSession(tmp_path / "live")
    strokes[50:53] = truth[50:53]
    np.testing.assert_array_equal(session.labels()["a"], strokes)
    assert read_info(session.model).provenance["steps"] == 2
