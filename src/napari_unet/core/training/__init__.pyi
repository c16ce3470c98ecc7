from .events import CheckpointSaved, EpochDone, Finished, FinishReason, Started, StepDone
from .settings import Budget, TrainingSettings
from .training import resume, train

__all__ = [
    "Budget",
    "CheckpointSaved",
    "EpochDone",
    "FinishReason",
    "Finished",
    "Started",
    "StepDone",
    "TrainingSettings",
    "resume",
    "train",
]
