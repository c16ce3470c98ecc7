"""Zarr: OME-NGFF groups and their metadata."""

import json

import numpy as np
import pytest
import zarr

from napari_unet.core.errors import ImageError
from napari_unet.core.images.image import PixelSize
from napari_unet.core.io.image_files import (
    read_image,
    write_labels,
)


def noise(rng, *shape, dtype=np.uint8):
    return rng.integers(0, 200, shape).astype(dtype)


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
    with pytest.raises(ImageError, match="holds no single image, but x, y"):
        read_image(tmp_path / "a.zarr")


def test_ngff_metadata_is_plain_json(tmp_path):
    write_labels(tmp_path / "a.zarr", np.ones((4, 4), int), pixel_size=PixelSize((0.5, 0.5)))
    attributes = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())
    axes = attributes["multiscales"][0]["axes"]
    assert axes[0] == {"name": "y", "type": "space", "unit": "micrometer"}
