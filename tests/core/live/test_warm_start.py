"""Adaptation of a trained network to a few strokes before training."""

import numpy as np
import pytest
import torch

from napari_unet.core.images.normalization import Normalization
from napari_unet.core.live.warm_start import fit_head, separating_channels, warm_weights
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.sampling import Batch

REST = ClassInfo(id=1, name="rest", background=True)
NUCLEI = ClassInfo(id=2, name="nuclei")


def test_channels_in_which_the_painted_classes_differ_get_weight(rng):
    pixels = torch.from_numpy(rng.normal(size=(400, 3)))
    brightness = torch.from_numpy(rng.normal(size=(400, 1)))  # the same in all channels
    nuclei = torch.arange(400) < 200
    pixels[nuclei, 1] -= 3
    shares = separating_channels(pixels + 5 * brightness, nuclei)
    assert shares[1] < -0.4
    assert float(shares.abs().sum()) == pytest.approx(1)
    assert abs(shares.sum()) < 0.1  # the brightness cancels out


def test_with_a_single_class_all_channels_have_equal_weight():
    shares = separating_channels(torch.rand(10, 3), torch.ones(10, dtype=torch.bool))
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3))


def test_without_a_difference_all_channels_have_equal_weight():
    shares = separating_channels(torch.zeros(10, 3), torch.arange(10) < 5)
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3))


def test_a_grey_network_finds_objects_that_differ_only_in_colour(rng):
    torch.manual_seed(0)
    grey = UNetConfig(depth=2, base_channels=8, out_channels=4)
    start = Model(
        ModelInfo(unet=grey, task=Instances(), normalization=Normalization()),
        UNet(grey).state_dict(),
    )
    truth = np.zeros((4, 1, 32, 32), np.float32)
    truth[:, :, 8:20, 6:22] = 1
    images = rng.normal(0.5, 0.02, (4, 3, 32, 32)).astype(np.float32)
    images[:, :1] += 0.3 * truth
    images[:, 1:2] -= 0.3 * truth  # the mean of the channels is the same everywhere
    painted = (rng.random(truth.shape) < 0.2).astype(np.float32)
    task = Semantic(classes=(REST, NUCLEI), sparse=True)
    colour = UNetConfig(depth=2, base_channels=8, in_channels=3, out_channels=1)
    info = ModelInfo(unet=colour, task=task, normalization=Normalization(), rgb=True)
    net = UNet(colour)
    net.load_state_dict(warm_weights(start, info, [Batch(images, truth, painted)]))
    with torch.no_grad():
        found = net.eval()(torch.from_numpy(images)).numpy() > 0
    assert 2 * (found & (truth > 0)).sum() / (found.sum() + truth.sum()) > 0.7


def test_the_foreground_of_the_start_model_is_used_if_there_are_few_strokes(rng):
    config = UNetConfig(depth=1, base_channels=8, out_channels=1)
    image = torch.from_numpy(rng.normal(size=(2, 1, 32, 32)).astype(np.float32))

    def agreement(known: bool) -> float:
        """Return the agreement with the start model after a fit to a few painted pixels."""
        torch.manual_seed(0)
        net = UNet(config).eval()
        with torch.no_grad():
            net.head.weight *= 1000  # as certain as a trained network
            truth = net(image)
            truth = (truth > truth.median()).float()
        painted = torch.zeros_like(truth)
        painted[..., ::11, ::11] = 1
        if not known:
            torch.nn.init.zeros_(net.head.weight)
        fit_head(net, [image], [truth], [painted])
        with torch.no_grad():
            return ((net(image) > 0) == (truth > 0)).float().mean().item()

    assert agreement(known=True) > 0.85
    assert agreement(known=True) > agreement(known=False)
