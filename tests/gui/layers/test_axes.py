"""Axes of a layer from its file."""

from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers._source import layer_source
from text_format import SPACING_UM, registered

from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image
from napari_unet.gui.layers.axes import file_facts, propose_axes


@pytest.mark.parametrize("name", ["a.tif", "a.zarr", "a.matrix"])
def test_the_file_behind_a_layer_names_its_axes(tmp_path: Path, name: str) -> None:
    """Three planes alone look like channels; an added format names the axes instead."""
    planes = np.zeros((3, 16, 20), np.uint8)
    with registered():
        write_image(tmp_path / name, Image(planes, "ZYX"))
        with layer_source(path=str(tmp_path / name)):
            layer = ImageLayer(planes, rgb=False)
        assert propose_axes(ImageLayer(planes, rgb=False)) == "CYX"
        assert propose_axes(layer) == "ZYX"
        facts = file_facts(layer)
    assert facts is not None
    assert facts.spacing_um == (SPACING_UM if name == "a.matrix" else {})


@pytest.mark.parametrize("name", ["a.npy", "a.png"])
def test_a_format_that_names_no_axes_is_not_opened(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, Image(np.zeros((16, 20), np.uint8), "YX"))
    with layer_source(path=str(tmp_path / name)):
        layer = ImageLayer(np.zeros((16, 20), np.uint8))
    assert file_facts(layer) is None
