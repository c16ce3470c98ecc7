from .adaptation import estimate_diameter
from .batch import BatchOptions, FileFailed, FilePredicted, predict_files
from .batch_inputs import find_inputs
from .prediction import Prediction, predict, redecode

__all__ = [
    "BatchOptions",
    "FileFailed",
    "FilePredicted",
    "Prediction",
    "estimate_diameter",
    "find_inputs",
    "predict",
    "predict_files",
    "redecode",
]
