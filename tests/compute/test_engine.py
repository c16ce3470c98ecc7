import builtins
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_unet import Image, Pair, write_labels
from napari_unet.compute import (
    ComputeError,
    DecodeRequest,
    Ended,
    Engine,
    EvaluateFilesRequest,
    EvaluateRequest,
    FilesRequest,
    Job,
    PredictRequest,
    Preview,
    Progress,
    ResumeRequest,
)
from napari_unet.core.errors import Cancelled, ModelFileError, SettingsError
from napari_unet.core.io.image_files import read_labels, write_image
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.batch import BatchOptions, FileFailed, FilePredicted
from napari_unet.core.training.events import EpochDone, Finished, FinishReason, Started, StepDone


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition stayed false"
        time.sleep(0.01)


def listen(job: Job) -> list[object]:
    events: list[object] = []
    job.on_event(events.append)
    return events


def listen_to_the_end(job: Job) -> list[object]:
    events = listen(job)
    job.wait(50)
    return events


def of(kind: type, events: list[object]) -> list[object]:
    return [event for event in events if isinstance(event, kind)]


def test_training_reports_its_progress_and_ends_with_its_result(engine, small, tmp_path) -> None:
    job = engine.submit(small.request(tmp_path / "run"))
    events = listen(job)
    result = job.wait(50)
    assert isinstance(events[0], Started)
    assert [e.step for e in of(EpochDone, events)] == [10, 20, 30]
    assert of(StepDone, events)[-1].step == 30
    assert result.reason is FinishReason.COMPLETED
    assert events[-2:] == [result, Ended(result, None)]
    assert job.status == "done"
    assert Path(result.last_model).is_file()


def test_a_late_listener_receives_past_events(engine, small, tmp_path) -> None:
    job = engine.submit(small.request(tmp_path / "run", steps=12))
    job.wait(50)
    events = listen(job)
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert [e.step for e in of(EpochDone, events)] == [10, 12]


def test_stop_saves_and_resume_continues(engine, small, tmp_path) -> None:
    job = engine.submit(small.request(tmp_path / "run", steps=5000))
    events = listen(job)
    wait_for(lambda: of(StepDone, events))
    job.stop()
    assert job.status == "stopping"
    stopped = job.wait(20)
    assert stopped.reason is FinishReason.STOPPED
    assert 0 < stopped.step < 5000
    again = engine.submit(ResumeRequest(tmp_path / "run", (small.pair,)))
    events = listen(again)
    wait_for(lambda: of(StepDone, events))
    again.stop()
    assert again.wait(20).step > stopped.step
    assert of(Started, events)[0].step == stopped.step


def test_previews_are_labels_of_the_image_in_view(engine, small, tmp_path) -> None:
    request = small.request(tmp_path / "run", preview=small.image, preview_s=0.2)
    job = engine.submit(request)
    events = listen(job)
    job.wait(50)
    previews = of(Preview, events)
    assert previews
    assert previews[-1].step == 30
    assert previews[-1].labels.shape == small.image.label_shape
    assert previews[-1].labels.flags.writeable


def test_a_preview_uses_the_requested_intensity_ranges(engine, small, trained, tmp_path) -> None:
    ask = {"steps": 2, "start": trained, "preview": small.image}
    seen, dark = (
        listen_to_the_end(engine.submit(small.request(tmp_path / name, **ask, **more)))
        for name, more in (("seen", {}), ("dark", {"preview_ranges": ((0, 1e6),)}))
    )
    assert of(Preview, seen)[-1].labels.any()
    assert not of(Preview, dark)[-1].labels.any()


def test_a_failing_preview_does_not_end_the_training(engine, small, tmp_path) -> None:
    two_channels = Image(np.zeros((2, 96, 96), np.uint8), "CYX")
    job = engine.submit(small.request(tmp_path / "run", steps=10, preview=two_channels))
    assert isinstance(job.wait(50), Finished)


