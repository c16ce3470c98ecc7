"""Models of random weights, and packages of bioimage.io that are made of them."""

import io
import zipfile

import numpy as np
import pytest
import torch

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

MARKS = [
    pytest.mark.usefixtures("quick_garbage_collection"),
    # The libraries' own warnings: TorchScript is deprecated, bioimageio.spec leaves files open.
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
    # Importing bioimageio.core alone takes half a minute on a busy machine.
    pytest.mark.timeout(300),
]
"""Marks of tests that export a package."""

BINARY = Semantic(
    classes=(ClassInfo(id=0, name="background", background=True), ClassInfo(id=3, name="cell"))
)


THREE = Semantic(
    classes=(
        ClassInfo(id=1, name="background", background=True),
        ClassInfo(id=5, name="cell", color="#ff0000"),
        ClassInfo(id=9, name="border (thin)"),
    )
)


MODELS = {
    "instances": {"task": Instances(), "object_diameter_px": 22.0},
    "binary": {"task": BINARY, "pixel_size_um": (0.5, 0.25), "licence": "CC0-1.0"},
    "three classes": {"task": THREE, "upsampling": "resize", "norm": "none"},
    "rgb": {"task": Instances(), "in_channels": 3, "rgb": True},
    "two channels": {"task": THREE, "in_channels": 2, "channel_names": ("DAPI", "GFP/high")},
    "manual range": {
        "task": BINARY,
        "normalization": Normalization(mode="manual", manual=(5, 180)),
    },
    "as they are": {"task": BINARY, "normalization": Normalization(mode="none")},
    "volume": {"task": Instances(ndim=3), "ndim": 3},
}


ARCHITECTURE = {"in_channels", "ndim", "norm", "upsampling"}


def random_model(task=BINARY, **values):
    """Build a model with random weights whose outputs vary over the image."""
    channels = sum(head.channels for head in task.heads)
    architecture = {k: values.pop(k) for k in ARCHITECTURE & values.keys()}
    config = UNetConfig(depth=2, base_channels=4, out_channels=channels, **architecture)
    values = {"normalization": Normalization(), "name": "nuclei, 10x"} | values
    info = ModelInfo(unet=config, task=task, provenance={"steps": 3}, **values)
    torch.manual_seed(1)
    net = UNet(config)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.1, 0.3)  # statistics other than 0 and 1, as after training
            elif name.endswith("running_mean"):
                tensor.uniform_(-0.1, 0.1)
        net.head.weight.mul_(6)
    return Model(info, net.state_dict())


def member(package, name):
    with zipfile.ZipFile(package) as archive:
        return archive.read(name)


def array(package, name):
    return np.load(io.BytesIO(member(package, name)))


def cells(shape, axes="YX", **options):
    return Image(synthetic_nuclei((256, 256), 30, **options)[0][shape], axes, "cells")
