"""Networks whose outputs are known, or vary over their whole range, for tests of predictions."""

import numpy as np
import torch

from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.system.device import choose_compute
from napari_unet.core.tasks.decoders import VoteDecoder
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic

COMPUTE = choose_compute("cpu", "float32")
TWO = Semantic.from_labels([np.array([0, 3])])
THREE = Semantic.from_labels([np.array([0, 3, 300])])
OBJECTS = Instances(decoder=VoteDecoder(max_radius_px=14, min_area_px=4))


def random_model(task=TWO, seed=0, **values):
    """A network of random weights whose outputs vary over their whole range, around the middle."""
    channels = sum(head.channels for head in task.heads)
    config = UNetConfig(**({"depth": 2, "base_channels": 3} | values), out_channels=channels)
    torch.manual_seed(seed)
    net = UNet(config)
    sample = torch.rand(4, config.in_channels, *(64,) * config.ndim)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
                module.momentum = None  # the statistics are those of the sample
        net.train()(sample)
        logits = net.eval()(sample).movedim(1, 0).flatten(1)
        scale = 2 / logits.std(1)
        net.head.weight.mul_(scale.reshape(-1, *(1,) * (config.ndim + 1)))
        net.head.bias.sub_(logits.mean(1)).mul_(scale)
    info = ModelInfo(unet=config, task=task, normalization=Normalization(), name="random")
    return Model(info, net.state_dict())


def copying_model(task):
    """A network whose outputs' logits are the channels of the image, set by the test."""
    channels = sum(head.channels for head in task.heads)
    config = UNetConfig(
        in_channels=channels,
        out_channels=channels,
        depth=1,
        base_channels=2 * channels,
        norm="none",
    )
    net = UNet(config)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        # The first path carries each channel as its positive and its negative part.
        for c in range(channels):
            for sign, at in ((1, c), (-1, channels + c)):
                net.encoder[0][0].weight[at, c, 1, 1] = sign
                net.encoder[0][2].weight[at, at, 1, 1] = 1
                net.decoder[0][0].weight[at, 2 * channels + at, 1, 1] = 1
                net.decoder[0][2].weight[at, at, 1, 1] = 1
                net.head.weight[c, at, 0, 0] = sign
    info = ModelInfo(unet=config, task=task, normalization=Normalization(mode="none"), name="copy")
    return Model(info, net.state_dict())


def logits_of(task, labels):
    """An image that `copying_model` turns into these labels; axes CYX."""
    targets, _ = task.encode(labels, np.ones(labels.shape, bool))
    targets[:2] = 12 * targets[:2] - 6
    return targets


def cpu(**options):
    """Options that compute on the CPU in float32."""
    return PredictOptions(device="cpu", precision="float32", **options)


CPU = cpu()


def turned(array, turns, flip):
    return np.rot90(array[..., ::-1] if flip else array, turns, (-2, -1)).copy()