def test_prediction_returns_labels_that_can_be_edited(engine, small, trained) -> None:
    job = engine.submit(
        PredictRequest(trained, small.image, PredictOptions(device="cpu"), probabilities=True)
    )
    events = listen(job)
    found = job.wait(50)
    assert found.labels.shape == (96, 96)
    assert found.labels.max() >= 2
    assert found.probabilities.dtype == np.float32
    found.labels[0, 0] = 1
    last = of(Progress, events)[-1]
    assert last.done == last.total == 1


@pytest.mark.parametrize("kind", ["dask", "zarr", "dask of zarr", "zarr in memory"])
def test_lazy_images_and_arrays_have_the_same_result(
    engine, small, trained, tmp_path, kind
) -> None:
    data = small.image.data
    if kind == "dask":
        lazy = da.from_array(data, chunks=40) + 0
    elif kind == "zarr in memory":
        lazy = zarr.array(data, chunks=(40, 40))
    else:
        lazy = zarr.open_array(tmp_path / "a.zarr", mode="w", shape=(96, 96), dtype=data.dtype)
        lazy[:] = data
        lazy = da.from_zarr(lazy) if kind == "dask of zarr" else lazy
    whole, by_parts = (
        engine.submit(PredictRequest(trained, image, PredictOptions(device="cpu")))
        for image in (small.image, Image.from_array(lazy, "YX"))
    )
    np.testing.assert_array_equal(by_parts.wait(50).labels, whole.wait(50).labels)


def test_lazy_pairs_train(engine, small, tmp_path) -> None:
    image = Image(da.from_array(small.image.data, chunks=40), "YX")
    request = small.request(tmp_path / "run", steps=2, pairs=(Pair(image, small.pair.labels),))
    assert engine.submit(request).wait(50).step == 2


def test_functions_of_a_notebook_are_sent_with_a_lazy_image(engine, small, trained) -> None:
    lazy = da.from_array(small.image.data, chunks=96).map_blocks(lambda x: x + 1)
    image = Image(lazy, "YX")
    assert (
        engine.submit(PredictRequest(trained, image, PredictOptions(device="cpu")))
        .wait(50)
        .labels.max()
        >= 2
    )


def test_an_image_that_cannot_be_sent_is_reported(engine, trained) -> None:
    lock = threading.Lock()
    lazy = da.zeros((64, 64)).map_blocks(lambda x: x + lock.locked())
    job = engine.submit(PredictRequest(trained, Image(lazy, "YX")))
    with pytest.raises(SettingsError, match="cannot be sent to the compute process"):
        job.wait(30)


def test_decoding_again_needs_no_network(engine, small, trained) -> None:
    request = PredictRequest(trained, small.image, PredictOptions(device="cpu"), keep_outputs=True)
    job = engine.submit(request)
    found = job.wait(50)
    assert found.outputs.size == 0
    assert found.labels.max() >= 2
    again = engine.submit(DecodeRequest(job.id, {"min_area_px": 5000})).wait(20)
    assert again.labels.max() == 0
    assert again.labels.shape == found.labels.shape
    same = engine.submit(DecodeRequest(job.id, {})).wait(20)
    np.testing.assert_array_equal(same.labels, found.labels)


def test_decoding_outputs_that_were_not_kept_suggests_to_predict_again(
    engine, small, trained
) -> None:
    job = engine.submit(PredictRequest(trained, small.image, PredictOptions(device="cpu")))
    assert job.wait(50).outputs is None
    with pytest.raises(SettingsError, match="Predict again"):
        engine.submit(DecodeRequest(job.id, {})).wait(20)


