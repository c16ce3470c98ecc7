"""A model of random weights with a full header."""

import numpy as np
import torch

from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import Model, ModelInfo, TrainedOn
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.semantic import Semantic

TWO = Semantic.from_labels([np.array([0, 3])])


def random_model(task=TWO, **values):
    channels = sum(head.channels for head in task.heads)
    config = UNetConfig(depth=2, base_channels=4, out_channels=channels, **values)
    info = ModelInfo(
        unet=config,
        task=task,
        normalization=Normalization(low=2, high=99),
        name="nuclei",
        scores={"mean_ap_by_image": 0.5},
        trained_on=(TrainedOn(name="a", group="b", role="training", sha256="c"),),
        provenance={"steps": 3, "settings": {"depth": 2}},
    )
    torch.manual_seed(1)
    return Model(info, UNet(config).state_dict())
