from .prediction import Prediction, predict

__all__ = [
    "Prediction",
    "predict",
]
