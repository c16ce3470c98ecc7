"""The axes of an array: as the file stores them, or as the user names them."""

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.errors import ImageError
from napari_unet.core.io.image_files import (
    read_image,
)
from napari_unet.core.io.raw_image import RawImage, name_axes


def noise(rng, *shape, dtype=np.uint8):
    return rng.integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("metadata", [None, {}])
def test_stack_without_axis_names_asks_for_them(tmp_path, rng, metadata):
    data = noise(rng, 5, 20, 30)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, metadata=metadata)
    with pytest.raises(ImageError, match="axes='TYX'"):
        read_image(path)
    assert read_image(path, axes="ZYX").sizes == {"Z": 5, "Y": 20, "X": 30}
    with pytest.raises(ImageError, match="one letter per axis"):
        read_image(path, axes="YX")


def test_axes_of_length_one_go_away(tmp_path, rng):
    np.save(tmp_path / "a.npy", noise(rng, 1, 1, 20, 30))
    assert read_image(tmp_path / "a.npy").axes == "YX"
    assert read_image(tmp_path / "a.npy", axes="YX").axes == "YX"


@given(st.permutations("TZCYX"), st.integers(2, 5))
def test_axes_that_a_file_names_are_kept_in_its_order(letters, count):
    axes = "".join(letters)[:count]
    data = np.zeros(tuple(range(2, 2 + count)))
    found, letters = name_axes(RawImage(data, axes), None, "a.tif")
    assert (letters, found.shape) == (axes, data.shape)


@pytest.mark.parametrize("given_axes", [None, "YX", "YXC", "yxc"])
def test_colours_need_no_name(given_axes):
    data, letters = name_axes(RawImage(np.zeros((20, 30, 3))), given_axes, "a.png")
    assert (letters, data.shape) == ("YXS", (20, 30, 3))


def test_axes_of_the_user_must_be_as_many_as_those_of_the_file():
    raw = RawImage(np.zeros((5, 20, 30)))
    assert name_axes(raw, "ZYX", "a.tif")[1] == "ZYX"
    with pytest.raises(ImageError, match=r"'a\.tif' has 3 axes"):
        name_axes(raw, "TZYX", "a.tif")
    with pytest.raises(ImageError, match="height and width"):
        name_axes(RawImage(np.zeros(5)), None, "a.npy")
