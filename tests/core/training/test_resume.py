"""Stopping, killing and resuming: the weights are those of an uninterrupted run."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.datasets.splits import Split
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model_file import load_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic
from napari_unet.core.training.events import (
    CheckpointSaved,
    Finished,
    FinishReason,
    Started,
    StepDone,
)
from napari_unet.core.training.run_folder import RunFolder
from napari_unet.core.training.settings import Budget, TrainingSettings
from napari_unet.core.training.training import resume, train

TINY = {
    "depth": 1,
    "base_channels": 2,
    "patch_px": 32,
    "batch_size": 2,
    "epoch_steps": 3,
    "device": "cpu",
    "precision": "float32",
}
OBJECTS = Instances()
CLASSES = Semantic.from_labels([np.array([0, 1])])


def nuclei_pairs(n=3, binary=False):
    pairs = []
    for seed in range(n):
        image, labels = synthetic_nuclei((64, 64), 6, seed=seed, diameter_px=(10, 16))
        labels = (labels > 0).astype(np.uint8) if binary else labels
        pairs.append(Pair(Image(image, "YX", name=f"cells {seed}"), labels))
    return pairs


def stop_after(steps):
    """Build a function that returns True after this number of steps of the session."""
    counter = itertools.count()
    return lambda: next(counter) >= steps


def assert_same_run(one, other):
    """Check that every model, the whole state and the history are bit-identical."""
    ours, theirs = RunFolder(one), RunFolder(other)
    for path in (ours.last_model, ours.best_model):
        counterpart = theirs.path / path.name
        assert path.exists() == counterpart.exists()
        if path.exists():
            a, b = load_model(path), load_model(counterpart)
            assert a.weights.keys() == b.weights.keys()
            assert all(torch.equal(a.weights[k], b.weights[k]) for k in a.weights)
            assert a.info.scores == b.info.scores
    a, b = ours.load_state(), theirs.load_state()
    assert a.tensors.keys() == b.tensors.keys()
    assert all(torch.equal(a.tensors[k], b.tensors[k]) for k in a.tensors)
    untimed = [
        {k: v for k, v in state.values["position"].items() if k != "seconds"} for state in (a, b)
    ]
    assert untimed[0] == untimed[1]
    assert ours.read_history() == theirs.read_history()


@pytest.fixture(autouse=True, scope="module")
def no_curves():
    """Skip the figure of the curves, which takes longer than these runs; see its own tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_unet.core.training.curves.curves_figure", lambda *_: None)
        yield


