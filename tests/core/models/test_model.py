"""A model: the images it can be used on, and its network."""

import numpy as np
import pytest
import torch

from napari_unet.core.errors import ModelFileError
from napari_unet.core.images.image import Image
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


def test_building_a_network_does_not_tie_it_to_the_model():
    model = random_model()
    with torch.no_grad():
        for parameter in model.network().parameters():
            parameter.zero_()
    assert model.network().state_dict()["encoder.0.0.weight"].abs().sum() > 0


def test_an_image_that_does_not_fit_is_named():
    info = random_model(in_channels=2).info.model_copy(update={"channel_names": ("DNA", "actin")})
    info.check_image(Image(np.zeros((2, 8, 8), np.uint8), "CYX"))
    with pytest.raises(
        ModelFileError,
        match=r"'cells' has 1 channel\(s\), but the model 'nuclei' was trained on 2 \(DNA, actin\)",
    ):
        info.check_image(Image(np.zeros((8, 8), np.uint8), "YX", name="cells"))
    volumes = random_model(ndim=3).info
    with pytest.raises(ModelFileError, match=r"'cells' has axes TYX.*was trained on ZYX"):
        volumes.check_image(Image(np.zeros((3, 8, 8), np.uint8), "TYX", name="cells"))
