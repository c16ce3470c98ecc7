"""A model: the images it can be used on, and its network."""

import numpy as np
import pytest
import torch
from random_models import random_model

from napari_unet.core.errors import ModelFileError
from napari_unet.core.images.image import Image


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
