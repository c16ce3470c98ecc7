import numpy as np
import pytest
import torch

from napari_unet.core.datasets.synthetic import synthetic_dataset
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.catalogue import find_model
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.model_header import model_info
from napari_unet.core.training.settings import Budget, TrainingSettings
from napari_unet.core.training.start_model import for_inverted_images, through_channels, transferred
from napari_unet.core.training.training import train

BINARY = Semantic(
    classes=(ClassInfo(id=0, name="rest", background=True), ClassInfo(id=1, name="a"))
)


def model(task=None, channels=1, norm="batch", seed=0) -> Model:
    """Build a network with random weights and statistics."""
    task = task or Instances()
    outputs = sum(head.channels for head in task.heads)
    unet = UNetConfig(
        in_channels=channels, out_channels=outputs, depth=2, base_channels=8, norm=norm
    )
    torch.manual_seed(seed)
    net = UNet(unet).train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.rand(2, channels, 32, 32))
    info = ModelInfo(unet=unet, task=task, normalization=Normalization())
    return Model(info, {k: w.clone() for k, w in net.state_dict().items()})


def respond(made: Model, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return made.network()(image)


def moved(start: Model, to: Model) -> Model:
    return Model(to.info, transferred(start.weights, start.info, to.weights, to.info))


def test_a_network_of_the_same_kind_is_taken_over_whole():
    start, image = model(), torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(respond(moved(start, model(seed=1)), image), respond(start, image))


@pytest.mark.parametrize(("old", "new"), [(1, 3), (3, 1), (2, 3)])
def test_a_grey_image_looks_the_same_in_any_number_of_channels(old, new):
    start, grey = model(channels=old), torch.rand(1, 1, 32, 32)
    expected = respond(start, grey.expand(-1, old, -1, -1))
    found = respond(moved(start, model(channels=new, seed=1)), grey.expand(-1, new, -1, -1))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_a_weighted_sum_of_channels_is_seen_as_a_grey_image():
    start, colour, shares = model(), torch.rand(1, 3, 32, 32), torch.tensor([0.5, -0.2, 0.3])
    grey = (colour * shares[:, None, None]).sum(1, keepdim=True)
    wide = moved(start, model(channels=3, seed=1))
    seeing = Model(wide.info, through_channels(wide.weights, shares))
    torch.testing.assert_close(respond(seeing, colour), respond(start, grey), atol=1e-5, rtol=1e-4)


def test_outputs_of_the_same_name_are_taken_over_and_others_stay():
    start, classes = model(), model(BINARY, seed=1)
    image = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(respond(moved(start, classes), image), respond(start, image)[:, :1])
    back = moved(classes, model(seed=2))
    torch.testing.assert_close(back.weights["head.weight"][0], classes.weights["head.weight"][0])
    untouched = model(seed=2).weights["head.weight"][1:]
    torch.testing.assert_close(back.weights["head.weight"][1:], untouched)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_an_inverted_image_is_seen_as_the_image_was(norm):
    start, image = model(norm=norm), torch.rand(1, 1, 64, 64)
    turned = Model(start.info, for_inverted_images(start.weights))
    inside = (..., slice(24, 40), slice(24, 40))  # padding is 0, not 1, around an inverted image
    torch.testing.assert_close(
        respond(turned, 1 - image)[inside], respond(start, image)[inside], atol=1e-4, rtol=1e-3
    )


def test_training_starts_well_from_a_model_of_bright_objects_on_dark_ones_in_colour(tmp_path):
    drawn = list(synthetic_dataset(6, shape=(96, 96), n=(6, 9), diameter_px=(14, 20), seed=2))
    bright = [Pair(Image(i, "YX", name=f"b{n}"), m) for n, (i, m) in enumerate(drawn)]
    dark = [
        Pair(Image.from_array(np.repeat(i.max() - i[..., None], 3, -1), name=p.name), p.labels)
        for p, (i, _) in zip(bright, drawn, strict=True)
    ]
    settings = TrainingSettings(budget=Budget(steps=3), patch_px=64, learning_rate=1e-4)
    nuclei = load_model(find_model("nuclei"))
    for name, pairs, start in (
        ("bright", bright, nuclei),
        ("tuned", dark, nuclei),
        ("scratch", dark, None),
    ):
        list(train(pairs, Instances(), tmp_path / name, settings, start=start))
    dice = {
        name: load_model(tmp_path / name / "last.safetensors").info.scores[
            "dice_foreground_by_image"
        ]
        for name in ("bright", "tuned", "scratch")
    }
    print(dice)
    assert dice["tuned"] > 0.9 * dice["bright"] > 0.6
    assert dice["tuned"] > dice["scratch"] + 0.3


@pytest.mark.parametrize(
    ("given", "rgb", "start_rgb", "low"),
    [
        (Normalization(), False, None, 1),
        (Normalization(), True, None, 0.01),
        (Normalization(), False, False, 3),
        (Normalization(), True, True, 3),
        (Normalization(), False, True, 3),
        (Normalization(), True, False, 0.01),
        (Normalization(low=2), True, True, 2),
    ],
)
def test_normalised_as_chosen_or_as_the_start_model_does_or_as_suits_colour(
    given, rgb, start_rgb, low
):
    start = None
    if start_rgb is not None:
        start = model(channels=3 if start_rgb else 1)
        changes = {"rgb": start_rgb, "normalization": Normalization(low=3)}
        start = Model(start.info.model_copy(update=changes), start.weights)
    pixels = np.zeros((32, 32, 3) if rgb else (32, 32), np.uint8)
    pair = Pair(Image.from_array(pixels, rgb=rgb), np.ones((32, 32), np.uint8))
    settings = TrainingSettings(budget=Budget(steps=1), normalization=given)
    assert model_info([pair], Instances(), settings, start, "a").normalization.low == low
