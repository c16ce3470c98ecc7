from .adjustments import Adjustable, Adjustment
from .any_task import AnyTask, parse_task, possible_adjustments, register_task
from .base import Head, Task
from .instances import Instances
from .semantic import ClassInfo, Semantic

__all__ = [
    "Adjustable",
    "Adjustment",
    "AnyTask",
    "ClassInfo",
    "Head",
    "Instances",
    "Semantic",
    "Task",
    "parse_task",
    "possible_adjustments",
    "register_task",
]
