"""The header of a model to be trained: its values from the data and from a start model."""

import numpy as np
import pytest

from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.training.model_header import choose_normalization, made_today, model_info
from napari_unet.core.training.settings import TrainingSettings


def pair(size_um: float | None) -> Pair:
    labels = np.zeros((64, 64), int)
    labels[8:24, 8:24] = 1
    labels[40:56, 40:56] = 2
    size = None if size_um is None else PixelSize((size_um, size_um))
    return Pair(Image((labels > 0) * np.uint8(200), "YX", pixel_size=size), labels)


def test_the_header_describes_the_objects_and_their_images() -> None:
    info = model_info([pair(0.5), pair(0.5)], Instances(), TrainingSettings(depth=2), None, "mine")
    assert (info.name, info.unet.depth, info.unet.in_channels) == ("mine", 2, 1)
    assert info.object_diameter_px == pytest.approx(2 * 16 / np.sqrt(np.pi), abs=0.1)
    assert info.contrast == "bright"
    assert info.pixel_size_um == (0.5, 0.5)


def test_a_pixel_size_is_noted_only_if_all_images_share_it() -> None:
    for other in (0.25, None):
        info = model_info([pair(0.5), pair(other)], Instances(), TrainingSettings(), None, "mine")
        assert info.pixel_size_um is None


def test_what_the_user_chose_wins_then_the_start_model_then_the_kind_of_image() -> None:
    chosen, started = Normalization(low=5), Normalization(low=3)
    start = model_info([pair(None)], Instances(), TrainingSettings(), None, "start")
    start = start.model_copy(update={"normalization": started})
    default = Normalization()
    assert choose_normalization(chosen, rgb=True, start=start) == chosen
    assert choose_normalization(default, rgb=False, start=start) == started
    assert choose_normalization(default, rgb=False) == default
    in_colour = choose_normalization(default, rgb=True, start=start)
    assert in_colour.low < default.low, "dark and rare objects stay within the range"
    assert in_colour == choose_normalization(default, rgb=True)


def test_a_header_says_what_made_the_model() -> None:
    made = made_today()
    assert made.keys() == {"version", "torch", "date"}
    assert all(made.values())
