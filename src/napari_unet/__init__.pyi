from .core.augmentation.settings import Augmentation
from .core.bioimage_io.export import export_bioimage_io
from .core.bioimage_io.import_package import import_bioimage_io
from .core.datasets.label_check import check_labels, repair_labels
from .core.datasets.pairs import Dataset, find_pairs, load_pairs, pairs_from_arrays
from .core.datasets.splits import Split
from .core.datasets.synthetic import synthetic_nuclei
from .core.errors import UNetError
from .core.evaluation.evaluation import evaluate, evaluate_many
from .core.evaluation.label_files import evaluate_files
from .core.evaluation.measure import measure_objects
from .core.evaluation.report import Report
from .core.images.image import Image, PixelSize
from .core.images.normalization import Normalization
from .core.images.pair import Pair
from .core.io.image_files import read_image, read_labels, write_image, write_labels
from .core.live.commands import LiveImage
from .core.live.loop import run_live
from .core.live.session import LiveSession
from .core.live.settings import LiveSettings
from .core.models.catalogue import find_model, list_models
from .core.models.model import Model, ModelInfo
from .core.models.model_file import load_model, save_model
from .core.models.predict_options import PredictOptions
from .core.models.unet_config import UNetConfig
from .core.prediction.batch import predict_files
from .core.prediction.prediction import Prediction, predict, redecode
from .core.tasks.instances import Instances
from .core.tasks.semantic import ClassInfo, Semantic
from .core.training.settings import Budget, TrainingSettings
from .core.training.training import resume, train
from .version import __version__

__all__ = [
    "Augmentation",
    "Budget",
    "ClassInfo",
    "Dataset",
    "Image",
    "Instances",
    "LiveImage",
    "LiveSession",
    "LiveSettings",
    "Model",
    "ModelInfo",
    "Normalization",
    "Pair",
    "PixelSize",
    "PredictOptions",
    "Prediction",
    "Report",
    "Semantic",
    "Split",
    "TrainingSettings",
    "UNetConfig",
    "UNetError",
    "__version__",
    "check_labels",
    "evaluate",
    "evaluate_files",
    "evaluate_many",
    "export_bioimage_io",
    "find_model",
    "find_pairs",
    "import_bioimage_io",
    "list_models",
    "load_model",
    "load_pairs",
    "measure_objects",
    "pairs_from_arrays",
    "predict",
    "predict_files",
    "read_image",
    "read_labels",
    "redecode",
    "repair_labels",
    "resume",
    "run_live",
    "save_model",
    "synthetic_nuclei",
    "train",
    "write_image",
    "write_labels",
]
