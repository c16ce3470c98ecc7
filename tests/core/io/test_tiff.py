"""TIFF: ImageJ, OME, resolution tags, damaged files, and files for Fiji."""

import numpy as np
import pytest
import tifffile

from napari_unet.core.errors import ImageError
from napari_unet.core.images.image import PixelSize
from napari_unet.core.io.image_files import (
    read_image,
    write_labels,
)


def noise(rng, *shape, dtype=np.uint8):
    return rng.integers(0, 200, shape).astype(dtype)


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
    with pytest.raises(ImageError, match="truncated") as caught:
        read_image(path, axes="TYX", lazy=lazy)
    assert "\n" not in str(caught.value)


def test_several_positions_in_one_file(tmp_path, rng):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        for _ in range(3):
            tif.write(noise(rng, 20, 30), metadata={"axes": "YX"})
    with pytest.raises(ImageError, match="holds 3 images"):
        read_image(tmp_path / "a.ome.tif")


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
