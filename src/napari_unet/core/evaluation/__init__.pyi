from .evaluation import evaluate, evaluate_many
from .label_files import evaluate_files
from .measure import measure_objects
from .report import Report

__all__ = [
    "Report",
    "evaluate",
    "evaluate_files",
    "evaluate_many",
    "measure_objects",
]
