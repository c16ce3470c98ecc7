"""Small models of random weights and images for them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.decoders import VoteDecoder
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


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def bright_dots(n: int, shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    image = np.zeros(shape, np.uint8)
    for i in range(n):
        image[5 + 20 * (i // 3) : 15 + 20 * (i // 3), 5 + 20 * (i % 3) : 15 + 20 * (i % 3)] = 200
    return image


def threshold_model() -> Model:
    """Return a model that finds as objects all pixels brighter than half of the range."""
    model = make_model(Instances(decoder=VoteDecoder(min_votes=5)), norm="none")
    for weights in model.weights.values():
        weights.zero_()
    for name in ("encoder.0.0", "encoder.0.2", "decoder.0.2"):
        model.weights[f"{name}.weight"][0, 0, 1, 1] = 1
    model.weights["decoder.0.0.weight"][0, 2, 1, 1] = 1  # the skip connection
    model.weights["head.weight"][:2, 0] = 20
    model.weights["head.bias"][:2] = -10
    return model
