"""What is written is read back, and what cannot be read is answered with a sentence."""

import json

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


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16", "RGB", "RGBA", "P"])
def test_png_of_every_kind(tmp_path, rng, mode):
    grey = noise(rng, 20, 30)
    colour = noise(rng, 20, 30, 3)
    expected = grey
    if mode == "1":
        expected = grey > 100
        picture = PilImage.fromarray(expected)
    elif mode == "I;16":
        expected = grey.astype(np.uint16) * 300
        picture = PilImage.fromarray(expected)
    elif mode in ("RGB", "RGBA"):
        expected = np.moveaxis(colour, -1, 0)
        picture = PilImage.fromarray(colour).convert(mode)
    elif mode == "P":
        expected = np.stack([grey, 255 - grey, grey // 2])
        picture = PilImage.fromarray(grey)
        ramp = np.arange(256)
        picture.putpalette(np.stack([ramp, 255 - ramp, ramp // 2], 1).astype(np.uint8).tobytes())
    else:
        picture = PilImage.fromarray(grey).convert(mode)
    picture.save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.data, expected)
    assert image.rgb == (expected.ndim == 3)
    assert image.data.dtype == expected.dtype


def test_palette_png_with_grey_palette_is_grey(tmp_path, rng):
    grey = noise(rng, 20, 30)
    picture = PilImage.fromarray(grey)
    picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    picture.save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.data, grey)


def test_jpeg(tmp_path):
    PilImage.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / "a.JPG")
    image = read_image(tmp_path / "a.JPG")
    assert image.sizes == {"C": 3, "Y": 20, "X": 30}
    assert image.rgb


def test_grey_saved_as_rgb_stays_rgb(tmp_path, rng):
    grey = noise(rng, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([grey] * 3, -1), photometric="rgb")
    assert read_image(tmp_path / "a.tif").rgb


def test_samples_that_are_no_colours_are_channels(tmp_path, rng):
    data = noise(rng, 20, 30, 5)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack", planarconfig="contig")
    image = read_image(tmp_path / "a.tif", channels=[4, 0])
    assert not image.rgb
    np.testing.assert_array_equal(image.data, np.moveaxis(data, -1, 0)[[4, 0]])


def test_imagej_hyperstack(tmp_path, rng):
    data = noise(rng, 3, 4, 2, 20, 30, dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        data,
        imagej=True,
        resolution=(1 / 0.65, 1 / 0.5),
        metadata={
            "axes": "TZCYX",
            "unit": "micron",
            "spacing": 2.0,
            "Labels": ["DAPI", "GFP"] * 12,
        },
    )
    image = read_image(tmp_path / "a.tif", channels=["GFP"])
    assert image.sizes == {"T": 3, "Z": 4, "C": 1, "Y": 20, "X": 30}
    assert image.channel_names == ("GFP",)
    assert image.pixel_size.spacing == pytest.approx((2.0, 0.5, 0.65))
    assert image.pixel_size.unit == "µm"
    np.testing.assert_array_equal(image.data, data[:, :, 1:])


def test_imagej_without_unit_has_unknown_pixel_size(tmp_path, rng):
    tifffile.imwrite(tmp_path / "a.tif", noise(rng, 20, 30), imagej=True, resolution=(2, 2))
    assert read_image(tmp_path / "a.tif").pixel_size is None


def test_ome_tiff(tmp_path, rng):
    data = noise(rng, 2, 20, 30)
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        data,
        metadata={
            "axes": "CYX",
            "PhysicalSizeX": 650.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.5,
            "Channel": {"Name": ["DAPI", "GFP"]},
        },
    )
    image = read_image(tmp_path / "a.ome.tif")
    assert image.name == "a"
    assert image.axes == "CYX"
    assert image.channel_names == ("DAPI", "GFP")
    assert image.pixel_size.spacing == pytest.approx((0.5, 0.65))


@pytest.mark.parametrize(
    ("per_unit", "unit", "expected_um"),
    [(20_000, "CENTIMETER", 0.5), (300, "INCH", None), (2, "NONE", None)],
)
def test_resolution_tags_count_only_with_a_real_unit(tmp_path, rng, per_unit, unit, expected_um):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(rng, 20, 30), resolution=(per_unit, per_unit), resolutionunit=unit)
    size = read_image(path).pixel_size
    assert (size and size.yx[0]) == (expected_um and pytest.approx(expected_um))


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


def test_axes_may_come_in_any_order(tmp_path, rng):
    data = noise(rng, 20, 30, 2)
    np.save(tmp_path / "a.npy", data)
    image = read_image(tmp_path / "a.npy", axes="YXC")
    np.testing.assert_array_equal(image.data, np.moveaxis(data, -1, 0))


def test_axes_of_length_one_go_away(tmp_path, rng):
    np.save(tmp_path / "a.npy", noise(rng, 1, 1, 20, 30))
    assert read_image(tmp_path / "a.npy").axes == "YX"
    assert read_image(tmp_path / "a.npy", axes="YX").axes == "YX"


