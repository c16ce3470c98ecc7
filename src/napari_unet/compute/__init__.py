"""Training, prediction and evaluation in another process, on this computer or on a cluster.

Importing this package is cheap: it imports neither torch nor distributed. An engine imports
distributed in the background when it starts; only the worker imports torch.
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
