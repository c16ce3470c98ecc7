"""A U-Net that trains, predicts and evaluates on your own images: headless, and in napari.

The public names are imported when they are first used, so that ``import napari_unet`` costs
nothing and napari, which imports the package to find its manifest, never loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.core.augmentation.patch import Augmentation as Augmentation
    from napari_unet.core.bioimage_io.export import export_bioimage_io as export_bioimage_io
    from napari_unet.core.bioimage_io.import_package import import_bioimage_io as import_bioimage_io
    from napari_unet.core.models.catalogue import find_model as find_model
    from napari_unet.core.models.catalogue import list_models as list_models
    from napari_unet.core.training.settings import Budget as Budget
    from napari_unet.core.training.settings import TrainingSettings as TrainingSettings
    from napari_unet.core.training.settings import UNetConfig as UNetConfig
    from napari_unet.core.datasets.pairs import Dataset as Dataset
    from napari_unet.core.datasets.pairs import find_pairs as find_pairs
    from napari_unet.core.datasets.pairs import load_pairs as load_pairs
    from napari_unet.core.datasets.pairs import pairs_from_arrays as pairs_from_arrays
    from napari_unet.core.errors import UNetError as UNetError
    from napari_unet.core.evaluation.evaluation import evaluate as evaluate
    from napari_unet.core.evaluation.evaluation import evaluate_many as evaluate_many
    from napari_unet.core.io.image_files import read_image as read_image
    from napari_unet.core.io.image_files import read_labels as read_labels
    from napari_unet.core.io.image_files import write_image as write_image
    from napari_unet.core.io.image_files import write_labels as write_labels
    from napari_unet.core.images.image import Image as Image
    from napari_unet.core.images.image import Pair as Pair
    from napari_unet.core.images.image import PixelSize as PixelSize
    from napari_unet.core.datasets.label_check import check_labels as check_labels
    from napari_unet.core.datasets.label_check import repair_labels as repair_labels
    from napari_unet.core.evaluation.label_files import evaluate_files as evaluate_files
    from napari_unet.core.evaluation.measure import measure_objects as measure_objects
    from napari_unet.core.models.model_file import Model as Model
    from napari_unet.core.models.model_file import ModelInfo as ModelInfo
    from napari_unet.core.models.model_file import load_model as load_model
    from napari_unet.core.models.model_file import save_model as save_model
    from napari_unet.core.images.normalization import Normalization as Normalization
    from napari_unet.core.prediction.prediction import Prediction as Prediction
    from napari_unet.core.prediction.prediction import predict as predict
    from napari_unet.core.evaluation.report import Report as Report
    from napari_unet.core.datasets.splits import Split as Split
    from napari_unet.core.datasets.synthetic import synthetic_nuclei as synthetic_nuclei
    from napari_unet.core.tasks.any_task import Instances as Instances
    from napari_unet.core.tasks.any_task import Semantic as Semantic
    from napari_unet.core.training.training import resume as resume
    from napari_unet.core.training.training import train as train

__version__ = "0.1.0.dev0"

_HOMES = {
    "Augmentation": "core.augment",
    "Budget": "core.config",
    "Dataset": "core.datasets",
    "Image": "core.images",
    "Instances": "core.tasks",
    "Model": "core.model_file",
    "ModelInfo": "core.model_file",
    "Normalization": "core.normalization",
    "Pair": "core.images",
    "PixelSize": "core.images",
    "Prediction": "core.prediction",
    "Report": "core.report",
    "Semantic": "core.tasks",
    "Split": "core.splits",
    "TrainingSettings": "core.config",
    "UNetConfig": "core.config",
    "UNetError": "core.errors",
    "check_labels": "core.label_check",
    "evaluate": "core.evaluation",
    "evaluate_files": "core.label_matching",
    "evaluate_many": "core.evaluation",
    "export_bioimage_io": "core.bioimage_io_export",
    "find_model": "core.catalogue",
    "find_pairs": "core.datasets",
    "import_bioimage_io": "core.bioimage_io_import",
    "list_models": "core.catalogue",
    "load_model": "core.model_file",
    "load_pairs": "core.datasets",
    "measure_objects": "core.measure",
    "pairs_from_arrays": "core.datasets",
    "predict": "core.prediction",
    "read_image": "core.files",
    "read_labels": "core.files",
    "repair_labels": "core.label_check",
    "resume": "core.training",
    "save_model": "core.model_file",
    "synthetic_nuclei": "core.synthetic",
    "train": "core.training",
    "write_image": "core.files",
    "write_labels": "core.files",
}
"""Public name: the module it comes from. The imports above say the same to type checkers."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