def test_ngff_group(tmp_path, rng):
    data = noise(rng, 2, 20, 30)
    group = zarr.open_group(str(tmp_path / "a.ome.zarr"), mode="w")
    group.create_array("s0", data=data)
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "axes": [
                    {"name": "c", "type": "channel"},
                    {"name": "y", "type": "space", "unit": "micrometer"},
                    {"name": "x", "type": "space", "unit": "nanometer"},
                ],
                "datasets": [
                    {
                        "path": "s0",
                        "coordinateTransformations": [{"type": "scale", "scale": [1, 0.5, 250]}],
                    }
                ],
                "coordinateTransformations": [{"type": "scale", "scale": [1, 2, 2]}],
            }
        ],
        "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]},
    }
    image = read_image(tmp_path / "a.ome.zarr", channels=["DAPI"])
    assert (image.name, image.axes) == ("a", "CYX")
    assert image.pixel_size.spacing == pytest.approx((1.0, 0.5))
    np.testing.assert_array_equal(image.data, data[:1])


def test_zarr_group_without_one_image(tmp_path, rng):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    for name in "xy":
        group.create_array(name, data=noise(rng, 4, 4))
    with pytest.raises(ImageError, match="it holds x, y"):
        read_image(tmp_path / "a.zarr")


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


# --- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"metadata": None}, {"imagej": True}, {"ome": True}])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("left", [0.5, 0.05, 0.002])
@pytest.mark.parametrize("lazy", [False, True])
def test_truncated_tiff(tmp_path, rng, options, compression, left, lazy):
    path = tmp_path / "a.tif"
    if not (options.get("imagej") and compression):
        options = options | {"compression": compression}
    tifffile.imwrite(path, noise(rng, 5, 64, 64), **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * left)])
    with pytest.raises(ImageError, match=r"cut off") as caught:
        read_image(path, axes="TYX", lazy=lazy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".npy"])
def test_truncated_file(tmp_path, rng, suffix):
    path = tmp_path / f"a{suffix}"
    data = noise(rng, 64, 64)
    if suffix == ".npy":
        np.save(path, data)
    else:
        PilImage.fromarray(data).save(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ImageError, match="cut off"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".npy"])
def test_file_that_is_something_else(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("this is a text, not an image")
    with pytest.raises(ImageError, match="not what its suffix says"):
        read_image(path)
    path.write_bytes(b"")
    with pytest.raises(ImageError, match="is empty"):
        read_image(path)


def test_missing_unknown_and_folder(tmp_path):
    with pytest.raises(ImageError, match="There is no file"):
        read_image(tmp_path / "a.tif")
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(ImageError, match="save it as TIFF"):
        read_image(tmp_path / "a.docx")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


def test_missing_channel(tmp_path, rng):
    np.save(tmp_path / "a.npy", noise(rng, 2, 20, 30))
    with pytest.raises(ImageError, match="no channel 2"):
        read_image(tmp_path / "a.npy", channels=[2], axes="CYX")


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"masks": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match="can run code"):
        read_image(tmp_path / "a.npy")
    (tmp_path / "a.npy").rename(tmp_path / "a_seg.npy")
    with pytest.raises(LabelsError, match="Save masks as PNG/tif"):
        read_labels(tmp_path / "a_seg.npy")


@pytest.mark.parametrize("colour_type", [2, 4, 6])
def test_16_bit_png_with_colour_or_transparency_is_not_cut_to_8_bits(tmp_path, colour_type):
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(
        [0, 0, 0, 1, 0, 0, 0, 1, 16, colour_type, 0, 0, 0]
    )
    (tmp_path / "a.png").write_bytes(header + bytes(30))
    with pytest.raises(ImageError, match="16-bit PNG with colour or transparency"):
        read_image(tmp_path / "a.png")


def test_several_positions_in_one_file(tmp_path, rng):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        for _ in range(3):
            tif.write(noise(rng, 20, 30), metadata={"axes": "YX"})
    with pytest.raises(ImageError, match="holds 3 images"):
        read_image(tmp_path / "a.ome.tif")


# --- labels ------------------------------------------------------------------------------------


def test_palette_png_gives_the_numbers_of_labels(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = PilImage.fromarray(labels)
    picture.putpalette(np.random.default_rng(0).integers(0, 255, 768, np.uint8).tobytes())
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)


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


def test_label_tiff_is_what_fiji_opens(tmp_path):
    labels = np.arange(24, dtype=np.int64).reshape(2, 3, 4)
    write_labels(tmp_path / "a.tif", labels, "ZYX", PixelSize((2.0, 0.5, 0.25)))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_imagej
        assert tif.pages.first.dtype == np.uint16
        assert tif.imagej_metadata["unit"] == "um"
        assert tif.imagej_metadata["spacing"] == 2.0
        assert tif.imagej_metadata["slices"] == 2
        numerator, denominator = tif.pages.first.tags["XResolution"].value
        assert numerator / denominator == pytest.approx(4.0)


def test_labels_that_no_file_holds(tmp_path):
    with pytest.raises(LabelsError, match="up to 65,535"):
        write_labels(tmp_path / "a.png", np.array([[70_000]]))
    with pytest.raises(LabelsError, match="down to -1"):
        write_labels(tmp_path / "a.tif", np.array([[-1]]))
    with pytest.raises(LabelsError, match="number the objects".capitalize()):
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


# --- writing: all or nothing --------------------------------------------------------------------


def test_bare_name(tmp_path):
    names = {"a.ome.tif": "a", "a.b.tif": "a.b", "a.ome.zarr": "a", "a.b": "a.b"}
    assert {n: bare_name(tmp_path / n) for n in names} == names


def test_ngff_metadata_is_plain_json(tmp_path):
    write_labels(tmp_path / "a.zarr", np.ones((4, 4), int), pixel_size=PixelSize((0.5, 0.5)))
    attributes = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())
    axes = attributes["multiscales"][0]["axes"]
    assert axes[0] == {"name": "y", "type": "space", "unit": "micrometer"}
