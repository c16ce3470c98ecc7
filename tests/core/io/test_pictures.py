"""Pictures: all kinds of PNG, JPEG, and labels saved as colours."""

import numpy as np
import pytest
from PIL import Image as PilImage

from napari_unet.core.errors import ImageError
from napari_unet.core.io.image_files import (
    read_image,
    read_labels,
)


def noise(rng, *shape, dtype=np.uint8):
    return rng.integers(0, 200, shape).astype(dtype)


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


@pytest.mark.parametrize("colour_type", [2, 4, 6])
def test_16_bit_png_with_colour_or_transparency_is_not_cut_to_8_bits(tmp_path, colour_type):
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(
        [0, 0, 0, 1, 0, 0, 0, 1, 16, colour_type, 0, 0, 0]
    )
    (tmp_path / "a.png").write_bytes(header + bytes(30))
    with pytest.raises(ImageError, match="16-bit PNG with colour or transparency"):
        read_image(tmp_path / "a.png")


def test_palette_png_gives_the_numbers_of_labels(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    picture = PilImage.fromarray(labels)
    picture.putpalette(np.random.default_rng(0).integers(0, 255, 768, np.uint8).tobytes())
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)
