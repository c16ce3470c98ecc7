"""Written files are read back unchanged, and unreadable ones cause readable errors."""

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from napari_unet.core.errors import ImageError, LabelsError, StorageError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.io.formats import bare_name
from napari_unet.core.io.image_files import (
    read_image,
    read_label_array,
    read_labels,
    write_image,
    write_labels,
)


def noise(rng, *shape, dtype=np.uint8):
    return rng.integers(0, 200, shape).astype(dtype)


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "bool"])
@pytest.mark.parametrize("suffix", [".tif", ".npy", ".zarr"])
def test_grey_plane_keeps_values_and_type(tmp_path, rng, dtype, suffix):
    data = noise(rng, 20, 30).astype(dtype)
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, data)
    elif suffix == ".npy":
        np.save(path, data)
    else:
        zarr.save_array(str(path), data)
    image = read_image(path)
    assert (image.axes, image.name, image.rgb) == ("YX", "a", False)
    assert image.data.dtype == data.dtype
    np.testing.assert_array_equal(image.data, data)


def test_grey_saved_as_rgb_stays_rgb(tmp_path, rng):
    grey = noise(rng, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([grey] * 3, -1), photometric="rgb")
    assert read_image(tmp_path / "a.tif").rgb


def test_axes_may_come_in_any_order(tmp_path, rng):
    data = noise(rng, 20, 30, 2)
    np.save(tmp_path / "a.npy", data)
    image = read_image(tmp_path / "a.npy", axes="YXC")
    np.testing.assert_array_equal(image.data, np.moveaxis(data, -1, 0))


@pytest.mark.parametrize("kind", ["plain", "compressed", "tiled", "npy", "zarr"])
def test_lazy_gives_the_same_without_reading(tmp_path, rng, kind):
    data = noise(rng, 3, 64, 64)
    path = tmp_path / f"a.{'tif' if kind in ('plain', 'compressed', 'tiled') else kind}"
    if kind == "npy":
        np.save(path, data)
    elif kind == "zarr":
        zarr.save_array(str(path), data)
    else:
        options = {"compression": "zlib"} if kind == "compressed" else {}
        options |= {"tile": (32, 32)} if kind == "tiled" else {}
        tifffile.imwrite(path, data, metadata={"axes": "TYX"}, photometric="minisblack", **options)
    image = read_image(path, axes="TYX", lazy=True)
    assert isinstance(image.data, np.memmap) or hasattr(image.data, "compute")
    np.testing.assert_array_equal(np.asarray(image.data), data)


def test_missing_channel(tmp_path, rng):
    np.save(tmp_path / "a.npy", noise(rng, 2, 20, 30))
    with pytest.raises(ImageError, match="no channel 2"):
        read_image(tmp_path / "a.npy", channels=[2], axes="CYX")


# --- labels ------------------------------------------------------------------------------------


def test_grey_mask_saved_as_colour_is_taken_and_colours_are_not(tmp_path, rng):
    labels = noise(rng, 20, 30)
    PilImage.fromarray(labels).convert("RGBA").save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "grey.png"), labels)
    PilImage.fromarray(noise(rng, 20, 30, 3)).save(tmp_path / "colour.png")
    with pytest.raises(LabelsError, match="repair 'colours'"):
        read_labels(tmp_path / "colour.png")
    array, is_colour = read_label_array(tmp_path / "colour.png")
    assert is_colour
    assert array.shape == (20, 30, 3)


def test_labels_with_channels_or_fractions(tmp_path, rng):
    tifffile.imwrite(tmp_path / "a.tif", noise(rng, 2, 20, 30), metadata={"axes": "CYX"}, ome=True)
    with pytest.raises(LabelsError, match="2 channels"):
        read_labels(tmp_path / "a.tif")
    np.save(tmp_path / "a.npy", np.full((4, 4), 0.5))
    with pytest.raises(LabelsError, match="whole"):
        read_labels(tmp_path / "a.npy")


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    largest=st.sampled_from([0, 1, 255, 65_535, 65_536, 2**32 - 1]),
    axes=st.sampled_from(["YX", "TYX", "ZYX", "TZYX"]),
    suffix=st.sampled_from([".tif", ".npy", ".zarr"]),
)
def test_labels_come_back(tmp_path, largest, axes, suffix):
    shape = (2, 3, 8, 9)[-len(axes) :]
    labels = np.random.default_rng(0).integers(0, largest + 1, shape)
    labels.flat[0] = largest
    path = tmp_path / f"a{suffix}"
    write_labels(path, labels, axes, PixelSize((0.5, 0.25)))
    given_axes = axes if suffix == ".npy" else None
    back = read_labels(path, axes=given_axes)
    np.testing.assert_array_equal(back, labels)
    assert back.dtype == (np.uint32 if largest > 65_535 else np.uint16)
    if suffix != ".npy":
        image = read_image(path)
        assert image.axes == axes
        assert image.pixel_size.yx == pytest.approx((0.5, 0.25))


def test_labels_that_no_file_holds(tmp_path):
    with pytest.raises(LabelsError, match="up to 65,535"):
        write_labels(tmp_path / "a.png", np.array([[70_000]]))
    with pytest.raises(LabelsError, match="lowest label is -1"):
        write_labels(tmp_path / "a.tif", np.array([[-1]]))
    with pytest.raises(LabelsError, match="Renumber the objects"):
        write_labels(tmp_path / "a.tif", np.array([[2**33]]))
    with pytest.raises(LabelsError, match="one letter per axis"):
        write_labels(tmp_path / "a.tif", np.zeros((2, 4, 4), int))
    with pytest.raises(StorageError, match=r"ends in \.tif"):
        write_labels(tmp_path / "a.xyz", np.zeros((4, 4), int))
    assert list(tmp_path.iterdir()) == []


def test_probabilities_come_back(tmp_path, rng):
    data = rng.random((2, 20, 30))
    image = Image(data, "CYX", pixel_size=PixelSize((0.5, 0.5)), channel_names=("cell", "edge"))
    for name in ("a.tif", "a.zarr"):
        write_image(tmp_path / name, image)
        back = read_image(tmp_path / name)
        assert back.data.dtype == np.float32
        assert back.channel_names == ("cell", "edge")
        np.testing.assert_allclose(back.data, data, rtol=1e-6)


def test_colour_comes_back(tmp_path, rng):
    image = Image(noise(rng, 3, 20, 30), "CYX", rgb=True)
    for name in ("a.tif", "a.png"):
        write_image(tmp_path / name, image)
        back = read_image(tmp_path / name)
        assert back.rgb
        np.testing.assert_array_equal(back.data, image.data)


# --- atomic writing -----------------------------------------------------------------------------


def test_bare_name(tmp_path):
    names = {"a.ome.tif": "a", "a.b.tif": "a.b", "a.ome.zarr": "a", "a.b": "a.b"}
    assert {n: bare_name(tmp_path / n) for n in names} == names
