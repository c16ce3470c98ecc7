"""Functions that run each type of request in the worker."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.compute import requests as ask
from napari_unet.compute.events import Preview
from napari_unet.compute.kept_model import kept_model
from napari_unet.compute.kept_outputs import kept
from napari_unet.core.errors import Cancelled, DeviceError, SettingsError, UNetError

if TYPE_CHECKING:
    from napari_unet.compute.job_context import JobContext
    from napari_unet.core.models.model import Model
    from napari_unet.core.prediction.prediction import Prediction
    from napari_unet.core.training.events import Event, Finished

__all__ = ["work"]

_log = logging.getLogger("napari_unet")


def work(request: Any, context: JobContext) -> Any:
    """Run a request and return its result; see the classes of `napari_unet.compute.requests`.

    Raises
    ------
    UNetError
        If the request fails.
    SettingsError
        If the type of the request is unknown.
    """
    from napari_unet.compute.live_work import train_live

    kinds: dict[type, Any] = {
        ask.TrainRequest: _train,
        ask.ResumeRequest: _resume,
        ask.LiveRequest: train_live,
        ask.PredictRequest: _predict,
        ask.DecodeRequest: _decode,
        ask.FilesRequest: _predict_files,
        ask.EvaluateRequest: _evaluate,
        ask.EvaluateFilesRequest: _evaluate_files,
    }
    if type(request) not in kinds:
        raise SettingsError(
            f"The worker does not support {type(request).__name__}. Install the same version of "
            "napari-unet-live here and on the worker."
        )
    if isinstance(request, ask.TrainRequest | ask.ResumeRequest | ask.LiveRequest):
        kept_model.release()  # training needs the memory
    return kinds[type(request)](request, context)


# -- training ----------------------------------------------------------------------------------


def _train(request: ask.TrainRequest, context: JobContext) -> Finished:
    from napari_unet.core.models.model_file import load_model
    from napari_unet.core.training.settings import TrainingSettings
    from napari_unet.core.training.training import train

    settings = request.settings or TrainingSettings()
    events = train(
        list(request.pairs),
        request.task,
        request.run_folder,
        settings,
        start=load_model(request.start) if request.start else None,
        split=request.split,
        name=request.name,
        sources=request.sources,
        should_stop=context.should_stop,
        on_preview=_previewer(request, settings.device, context),
        preview_s=request.preview_s,
    )
    return _follow(events, context)


def _resume(request: ask.ResumeRequest, context: JobContext) -> Finished:
    from napari_unet.core.training.run_folder import RunFolder
    from napari_unet.core.training.training import resume

    device = RunFolder(request.run_folder).settings().training.device
    events = resume(
        request.run_folder,
        list(request.pairs),
        should_stop=context.should_stop,
        on_preview=_previewer(request, device, context),
        preview_s=request.preview_s,
    )
    return _follow(events, context)


def _follow(events: Iterator[Event], context: JobContext) -> Finished:
    from napari_unet.core.training.events import Finished

    for event in events:
        context.emit(event)
        if isinstance(event, Finished):
            return event
    raise AssertionError("A training run ends with Finished.")


def _previewer(
    request: ask.TrainRequest | ask.ResumeRequest, device: str, context: JobContext
) -> Callable[[Model, int], None] | None:
    """Return a function that sends previews; an error in it does not end the training run."""
    from napari_unet.core.models.predict_options import PredictOptions

    image, ranges = request.preview, request.preview_ranges
    if image is None:
        return None
    broken = False
    options = PredictOptions(contrast="as-is", device=device)  # the same contrast as in training

    def show(model: Model, step: int) -> None:
        nonlocal broken
        from napari_unet.core.prediction.prediction import predict

        if broken:
            return
        try:
            with tempfile.TemporaryDirectory(prefix="napari-unet-preview-") as folder:
                found = predict(
                    model,
                    image,
                    options,
                    ranges=ranges,
                    folder=Path(folder),
                    should_stop=context.should_stop,
                )
                labels = np.asarray(found.labels)
        except Cancelled:
            return
        except UNetError as error:
            broken = True
            _log.warning("The preview could not be computed: %s", error)
            return
        context.show(Preview(labels, step))

    return show


# -- prediction --------------------------------------------------------------------------------


def _predict(request: ask.PredictRequest, context: JobContext) -> Prediction:
    from napari_unet.core.models.predict_options import PredictOptions
    from napari_unet.core.prediction.prediction import predict

    folder = request.folder or Path(tempfile.mkdtemp(prefix="napari-unet-results-"))
    try:
        model = kept_model.load(request.model)
        kept_model.build(model, request.options or PredictOptions())
        found = predict(
            model,
            request.image,
            request.options,
            probabilities=request.probabilities,
            keep_outputs=request.keep_outputs,
            folder=folder,
            progress=context.progress,
            should_stop=context.should_stop,
        )
        if request.folder is None:
            found = _in_memory(found)
    except DeviceError:
        kept_model.release()
        raise
    finally:
        kept_model.release_when_idle()
        if request.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return kept.keep(context.id, found)


def _decode(request: ask.DecodeRequest, context: JobContext) -> Prediction:
    from napari_unet.core.prediction.prediction import redecode

    return kept.without_outputs(redecode(kept.find(request.prediction), request.adjustments))


def _in_memory(found: Prediction) -> Prediction:
    """Load results from the worker's disk, which the client may not be able to read."""
    maps = found.probabilities
    return replace(
        found,
        labels=np.asarray(found.labels),
        probabilities=None if maps is None else np.asarray(maps),
    )