def test_files_are_predicted_one_by_one(engine, small, trained, tmp_path) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "in" / f"{name}.tif", small.image)
    (tmp_path / "in" / "broken.tif").write_bytes(b"nothing")
    options = BatchOptions(tmp_path / "out", prediction=PredictOptions(device="cpu"))
    job = engine.submit(FilesRequest(trained, (str(tmp_path / "in"),), options))
    events = listen(job)
    done = job.wait(50)
    assert [r.input.name for r in done.predicted] == ["a.tif", "b.tif"]
    assert [r.input.name for r in done.failed] == ["broken.tif"]
    assert of(FilePredicted, events) == list(done.predicted)
    assert of(FileFailed, events) == list(done.failed)
    assert of(Progress, events)[-1].done == 3
    assert read_labels(tmp_path / "out" / "a_labels.tif").max() >= 2


def test_evaluation_returns_scores_and_errors(engine, small) -> None:
    truth = small.pair.labels
    prediction = np.where(truth == 1, 7, 0)
    job = engine.submit(EvaluateRequest(da.from_array(prediction), truth, name="squares"))
    report, errors = job.wait(50)
    assert report.images[0].name == "squares"
    assert {row["category"] for row in errors.objects} == {"hit", "missed"}
    assert errors.labels.shape == truth.shape


def test_sparse_classes_are_scored_only_on_painted_pixels(engine) -> None:
    truth = np.zeros((8, 8), np.uint8)
    truth[:2], truth[2:4] = 1, 2
    prediction = np.full((8, 8), 2, np.uint8)
    names = {1: "background", 2: "cell"}
    request = EvaluateRequest(prediction, truth, kind="semantic", classes=names, sparse=True)
    errors = engine.submit(request).wait(50).errors
    assert errors.labels[:2].min() > 0  # background predicted as a cell
    assert errors.labels[4:].max() == 0  # unpainted


def test_classes_are_mapped_by_name_in_the_error_layer(engine) -> None:
    truth = np.array([[0, 1, 2]], np.uint8)
    prediction = np.array([[0, 2, 1]], np.uint8)
    request = EvaluateRequest(
        prediction,
        truth,
        kind="semantic",
        classes={1: "cell", 2: "gland"},
        prediction_classes={2: "cell", 1: "gland"},
    )
    errors = engine.submit(request).wait(50).errors
    assert set(errors.labels.ravel().tolist()) == {0, 1}


def test_planes_without_annotation_have_no_errors(engine) -> None:
    truth = np.zeros((2, 8, 8), np.uint8)
    truth[0, :4] = 1
    errors = engine.submit(EvaluateRequest(np.ones_like(truth), truth)).wait(50).errors
    assert errors.labels[0].any()
    assert not errors.labels[1].any()


def test_folders_are_evaluated_with_progress(engine, small, tmp_path) -> None:
    for folder in ("prediction", "truth"):
        for name in ("a", "b"):
            write_labels(tmp_path / folder / f"{name}.tif", small.pair.labels)
    job = engine.submit(EvaluateFilesRequest(tmp_path / "prediction", tmp_path / "truth"))
    events = listen(job)
    assert [i.name for i in job.wait(50).report.images] == ["a", "b"]
    assert of(Progress, events)[-1].done == 2


def test_pixels_outside_the_annotated_area_of_a_file_are_not_scored(engine, tmp_path) -> None:
    truth, prediction = np.zeros((2, 24, 24), np.uint8)
    truth[2:8, 2:8], prediction[2:8, 2:8], prediction[14:20, 14:20] = 1, 1, 2
    area = np.zeros((24, 24), np.uint8)
    area[:12] = 1
    write_labels(tmp_path / "truth" / "a.tif", truth)
    write_labels(tmp_path / "truth" / "annotated" / "a.tif", area)
    write_labels(tmp_path / "prediction" / "a.tif", prediction)
    request = EvaluateFilesRequest(tmp_path / "prediction", tmp_path / "truth")
    assert engine.submit(request).wait(50).report.summary()["ap50_by_image"] == 1


