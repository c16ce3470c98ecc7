"""A folder of images, and a model of classes for it."""

from pathlib import Path

import numpy as np
import pytest
from batch_models import CLASSES, make_model

from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image
from napari_unet.core.models.model import Model
from napari_unet.core.tasks.semantic import Semantic


@pytest.fixture
def classes_model() -> Model:
    return make_model(Semantic(classes=CLASSES))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for name in ("b.tif", "a.tif"):
        write_image(path / name, Image(np.arange(32 * 32, dtype=np.uint16).reshape(32, 32), "YX"))
    return path
