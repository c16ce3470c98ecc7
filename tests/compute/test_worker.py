"""Functions of the worker, called in this process without an engine."""

import gc
import pickle
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from napari_unet.compute import PredictRequest, Preview, Progress
from napari_unet.compute.job_context import JobContext
from napari_unet.compute.kept_model import KeptModel, kept_model
from napari_unet.compute.kept_outputs import KeptOutputs
from napari_unet.compute.parcels import pack, unpack
from napari_unet.compute.work import work
from napari_unet.compute.worker import Failure, _failure, fetch_preview
from napari_unet.core.errors import DeviceError, SettingsError, UNetError
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import load_model, save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import Prediction
from napari_unet.core.training.events import CheckpointSaved, StepDone


def test_of_many_steps_some_are_sent_and_always_the_last() -> None:
    sent: list[object] = []
    context = JobContext("job", sent.append)
    for number in range(1, 1001):
        context.emit(StepDone(number, 0.0, 0.0, 0.0, 0.0))
    saved = CheckpointSaved(1000, "run")
    context.emit(saved)
    assert 2 < len(sent) < 200
    assert sent[0].step == 1
    assert sent[-2].step == 1000
    assert sent[-1] == saved


def test_progress_estimates_the_time_left() -> None:
    sent: list[Progress] = []
    context = JobContext("job", sent.append)
    context._start_s -= 10
    context.progress(1, 4)
    assert sent[0].done == 1
    assert sent[0].seconds_left == pytest.approx(30, abs=1)


def test_events_are_small() -> None:
    sent: list[object] = []
    context = JobContext("preview", sent.append)
    context.show(Preview(np.zeros((512, 512), np.uint16), 7))
    assert len(pickle.dumps(sent)) < 500
    preview = pickle.loads(fetch_preview("preview"))
    labels, step = preview.labels, preview.step
    assert labels.shape == (512, 512)
    assert step == 7
    assert fetch_preview("preview") is None


def test_errors_are_sent_without_their_causes() -> None:
    class Special(DeviceError):
        """A class that exists only in the worker."""

    try:
        try:
            raise RuntimeError("torch")
        except RuntimeError as cause:
            raise Special("The memory is full.") from cause
    except UNetError as error:
        failure = unpack(pack(_failure(error)))
    assert type(failure.error) is DeviceError
    assert str(failure.error) == "The memory is full."
    assert failure.error.__cause__ is None
    assert failure.error.__context__ is None


def test_unexpected_errors_are_sent_as_text() -> None:
    failure = _failure(ZeroDivisionError("unexpected"))
    assert isinstance(failure, Failure)
    assert failure.error is None
    assert "ZeroDivisionError: unexpected" in failure.trace
    assert isinstance(_failure(MemoryError()).error, DeviceError)


def prediction(size: int) -> Prediction:
    labels = np.ones((size, size), np.uint16)
    outputs = np.zeros((1, size, size), np.float32)
    return Prediction(labels, None, np.zeros(2, np.float32), None, outputs)


def test_the_least_recently_used_outputs_are_dropped() -> None:
    kept = KeptOutputs(limit_bytes=2 * 4 * 100)
    for name in "ab":
        assert kept.keep(name, prediction(10)).outputs.size == 0
    kept.find("a")
    kept.keep("c", prediction(10))
    assert kept.find("a").outputs.shape == (1, 10, 10)
    assert kept.find("c").labels.shape == (10, 10)
    with pytest.raises(SettingsError, match="Predict again"):
        kept.find("b")


def test_outputs_that_are_too_large_are_not_kept() -> None:
    kept = KeptOutputs(limit_bytes=100)
    assert kept.keep("a", prediction(10)).outputs is None
    assert kept.keep("b", replace(prediction(2), outputs=None)).outputs is None


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the models whose networks are built, in order; the worker keeps none at first."""
    built: list[str] = []
    build = Model.network

    def counting_build(model: Model) -> object:
        built.append(model.info.name)
        return build(model)

    monkeypatch.setattr(Model, "network", counting_build)
    monkeypatch.setattr(JobContext, "should_stop", lambda self: False)
    kept_model.release()
    yield built
    kept_model.release()


def test_the_network_is_built_once_for_many_layers(trained, small, builds, tmp_path) -> None:
    request = PredictRequest(trained, small.image, PredictOptions(device="cpu"))
    context = JobContext("job", lambda event: None)
    first = work(request, context)
    second = work(
        replace(request, options=PredictOptions(device="cpu", adjustments={"threshold": 0.5})),
        context,
    )
    averaged = replace(request, options=PredictOptions(device="cpu", test_time_augmentation=True))
    work(averaged, context)
    assert builds == [first.model.name]
    np.testing.assert_array_equal(first.labels, second.labels)
    other = tmp_path / "other.safetensors"
    save_model(other, load_model(trained))
    work(replace(request, model=other), context)  # the same content
    assert len(builds) == 1


def test_another_model_is_built_and_the_first_released(trained, small, builds, tmp_path) -> None:
    context = JobContext("job", lambda event: None)
    request = PredictRequest(trained, small.image, PredictOptions(device="cpu"))
    work(request, context)
    model = load_model(trained)
    other = tmp_path / "other.safetensors"
    save_model(other, replace(model, info=model.info.model_copy(update={"name": "other"})))
    assert work(replace(request, model=other), context).model.name == "other"
    work(request, context)
    assert builds == [model.info.name, "other", model.info.name]


def test_an_idle_network_is_released(trained, builds) -> None:
    idle = KeptModel(idle_s=0.05)
    model = idle.load(trained)
    idle.build(model, PredictOptions(device="cpu", precision="float32"))
    assert idle.load(trained) is model
    held = weakref.ref(model)
    del model
    idle.release_when_idle()
    deadline = time.monotonic() + 10
    while held() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
    assert held() is None


def test_large_results_are_in_the_folder_or_sent_whole(
    trained, small, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("napari_unet.core.prediction.prediction.IN_MEMORY_BYTES", 1000)
    context = JobContext("job", lambda event: None)
    request = PredictRequest(trained, small.image, PredictOptions(device="cpu"), probabilities=True)
    monkeypatch.setattr(JobContext, "should_stop", lambda self: False)
    on_disk = unpack(pack(work(replace(request, folder=tmp_path), context)))
    whole = unpack(pack(work(request, context)))
    assert list(tmp_path.iterdir())
    assert not isinstance(on_disk.labels, np.ndarray)
    assert isinstance(whole.labels, np.ndarray)
    assert isinstance(whole.probabilities, np.ndarray)
    np.testing.assert_array_equal(np.asarray(on_disk.labels), whole.labels)
    kept_model.release()  # ends its timer
