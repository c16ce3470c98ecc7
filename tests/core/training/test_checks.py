"""Checks before a run: data that a task cannot be trained on is refused with a message."""

import numpy as np
import pytest

from napari_unet.core.datasets.splits import Split
from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.training.checks import check_data

LABELS = np.zeros((16, 16), int)
LABELS[2:8, 2:8] = 1
LABELS[10:15, 9:15] = 2


def pair(name: str = "a", channels: tuple[str, ...] = (), rgb: bool = False) -> Pair:
    shape = (len(channels), 16, 16) if channels else (16, 16)
    image = Image(
        np.zeros(shape, np.uint8),
        "CYX" if channels else "YX",
        name=name,
        channel_names=channels or None,
        rgb=rgb,
    )
    return Pair(image, LABELS)


def test_good_data_and_a_good_split_pass() -> None:
    check_data([pair("a"), pair("b")], Instances(), Split((0,), (1,), "table"))


def test_nothing_to_train_on_is_said() -> None:
    with pytest.raises(LabelsError, match="expected at least one image with labels"):
        check_data([], Instances())


def test_images_must_agree_in_their_channels() -> None:
    with pytest.raises(SettingsError, match="1 in 'a', 2 in 'b'"):
        check_data([pair("a"), pair("b", ("DNA", "actin"))], Instances())
    with pytest.raises(
        SettingsError, match="'b' has the channels actin, DNA, but 'a' has DNA, actin"
    ):
        check_data([pair("a", ("DNA", "actin")), pair("b", ("actin", "DNA"))], Instances())
    colour = pair("photo", ("red", "green", "blue"), rgb=True)
    with pytest.raises(SettingsError, match="'photo' is in colour"):
        check_data([pair("b", ("x", "y", "z")), colour], Instances())


@pytest.mark.parametrize(
    ("train", "validation"), [((0, 1), (1,)), ((), (0, 1)), ((0,), (2,)), ((0, 5), (1,))]
)
def test_a_split_that_does_not_fit_the_images_is_refused(
    train: tuple[int, ...], validation: tuple[int, ...]
) -> None:
    with pytest.raises(SettingsError, match="expected numbers from 0 to 1"):
        check_data([pair("a"), pair("b")], Instances(), Split(train, validation, "table"))