def _predict_files(request: ask.FilesRequest, context: JobContext) -> ask.FilesDone:
    from napari_unet.core.prediction.batch import FileFailed, FilePredicted, predict_files
    from napari_unet.core.prediction.batch_inputs import find_inputs

    model = kept_model.load(request.model)
    kept_model.release_when_idle()
    found = find_inputs(request.sources)
    total = len(found.files)
    predicted: list[FilePredicted] = []
    failed: list[FileFailed] = []
    results = predict_files(
        model,
        found.files,
        request.options,
        progress=lambda index, done, blocks: context.progress(index + done / blocks, total),
        should_stop=context.should_stop,
    )
    for count, result in enumerate(results, 1):
        if isinstance(result, FilePredicted):
            predicted.append(result)
        else:
            failed.append(result)
        context.emit(result)
        context.progress(count, total)
    return ask.FilesDone(tuple(predicted), tuple(failed), found.skipped)


# -- evaluation --------------------------------------------------------------------------------


def _evaluate(request: ask.EvaluateRequest, context: JobContext) -> ask.Evaluation:
    from napari_unet.core.evaluation.error_map import error_map
    from napari_unet.core.evaluation.evaluation import evaluate, scored_area, with_true_ids
    from napari_unet.core.evaluation.leakage import with_training_note

    prediction, truth = np.asarray(request.prediction), np.asarray(request.truth)
    annotated = None if request.annotated is None else np.asarray(request.annotated)
    settings: dict[str, Any] = {
        "kind": request.kind,
        "classes": request.classes,
        "prediction_classes": request.prediction_classes,
        "background": request.background,
        "sparse": request.sparse,
        "ndim": request.ndim,
        "empty_planes": request.empty_planes,
    }
    if request.thresholds is not None:
        settings["thresholds"] = tuple(request.thresholds)
    report = evaluate(prediction, truth, annotated=annotated, name=request.name, **settings)
    _raise_if_stopped(context)
    errors = error_map(
        with_true_ids(prediction, report.class_ids),
        truth,
        kind=request.kind,
        annotated=scored_area(
            truth,
            annotated,
            sparse=request.sparse,
            ndim=request.ndim,
            empty_planes=request.empty_planes,
        ),
        iou_threshold=request.iou_threshold,
        background=_background(request),
        ndim=request.ndim,
    )
    images = [] if request.image is None else [request.image]
    return ask.Evaluation(with_training_note(report, request.model, images), errors)


def _evaluate_files(request: ask.EvaluateFilesRequest, context: JobContext) -> ask.Evaluation:
    from napari_unet.core.evaluation.evaluation import Sample, evaluate_many
    from napari_unet.core.evaluation.label_files import match_labels
    from napari_unet.core.evaluation.leakage import with_training_note

    found = match_labels(request.prediction, request.truth, request.images)

    def samples() -> Iterator[Sample]:
        for index, match in enumerate(found.matches):
            _raise_if_stopped(context)
            context.progress(index, len(found.matches))
            yield match.name, *match.load_comparison(), match.load_area()

    report = evaluate_many(samples(), unmatched=found.unmatched, **request.settings)
    context.progress(len(found.matches), len(found.matches))
    images = (image for match in found.matches if (image := match.load_image()) is not None)
    return ask.Evaluation(with_training_note(report, request.model, images), None)


def _raise_if_stopped(context: JobContext) -> None:
    if context.should_stop():
        raise Cancelled("The evaluation was stopped; nothing was written.")


def _background(request: ask.EvaluateRequest) -> int:
    if request.background is not None:
        return request.background
    return min(request.classes) if request.sparse and request.classes else 0
