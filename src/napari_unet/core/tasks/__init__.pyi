from .adjustments import Adjustable, Adjustment
from .any_task import AnyTask, parse_task, possible_adjustments, register_task
from .base import Head, Loss, Targets, Task
from .description import ClassInfo, OutputChannel, Words
from .instances import Instances
from .scores import ScoreName, TaskScores
from .semantic import Semantic

__all__ = [
    "Adjustable",
    "Adjustment",
    "AnyTask",
    "ClassInfo",
    "Head",
    "Instances",
    "Loss",
    "OutputChannel",
    "ScoreName",
    "Semantic",
    "Targets",
    "Task",
    "TaskScores",
    "Words",
    "parse_task",
    "possible_adjustments",
    "register_task",
]