VARIANTS = {
    "steps": (OBJECTS, {"budget": Budget(steps=8)}),
    "epochs": (OBJECTS, {"budget": Budget(epochs=3)}),
    "dropout": (CLASSES, {"budget": Budget(steps=8), "dropout": 0.5}),
    "adam without average": (
        CLASSES,
        {"budget": Budget(steps=8), "optimizer": "adam", "average_decay": 0},
    ),
    "no clipping, resize": (
        CLASSES,
        {"budget": Budget(epochs=2), "gradient_clip": 0, "upsampling": "resize"},
    ),
    "bfloat16": (CLASSES, {"budget": Budget(steps=8), "precision": "bfloat16"}),
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Create the folder of an uninterrupted run for each variant."""
    folders = {}

    def run(variant):
        if variant not in folders:
            task, values = VARIANTS[variant]
            folders[variant] = tmp_path_factory.mktemp("whole") / "run"
            pairs = nuclei_pairs(binary=task is CLASSES)
            list(train(pairs, task, folders[variant], TrainingSettings(**(TINY | values))))
        return folders[variant]

    return run


@pytest.mark.parametrize("variant", ["steps", "dropout", "adam without average"])
def test_previews_change_nothing(tmp_path, uninterrupted, variant):
    task, values = VARIANTS[variant]
    pairs = nuclei_pairs(binary=task is CLASSES)
    steps = []

    def preview(model, step):
        steps.append(step)
        torch.rand(3)
        np.random.rand(3)  # noqa: NPY002
        predict(model, pairs[0].image, PredictOptions(device="cpu", precision="float32"))
        for weights in model.weights.values():
            weights.zero_()

    options = {"on_preview": preview, "preview_s": 0}
    values = TrainingSettings(**(TINY | values))
    list(train(pairs, task, tmp_path / "run", values, should_stop=stop_after(4), **options))
    list(resume(tmp_path / "run", pairs, **options))
    assert sorted(set(steps)) == list(range(1, 9))
    assert_same_run(tmp_path / "run", uninterrupted(variant))


def test_previews_show_the_averaged_model_and_keep_their_distance(tmp_path):
    shown = {}
    values = TrainingSettings(**TINY, budget=Budget(steps=7))
    options = {"on_preview": lambda model, step: shown.update({step: model}), "preview_s": 1000}
    list(train(nuclei_pairs(), OBJECTS, tmp_path / "run", values, **options))
    assert list(shown) == [3, 6, 7]  # after each epoch of three steps, and at the end
    last = load_model(tmp_path / "run" / "last.safetensors")
    assert all(torch.equal(shown[7].weights[k], w) for k, w in last.weights.items())
    assert shown[7].info.scores == last.info.scores


@settings(max_examples=6)
@given(st.sampled_from(sorted(VARIANTS)), st.lists(st.integers(0, 4), min_size=1, max_size=3))
def test_stopped_at_any_step_and_resumed_is_as_never_stopped(
    tmp_path_factory, uninterrupted, variant, sessions
):
    task, values = VARIANTS[variant]
    folder = tmp_path_factory.mktemp("stopped") / "run"
    pairs = nuclei_pairs(binary=task is CLASSES)
    settings = TrainingSettings(**(TINY | values))
    events = list(train(pairs, task, folder, settings, should_stop=stop_after(sessions[0])))
    for steps in [*sessions[1:], 100]:
        assert isinstance(events[-1], Finished)
        if events[-1].reason == FinishReason.COMPLETED:
            break
        torch.manual_seed(steps)  # the caller's use of torch in between must not matter
        before = events[-1].step
        events = list(resume(folder, pairs, should_stop=stop_after(steps)))
        assert isinstance(events[0], Started)
        assert events[0].step == before
        numbers = [e.step for e in events if isinstance(e, StepDone)]
        assert numbers == list(range(before + 1, before + 1 + len(numbers)))
    assert events[-1].reason == FinishReason.COMPLETED
    assert_same_run(folder, uninterrupted(variant))


def test_stopped_before_the_first_step_there_is_a_model_of_the_starting_weights(tmp_path):
    settings = TrainingSettings(**TINY, budget=Budget(steps=4))
    list(train(nuclei_pairs(), OBJECTS, tmp_path / "first", settings))
    start = load_model(RunFolder(tmp_path / "first").last_model)
    run = train(
        nuclei_pairs(),
        OBJECTS,
        tmp_path / "second",
        settings,
        start=start,
        should_stop=lambda: True,
    )
    assert list(run)[-1].step == 0
    weights = load_model(RunFolder(tmp_path / "second").last_model).weights
    assert all(torch.equal(weights[k], start.weights[k]) for k in weights)


def test_a_generator_that_is_dropped_can_be_resumed_from_its_last_checkpoint(
    tmp_path, uninterrupted
):
    task, values = VARIANTS["steps"]
    run = train(nuclei_pairs(), task, tmp_path / "run", TrainingSettings(**(TINY | values)))
    for event in run:
        if isinstance(event, StepDone) and event.step == 5:
            break
    run.close()
    events = list(resume(tmp_path / "run", nuclei_pairs()))
    assert events[0].step == 3
    assert_same_run(tmp_path / "run", uninterrupted("steps"))


def test_a_finished_run_stays_finished(tmp_path):
    folder = tmp_path / "run"
    settings = TrainingSettings(**TINY, budget=Budget(steps=2))
    first = list(train(nuclei_pairs(), OBJECTS, folder, settings))[-1]
    before = RunFolder(folder).last_model.read_bytes()
    events = list(resume(folder, nuclei_pairs()))
    assert [type(e) for e in events] == [Started, Finished]
    assert events[-1] == first
    assert RunFolder(folder).last_model.read_bytes() == before


def test_killed_between_the_last_epoch_and_the_end_nothing_more_is_trained(tmp_path):
    values = {"learning_rate": 1e-30, "patience": 2, "epoch_steps": 2, "budget": Budget(steps=40)}
    settings = TrainingSettings(**(TINY | values))
    whole = list(train(nuclei_pairs(), OBJECTS, tmp_path / "whole", settings))[-1]
    for event in train(nuclei_pairs(), OBJECTS, tmp_path / "killed", settings):
        if isinstance(event, CheckpointSaved) and event.step == whole.step == 6:
            break  # the epoch is saved, but not the end of the run
    events = list(resume(tmp_path / "killed", nuclei_pairs()))
    assert not any(isinstance(e, StepDone) for e in events)
    assert events[-1].reason == FinishReason.NO_IMPROVEMENT
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


def test_early_stopping_counts_on_after_a_stop(tmp_path):
    # The learning rate changes nothing: the first epoch is best, the next two do not improve.
    values = {"learning_rate": 1e-30, "patience": 2, "epoch_steps": 2, "budget": Budget(steps=40)}
    settings = TrainingSettings(**(TINY | values))
    whole = list(train(nuclei_pairs(), OBJECTS, tmp_path / "whole", settings))[-1]
    folder = tmp_path / "stopped"
    stopped = list(train(nuclei_pairs(), OBJECTS, folder, settings, should_stop=stop_after(3)))[-1]
    assert stopped.reason == FinishReason.STOPPED
    resumed = list(resume(folder, nuclei_pairs()))[-1]
    assert whole.reason == resumed.reason == FinishReason.NO_IMPROVEMENT
    assert whole.step == resumed.step == 6
    assert_same_run(folder, tmp_path / "whole")


# -- runs that cannot be resumed -----------------------------------------------------------------


@pytest.fixture
def stopped_run(tmp_path):
    settings = TrainingSettings(**TINY, budget=Budget(steps=6))
    list(train(nuclei_pairs(), OBJECTS, tmp_path / "run", settings, should_stop=stop_after(2)))
    return tmp_path / "run"


def test_other_labels_are_refused(stopped_run):
    pairs = nuclei_pairs()
    labels = pairs[1].labels.copy()
    labels[0, 0] = 99
    pairs[1] = Pair(pairs[1].image, labels)
    for other in (pairs, pairs[:2], [*nuclei_pairs(), pairs[0]]):
        with pytest.raises(SettingsError, match="The labels differ from those"):
            list(resume(stopped_run, other))


@pytest.mark.parametrize("split", [Split((0, 1), (2,), "given"), None])
def test_a_run_whose_settings_list_the_split_as_two_fields_goes_on(tmp_path, split):
    events = train(
        nuclei_pairs(),
        OBJECTS,
        tmp_path,
        TrainingSettings(**TINY, budget=Budget(steps=6)),
        split=split,
        should_stop=stop_after(3),
    )
    list(events)
    path = tmp_path / "settings.json"
    values = json.loads(path.read_text())
    assert RunFolder(tmp_path).settings().split == split
    del values["split"]
    values["split_train"] = list(split.train) if split else []
    values["split_validation"] = list(split.validation) if split else []
    path.write_text(json.dumps(values))
    assert RunFolder(tmp_path).settings().split == split
    assert list(resume(tmp_path, nuclei_pairs()))[-1].step == 6


def test_other_images_are_refused(stopped_run):
    pairs = nuclei_pairs()
    pairs[0] = Pair(Image(255 - pairs[0].image.data, "YX", name="cells 0"), pairs[0].labels)
    with pytest.raises(SettingsError, match=r"'cells 0' is not the image"):
        list(resume(stopped_run, pairs))


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(SettingsError, match="contains no run"):
        list(resume(tmp_path, nuclei_pairs()))


def test_a_damaged_run(stopped_run):
    state = stopped_run / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ModelFileError, match=r"truncated|damaged"):
        list(resume(stopped_run, nuclei_pairs()))
    (stopped_run / "settings.json").write_text("{")
    with pytest.raises(SettingsError, match=r"settings.json is damaged"):
        list(resume(stopped_run, nuclei_pairs()))


def test_a_run_is_not_overwritten_by_another(stopped_run):
    with pytest.raises(SettingsError, match="already contains a run"):
        list(train(nuclei_pairs(), OBJECTS, stopped_run, TrainingSettings(**TINY)))


# -- killed runs ---------------------------------------------------------------------------------

WORKER = """
import os, sys, time
import napari_unet.core.training.curves
import torch._dynamo
from test_resume import OBJECTS, TINY, nuclei_pairs
from napari_unet.core.training.settings import Budget, TrainingSettings
from napari_unet.core.training.training import train
from napari_unet.core.system import atomic_files as storage

replace = os.replace
def slow_replace(self, target):
    # Half-written on purpose: a reader must find the old file or none while this is written.
    print("writing", os.path.basename(target), flush=True)
    time.sleep(0.05)
    replace(self, target)
storage.Path.replace = slow_replace
napari_unet.core.training.curves.curves_figure = lambda *_: None
settings = TrainingSettings(**(TINY | {"epoch_steps": 1}), budget=Budget(steps=6))
for line in sys.stdin:
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        list(train(nuclei_pairs(), OBJECTS, line.strip(), settings))
        os._exit(0)
    print("ended", os.wait()[1], flush=True)
"""


@pytest.fixture(scope="module")
def workers():
    """Start a process that imports the slow modules once and trains in copies of itself."""
    paths = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", WORKER],
        stdin=pipe,
        stdout=pipe,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    ) as process:
        yield process


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    settings = TrainingSettings(**(TINY | {"epoch_steps": 1}), budget=Budget(steps=6))
    list(train(nuclei_pairs(), OBJECTS, folder, settings))
    return folder


def killed_after(workers, folder, writes):
    """Train in another process and kill it while it moves a file into place."""
    print(folder, file=workers.stdin, flush=True)
    pid = next(int(line) for line in workers.stdout if line.strip().isdecimal())
    for _ in range(writes):
        assert "writing" in workers.stdout.readline()
    time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    ended = next(line for line in workers.stdout if line.startswith("ended"))
    assert ended.split()[1] == str(int(signal.SIGKILL))


@pytest.mark.parametrize("writes", [8, 13])
def test_killed_during_a_checkpoint_the_run_loads_and_goes_on(
    workers, tmp_path, never_killed, writes
):
    folder = tmp_path / "run"
    killed_after(workers, folder, writes)
    run = RunFolder(folder)
    for path in (run.last_model, run.best_model):
        if path.exists():
            load_model(path)
    events = list(resume(folder, nuclei_pairs()))
    assert events[-1].reason == FinishReason.COMPLETED
    assert events[0].step > 0
    assert_same_run(folder, never_killed)


def test_killed_before_the_first_checkpoint_it_can_only_start_again(
    workers, tmp_path, never_killed
):
    folder = tmp_path / "run"
    killed_after(workers, folder, 3)
    with pytest.raises(SettingsError, match="no checkpoint to resume from"):
        list(resume(folder, nuclei_pairs()))
    settings = TrainingSettings(**(TINY | {"epoch_steps": 1}), budget=Budget(steps=6))
    list(train(nuclei_pairs(), OBJECTS, folder, settings))
    assert_same_run(folder, never_killed)


def test_a_run_resumes_with_its_annotated_area_and_no_other(tmp_path):
    (pair,) = nuclei_pairs(1)
    area = np.zeros((64, 64), bool)
    area[:, :48] = True
    with_area = replace(pair, annotated=area)
    settings = TrainingSettings(**TINY, budget=Budget(steps=6), validation_fraction=0)
    list(train([with_area], OBJECTS, tmp_path / "run", settings, should_stop=stop_after(3)))
    ((labels, kept),) = RunFolder(tmp_path / "run").snapshot()
    np.testing.assert_array_equal(labels, pair.labels)
    np.testing.assert_array_equal(kept, area)
    for other in (pair, replace(pair, annotated=~area)):
        with pytest.raises(SettingsError, match="annotated areas differ"):
            list(resume(tmp_path / "run", [other]))
    last = list(resume(tmp_path / "run", [with_area]))[-1]
    assert isinstance(last, Finished)
    assert last.step == 6
