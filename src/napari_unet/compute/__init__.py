"""Training, prediction and evaluation in a process of their own: on this computer or a cluster.

Importing this is cheap and brings neither torch nor distributed: those are imported in the
background when an engine starts, and torch only ever by the worker.
"""

from napari_unet.compute.engine import Engine
from napari_unet.compute.events import Ended, Preview, Progress
from napari_unet.compute.jobs import ComputeError, Job, WorkerLost
from napari_unet.compute.requests import (
    DecodeRequest,
    EvaluateFilesRequest,
    EvaluateRequest,
    Evaluation,
    FilesDone,
    FilesRequest,
    LiveRequest,
    PredictRequest,
    Request,
    ResumeRequest,
    TrainRequest,
)

__all__ = [
    "ComputeError",
    "DecodeRequest",
    "Ended",
    "Engine",
    "EvaluateFilesRequest",
    "EvaluateRequest",
    "Evaluation",
    "FilesDone",
    "FilesRequest",
    "Job",
    "LiveRequest",
    "PredictRequest",
    "Preview",
    "Progress",
    "Request",
    "ResumeRequest",
    "TrainRequest",
    "WorkerLost",
]
