"""Splits that a user can choose by name."""

from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.datasets.split_choice import choose_split
from napari_unet.core.errors import SettingsError

NAMES = ["a", "folder/b", "c"]


def test_a_table_says_which_side_an_image_is_on(tmp_path: Path) -> None:
    table = tmp_path / "split.csv"
    table.write_text("image,side\na.tif,train\nfolder/b.tif,Validation\nc.tif,training\n")
    split = choose_split(str(table), NAMES, NAMES)
    assert split is not None
    assert (split.train, split.validation) == ((0, 2), (1,))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("id,what\na,train\n", "expected id"),
        ("id,split\na,test\n", "expected train or validation"),
        ("id,split\na,train\n", "2 of 3 images"),
        ("id,split\na,val\nb,val\nc,val\n", "no image to train on"),
    ],
)
def test_a_table_that_does_not_split_is_refused(
    tmp_path: Path, content: str, sentence: str
) -> None:
    table = tmp_path / "split.csv"
    table.write_text(content)
    with pytest.raises(SettingsError) as error:
        choose_split(str(table), NAMES, NAMES)
    assert sentence in str(error.value)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(SettingsError, match="'group', 'random42'"):
        choose_split("half", NAMES, NAMES)


def test_the_usual_split_holds_back_the_end_of_the_permutation() -> None:
    names = [f"{i:03d}" for i in range(447)]
    split = choose_split("random42", names, names, 0.15, seed=7)
    assert split is not None
    order = np.random.RandomState(42).permutation(447)
    assert split.validation == tuple(sorted(order[-67:].tolist()))
    assert choose_split("group", names, names) is None
