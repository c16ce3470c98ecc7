"""What a worker can be asked to do: plain data, sent as it is.

Nothing here imports torch, and almost nothing is imported at all. Paths must mean the same to the
worker: on a cluster, name folders that it shares with this computer.
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
        Model file to start from.
    preview
        Image of one plane (axes YX or CYX) that is predicted now and then: event `Preview`.
    preview_ranges
        Intensity range of each channel, where `preview` is a part of what it is normalised with.
    preview_s
        Least time between two previews.
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
    """Go on with a run; `pairs` as it was started with, the rest as in `TrainRequest`."""

    run_folder: Path
    pairs: tuple[Pair, ...]
    preview: Image | None = None
    preview_ranges: tuple[IntensityRange, ...] | None = None
    preview_s: float = 10.0


@dataclass(frozen=True)
class LiveRequest:
    """Train on labels that change until it is stopped; the result is a `LiveFinished`.

    Send changes with `Job.tell`: see `napari_unet.core.live.commands`.

    Parameters
    ----------
    task
        Classes or objects; sparse.
    images
        By the names that commands use.
    folder
        Where the session is saved, now and then and at the end.
    settings
        See `napari_unet.core.live.settings.LiveSettings`.
    start
        Model file to start from.
    resume
        Whether `folder` holds a session to go on with.
    device
        Where to compute, unless `settings` say it.
    name
        Of the model.
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
        Model file.
    image, options, probabilities
        As for `napari_unet.core.prediction.prediction.predict`.
    keep_outputs
        Let the worker keep the network's outputs for a `DecodeRequest`. The result's ``outputs``
        are then an empty array, or None where they are too large to be kept.
    folder
        Where results too large for memory are written as zarr. None: a temporary folder that is
        removed when this process ends; a cluster then sends them whole.
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
        Model file.
    sources
        Files, folders and patterns, as for `napari_unet.core.prediction.batch_inputs.find_inputs`.
    options
        How, and where to; see `napari_unet.core.prediction.batch.BatchOptions`.
    """

    model: Path
    sources: tuple[str, ...]
    options: BatchOptions


class FilesDone(NamedTuple):
    """What became of many files; the objects' rows are in ``objects.csv``, not here.

    Parameters
    ----------
    predicted, failed
        One entry per file.
    skipped
        What was passed over, and why.
    """

    predicted: tuple[FilePredicted, ...]
    failed: tuple[FileFailed, ...]
    skipped: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class EvaluateRequest:
    """Compare a prediction with the truth; the result is an `Evaluation`.

    Parameters
    ----------
    prediction, truth
        Labels of one shape: numpy, dask or zarr.
    annotated
        Mask of what is scored.
    name
        What the report calls it.
    kind, classes, prediction_classes, background, sparse, ndim, empty_planes, thresholds
        As for `napari_unet.core.evaluation.evaluation.evaluate_many`.
    iou_threshold
        Least intersection over union of a hit in the error map.
    image, model
        The image behind both and the file of the model that predicted it: the report says when the
        model was trained on that image.
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
    """Compare label files, or folders of them, with the truth; the result is an `Evaluation`.

    Parameters
    ----------
    prediction, truth
        Two files or two folders, as for `napari_unet.core.evaluation.label_files.match_labels`.
    settings
        Keywords for `napari_unet.core.evaluation.evaluation.evaluate_many`.
    images
        Folder of the images; None: those beside the truth, if there are any.
    model
        File of the model that predicted them, as in `EvaluateRequest`.
    """

    prediction: Path
    truth: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    images: Path | None = None
    model: Path | None = None


class Evaluation(NamedTuple):
    """Scores, and for a single image where it is wrong; None for files."""

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
