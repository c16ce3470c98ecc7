from .any_task import AnyTask, parse_task
from .base import Head, Task
from .instances import Instances
from .semantic import ClassInfo, Semantic

__all__ = [
    "AnyTask",
    "ClassInfo",
    "Head",
    "Instances",
    "Semantic",
    "Task",
    "parse_task",
]
