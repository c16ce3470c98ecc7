"""Files are written whole, and unreadable ones cause readable errors."""

import numpy as np
import pytest
from PIL import Image as PilImage

from napari_unet.core.errors import ImageError, StorageError
from napari_unet.core.images.image import PixelSize
from napari_unet.core.io.format import ReadOptions
from napari_unet.core.io.image_files import (
    read_image,
)
from napari_unet.core.io.raw_files import read_raw, reading, write_array


def noise(rng, *shape, dtype=np.uint8):
    return rng.integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".npy"])
def test_truncated_file(tmp_path, rng, suffix):
    path = tmp_path / f"a{suffix}"
    data = noise(rng, 64, 64)
    if suffix == ".npy":
        np.save(path, data)
    else:
        PilImage.fromarray(data).save(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ImageError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".npy"])
def test_file_that_is_something_else(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("this is a text, not an image")
    with pytest.raises(ImageError, match="has the wrong suffix"):
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


def test_an_array_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(StorageError, match=r"Cannot write 'a\.xyz': expected a name that ends in"):
        write_array(tmp_path / "a.xyz", np.zeros((4, 4)), "YX")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_pixel_sizes_are_written_in_micrometres(tmp_path, name):
    size = PixelSize((500.0, 250.0), "nm")
    write_array(tmp_path / name, np.zeros((4, 5), np.uint8), "YX", size)
    found = read_raw(tmp_path / name, ReadOptions())
    assert (found.spacing_um["Y"], found.spacing_um["X"]) == pytest.approx((0.5, 0.25))


def test_a_file_that_the_system_refuses_is_named(tmp_path):
    with (
        pytest.raises(ImageError, match=r"a\.tif' cannot be read: No such file"),
        reading(tmp_path),
    ):
        (tmp_path / "a.tif").read_bytes()
