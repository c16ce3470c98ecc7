from .catalogue import find_model, list_models
from .model import Model, ModelInfo
from .model_file import load_model, save_model
from .predict_options import PredictOptions
from .unet_config import UNetConfig

__all__ = [
    "Model",
    "ModelInfo",
    "PredictOptions",
    "UNetConfig",
    "find_model",
    "list_models",
    "load_model",
    "save_model",
]
