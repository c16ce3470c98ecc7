"""Requests that a worker can run, as plain data.

This module imports almost nothing, and never torch. Paths must be valid on the worker as well: on a
cluster, use folders that it shares with this computer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from napari_unet.core.datasets.splits import Split
    from napari_unet.core.evaluation.error_map import ErrorMap
    from napari_unet.core.evaluation.report import Report
    from napari_unet.core.images.image import Image
    from napari_unet.core.images.normalization import IntensityRange
    from napari_unet.core.images.pair import Pair
    from napari_unet.core.live.commands import LiveImage
    from napari_unet.core.live.settings import LiveSettings
    from napari_unet.core.models.predict_options import PredictOptions
    from napari_unet.core.prediction.batch import BatchOptions, FileFailed, FilePredicted
    from napari_unet.core.tasks.base import Task
    from napari_unet.core.training.settings import TrainingSettings

__all__ = [
    "DecodeRequest",
    "EvaluateFilesRequest",
    "EvaluateRequest",
    "Evaluation",
    "FilesDone",
    "FilesRequest",
    "LiveRequest",
    "PredictRequest",
    "Request",
    "ResumeRequest",
    "TrainRequest",
]


@dataclass(frozen=True)
class TrainRequest:
    """Train a network; the result is the event `Finished`.

    Parameters
    ----------
    pairs, task, run_folder, settings, split, name, sources
        As for `napari_unet.core.training.training.train`.
    start
        Path of the model file to start from; None: from scratch.
    preview
        Image of one plane (axes YX or CYX) that is predicted from time to time, which sends a
        `Preview`.
    preview_ranges
        Intensity range of each channel, if `preview` is part of a larger image that sets the range.
    preview_s
        Shortest time between two previews in seconds.
    """

    pairs: tuple[Pair, ...]
    task: Task
    run_folder: Path
    settings: TrainingSettings | None = None
    start: Path | None = None
    split: Split | None = None
    name: str = "model"
    sources: dict[str, Any] = field(default_factory=dict)
    preview: Image | None = None
    preview_ranges: tuple[IntensityRange, ...] | None = None
    preview_s: float = 10.0


@dataclass(frozen=True)
class ResumeRequest:
    """Resume a run with the pairs that it started with; other fields as in `TrainRequest`."""

    run_folder: Path
    pairs: tuple[Pair, ...]
    preview: Image | None = None
    preview_ranges: tuple[IntensityRange, ...] | None = None
    preview_s: float = 10.0


@dataclass(frozen=True)
class LiveRequest:
    """Train on labels that change, until the job is stopped; the result is a `LiveFinished`.

    Send changes with `Job.tell`, using the commands of `napari_unet.core.live.commands`.

    Parameters
    ----------
    task
        Classes or objects; must be sparse.
    images
        Images by the names that commands use.
    folder
        Folder of the session, which is saved regularly and at the end.
    settings
        See `napari_unet.core.live.settings.LiveSettings`.
    start
        Path of the model file to start from; None: from scratch.
    resume
        Whether to continue the session in `folder`.
    device
        Device to compute on; ignored if `settings` are set.
    name
        Name of the model.
    """

    task: Task
    images: Mapping[str, LiveImage]
    folder: Path
    settings: LiveSettings | None = None
    start: Path | None = None
    resume: bool = False
    device: str = "auto"
    name: str = "model"


@dataclass(frozen=True)
class PredictRequest:
    """Predict an image; the result is a `napari_unet.core.prediction.prediction.Prediction`.

    Parameters
    ----------
    model
        Path of the model file.
    image, options, probabilities
        As for `napari_unet.core.prediction.prediction.predict`.
    keep_outputs
        Whether the worker keeps the network outputs for a `DecodeRequest`. The ``outputs`` of the
        result are then an empty array, or None if they are too large to keep.
    folder
        Folder for results too large for memory, which are written as zarr. None: a temporary folder
        that is removed when this process ends; a cluster sends the results instead.
    """

    model: Path
    image: Image
    options: PredictOptions | None = None
    probabilities: bool = False
    keep_outputs: bool = False
    folder: Path | None = None


@dataclass(frozen=True)
class DecodeRequest:
    """Decode a prediction again, without the network; the result is a `Prediction`.

    Parameters
    ----------
    prediction
        `Job.id` of a `PredictRequest` with `keep_outputs`.
    adjustments
        Decoder settings, as for `napari_unet.core.prediction.prediction.redecode`.
    """

    prediction: str
    adjustments: Mapping[str, float]


@dataclass(frozen=True)
class FilesRequest:
    """Predict files; the result is `FilesDone`, with an event per file.

    Parameters
    ----------
    model
        Path of the model file.
    sources
        Files, folders and patterns, as for `napari_unet.core.prediction.batch_inputs.find_inputs`.
    options
        Prediction options and output folder, see `napari_unet.core.prediction.batch.BatchOptions`.
    """

    model: Path
    sources: tuple[str, ...]
    options: BatchOptions


class FilesDone(NamedTuple):
    """Result of predicting many files; the objects are listed in ``objects.csv``, not here.

    Parameters
    ----------
    predicted, failed
        One entry per file.
    skipped
        Files that were skipped, each with the reason.
    """

    predicted: tuple[FilePredicted, ...]
    failed: tuple[FileFailed, ...]
    skipped: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class EvaluateRequest:
    """Compare a prediction with the ground truth; the result is an `Evaluation`.

    Parameters
    ----------
    prediction, truth
        Labels of the same shape, as numpy, dask or zarr arrays.
    annotated
        Mask of the pixels that are scored; None: all pixels.
    name
        Name of the image in the report.
    kind, classes, prediction_classes, background, sparse, ndim, empty_planes, thresholds
        As for `napari_unet.core.evaluation.evaluation.evaluate_many`.
    iou_threshold
        Lowest intersection over union of a hit in the error map.
    image, model
        The image, and the path of the model file that predicted it. With both, the report states
        whether the model was trained on the image.
    """

    prediction: Any
    truth: Any
    annotated: Any = None
    name: str = "image"
    kind: Literal["instances", "semantic"] = "instances"
    classes: Mapping[int, str] | None = None
    prediction_classes: Mapping[int, str] | None = None
    background: int | None = None
    sparse: bool = False
    ndim: int = 2
    empty_planes: Literal["ignore", "background"] = "ignore"
    thresholds: Sequence[float] | None = None
    iou_threshold: float = 0.5
    image: Image | None = None
    model: Path | None = None


@dataclass(frozen=True)
class EvaluateFilesRequest:
    """Compare label files or folders with the ground truth; the result is an `Evaluation`.

    Parameters
    ----------
    prediction, truth
        Two files or two folders, as for `napari_unet.core.evaluation.label_files.match_labels`.
    settings
        Keywords for `napari_unet.core.evaluation.evaluation.evaluate_many`.
    images
        Folder of the images; None: the images next to the ground truth, if there are any.
    model
        Path of the model file, as in `EvaluateRequest`.
    """

    prediction: Path
    truth: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    images: Path | None = None
    model: Path | None = None


class Evaluation(NamedTuple):
    """Result of an evaluation.

    Parameters
    ----------
    report
        Scores.
    errors
        Map of the errors in a single image; None for files.
    """

    report: Report
    errors: ErrorMap | None


Request = (
    TrainRequest
    | ResumeRequest
    | LiveRequest
    | PredictRequest
    | DecodeRequest
    | FilesRequest
    | EvaluateRequest
    | EvaluateFilesRequest
)