def test_prediction_does_not_wait_for_training(engine, small, trained, tmp_path) -> None:
    trainings = [
        engine.submit(small.request(tmp_path / name, steps=50_000)) for name in ("one", "two")
    ]
    events = [listen(job) for job in trainings]
    wait_for(lambda: all(of(StepDone, found) for found in events))
    predictions = [
        engine.submit(PredictRequest(trained, small.image, PredictOptions(device="cpu")))
        for _ in range(3)
    ]
    assert all(job.wait(30).labels.max() >= 2 for job in predictions)
    assert [job.status for job in trainings] == ["running", "running"]
    for job in trainings:
        job.stop()
    assert all(job.wait(30).reason is FinishReason.STOPPED for job in trainings)


def test_errors_arrive_as_sentences(engine, small, trained, tmp_path) -> None:
    rgb = Image(np.zeros((3, 32, 32), np.uint8), "CYX")
    job = engine.submit(PredictRequest(trained, rgb))
    with pytest.raises(ModelFileError, match=r"3 channel\(s\)") as caught:
        job.wait(30)
    assert caught.value.__cause__ is None
    assert job.status == "failed"
    with pytest.raises(ModelFileError, match="There is no model file"):
        engine.submit(PredictRequest(tmp_path / "none.safetensors", small.image)).wait(30)
    options = PredictOptions(adjustments={"softness": 2})
    with pytest.raises(SettingsError, match="no softness: expected one of threshold"):
        engine.submit(PredictRequest(trained, small.image, options)).wait(30)


def test_a_cancelled_prediction_ends_with_cancelled(engine, small, trained) -> None:
    wide = Image(np.tile(small.image.data, (20, 20)), "YX")
    job = engine.submit(PredictRequest(trained, wide, PredictOptions(block_px=64, device="cpu")))
    events = listen(job)
    wait_for(lambda: of(Progress, events))
    job.stop()
    with pytest.raises(Cancelled):
        job.wait(20)


def test_a_job_stopped_immediately_ends_without_a_result(engine, small, tmp_path) -> None:
    job = engine.submit(small.request(tmp_path / "run", steps=50_000))
    job.stop()
    try:
        assert job.wait(20).reason is FinishReason.STOPPED
    except Cancelled:
        assert not (tmp_path / "run").exists()


def test_a_failing_start_is_reported(small, tmp_path, monkeypatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_unet.compute.connection.connect", no_room)
    engine = Engine()
    engine.start()
    wait_for(lambda: engine.state == "lost")
    for _ in range(2):  # the engine tries again for the next job
        with pytest.raises(ComputeError, match=r"No space left.*try again"):
            engine.submit(small.request(tmp_path / "run")).wait(30)
    engine.close()


def test_submitting_does_not_block(small, trained) -> None:
    engine = Engine()
    image = Image(np.zeros((4096, 4096), np.float32), "YX")
    start = time.perf_counter()
    job = engine.submit(PredictRequest(trained, image))
    assert time.perf_counter() - start < 0.05
    job.stop()
    engine.close()
    with pytest.raises(Cancelled):
        job.wait(5)


def test_modules_are_imported_during_the_start_and_on_its_thread(tmp_path, monkeypatch) -> None:
    # Packages with circular imports sometimes fail if two threads import them at once.
    done: list[tuple[str, str]] = []

    def note(what: str) -> None:
        done.append((what, threading.current_thread().name))

    class Host:
        def __init__(self, *_: object) -> None:
            note("process")

        def introduce(self) -> None:
            note("introduced")
            raise ComputeError("This computer computes nothing.")

    monkeypatch.setattr("napari_unet.compute.connection.HostProcess", Host)
    monkeypatch.setattr(builtins, "note", note, raising=False)
    for name in ("imported_first", "imported_later"):
        (tmp_path / f"{name}.py").write_text(f"note({name!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    engine = Engine()
    engine.start("imported_first")
    engine.start("imported_later")
    engine.start()
    wait_for(lambda: len(done) == 4)
    engine.close()
    order = [what for what, _ in done]
    assert order == ["process", "imported_first", "introduced", "imported_later"]
    assert {thread for _, thread in done} == {"napari-unet-engine"}
