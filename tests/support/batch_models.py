"""Small models of random weights and images for them."""

from typing import Any

import numpy as np
import torch

from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

CLASSES = (ClassInfo(id=0, name="background", background=True), ClassInfo(id=2, name="cell"))


def make_model(task: Instances | Semantic, **unet: Any) -> Model:
    """A network of random weights."""
    outputs = sum(head.channels for head in task.heads)
    config = UNetConfig(depth=1, base_channels=2, out_channels=outputs, **unet)
    torch.manual_seed(1)
    info = ModelInfo(unet=config, task=task, normalization=Normalization())
    return Model(info, UNet(config).state_dict())


def blobs(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    from scipy import ndimage

    return (1000 * ndimage.gaussian_filter(rng.random(shape), 4)).astype(np.uint16)
