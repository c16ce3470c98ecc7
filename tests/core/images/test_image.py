"""Images are validated once, on creation."""

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.errors import ImageError
from napari_unet.core.images.image import AXES, Image, PixelSize


def image(axes="YX", **fields):
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 5, "X": 6}
    shape = tuple(sizes[a] for a in axes)
    return Image(np.arange(np.prod(shape)).reshape(shape), axes, **fields)


@settings(max_examples=60, deadline=None)
@given(st.permutations(AXES), st.integers(0, 7))
def test_any_order_of_axes_ends_in_the_same_order(letters, dropped):
    kept = [a for i, a in enumerate("TZC") if not dropped >> i & 1]
    axes = "".join(a for a in letters if a in [*kept, "Y", "X"])
    expected = image("".join(a for a in AXES if a in axes))
    shuffled = expected.data.transpose([expected.axes.index(a) for a in axes])
    back = Image.from_array(shuffled, axes)
    assert back.axes == expected.axes
    np.testing.assert_array_equal(back.data, expected.data)


def test_colour_and_alpha():
    rgba = np.zeros((5, 6, 4), np.uint8)
    found = Image.from_array(rgba)
    assert (found.axes, found.shape, found.rgb) == ("CYX", (3, 5, 6), True)
    channels = Image.from_array(rgba, "YXC")
    assert (channels.shape, channels.rgb) == ((4, 5, 6), False)


def test_zarr_array_is_an_image():
    array = zarr.array(np.arange(30).reshape(6, 5))
    np.testing.assert_array_equal(
        np.asarray(Image.from_array(array, "XY").data), np.arange(30).reshape(6, 5).T
    )


@pytest.mark.parametrize(
    ("shape", "axes", "words"),
    [
        ((5, 6), "YZ", "Y and X"),
        ((5, 6, 7), "YX", "one letter per dimension"),
        ((5, 6, 7), "QYX", "each of T"),
        ((5, 6, 7), "YYX", "at most once"),
        ((5, 6, 7), None, "Name the axes"),
        ((0, 6), "YX", "no pixels"),
    ],
)
def test_axes_that_do_not_fit(shape, axes, words):
    with pytest.raises(ImageError, match=words):
        Image.from_array(np.zeros(shape), axes)


def test_axes_in_another_order_and_other_types():
    with pytest.raises(ImageError, match=r"Use Image\.from_array"):
        Image(np.zeros((2, 2, 2)), "YXC")
    with pytest.raises(ImageError, match="complex128"):
        Image(np.zeros((2, 2), complex), "YX")
    with pytest.raises(ImageError, match="one name per channel"):
        image("CYX", channel_names=("a", "b"))


@pytest.mark.parametrize("spacing", [(1.0,), (0.0, 1.0), (1.0, -1.0), (np.nan, 1.0), (1.0, np.inf)])
def test_pixel_size_that_is_none(spacing):
    with pytest.raises(ImageError, match="positive numbers"):
        PixelSize(spacing)


def test_channels_by_name_and_index():
    chosen = image("ZCYX", channel_names=("a", "b", "c", "d")).select_channels(("d", 0))
    assert chosen.channel_names == ("d", "a")
    np.testing.assert_array_equal(chosen.data, image("ZCYX").data[:, [3, 0]])
    for wrong in ("e", 4, -1):
        with pytest.raises(ImageError, match="Choose one of these"):
            image("CYX").select_channels((wrong,))


def test_channels_in_a_row_of_a_file_on_disk_are_not_read(tmp_path):
    values = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (3, 4, 5))
    values[:] = np.arange(60).reshape(3, 4, 5)
    stored = Image(values, "CYX")
    for channels in ((2,), (1, 2), (0, 1, 2)):
        chosen = stored.select_channels(channels).data
        assert np.shares_memory(chosen, values)
        np.testing.assert_array_equal(chosen, values[list(channels)])
    np.testing.assert_array_equal(stored.select_channels((2, 0)).data, values[[2, 0]])


def test_grey_image_has_channel_0_only():
    assert image("YX").select_channels((0,)).axes == "YX"
    with pytest.raises(ImageError, match="no channel 1"):
        image("YX").select_channels((1,))


def test_grey_image_twice_is_two_channels():
    twice = image("ZYX").select_channels((0, 0))
    assert twice.sizes == {"Z": 3, "C": 2, "Y": 5, "X": 6}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("axes", "shape"), [("TYX", (2, 4, 5)), ("TCYX", (2, 1, 4, 5))])
def test_a_grey_image_in_colour_is_the_same_in_each(lazy, axes, shape):
    data = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    image = Image(da.from_array(data) if lazy else data, axes, name="grey").as_rgb()
    assert (image.axes, image.shape, image.rgb) == ("TCYX", (2, 3, 4, 5), True)
    for channel in range(3):
        found = np.asarray(image.data)[:, channel]
        np.testing.assert_array_equal(found, data.reshape(2, 4, 5))


def test_planes_and_volumes():
    stack = image("TZCYX")
    positions = [p for p, _ in stack.planes(2)]
    assert positions[:3] == [{"T": 0, "Z": 0}, {"T": 0, "Z": 1}, {"T": 0, "Z": 2}]
    assert [d.shape for _, d in stack.planes(2)] == [(4, 5, 6)] * 6
    volumes = list(stack.planes(3))
    assert [d.shape for _, d in volumes] == [(4, 3, 5, 6)] * 2
    np.testing.assert_array_equal(volumes[1][1], stack.data[1].swapaxes(0, 1))
    with pytest.raises(ImageError, match="needs ZYX"):
        list(image("TYX").planes(3))


def test_describe():
    text = image("TYX", name="cells", pixel_size=PixelSize((0.65, 0.65))).describe()
    assert text == "cells: TYX 2 x 5 x 6 int64, 0.65 x 0.65 µm"
    assert image().describe().endswith("pixel size unknown")
