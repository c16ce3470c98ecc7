"""Choice of the images to score: independent ones by default, otherwise with a warning."""

import numpy as np
import pytest

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation.scored_images import ImageChoice, choose_images
from napari_unet.core.images.fingerprint import image_hash
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model import ModelInfo, TrainedOn
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances


def pair(number: int) -> Pair:
    pixels = np.full((16, 16), number, np.uint8)
    return Pair(Image(pixels, "YX", name=f"any name {number}"), pixels)


PAIRS = [pair(i) for i in range(1, 5)]
GROUPS = [p.name for p in PAIRS]


def info(**roles: str) -> ModelInfo:
    """Build the header of a model that used the images 1, 2, ... in these roles."""
    seen = tuple(
        TrainedOn(name=k, group=k, role=role, sha256=image_hash(pair(int(k[1:])).image.data))
        for k, role in roles.items()
    )
    unet = UNetConfig(out_channels=4)
    return ModelInfo(unet=unet, task=Instances(), normalization=Normalization(), trained_on=seen)


def test_images_it_was_validated_on_are_recognised_by_their_pixels() -> None:
    model = info(_1="training", _3="validation")
    chosen = choose_images(model, PAIRS, GROUPS, ImageChoice())
    assert (chosen.indices, chosen.warning) == ((2,), "")


def test_images_it_has_never_seen_are_all_scored() -> None:
    chosen = choose_images(info(), PAIRS, GROUPS, ImageChoice())
    assert (chosen.indices, chosen.warning) == ((0, 1, 2, 3), "")


def test_scoring_on_training_images_is_said() -> None:
    model = info(_1="training", _2="both", _3="validation")
    chosen = choose_images(model, PAIRS, GROUPS, ImageChoice("all"))
    assert chosen.indices == (0, 1, 2, 3)
    assert chosen.warning.startswith("2 of these 4 images were used to train")


def test_only_training_images_is_refused_unless_asked_for() -> None:
    with pytest.raises(LabelsError, match="--split all"):
        choose_images(info(_1="training"), PAIRS, GROUPS, ImageChoice())


def test_a_split_can_be_named() -> None:
    chosen = choose_images(info(), PAIRS, GROUPS, ImageChoice("random42", fraction=0.25))
    assert chosen.indices == (int(np.random.RandomState(42).permutation(4)[-1]),)
    by_group = choose_images(info(), PAIRS, ["one", "one", "one", "two"], ImageChoice("group"))
    assert by_group.indices == (3,)
