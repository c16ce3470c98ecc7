"""The scale at which the objects of an image have the size that a model was trained on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ideal_network import KNOWN_PX, model_of

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.prediction.scale import (
    pixel_size_note,
    scale_for_diameter,
    scale_for_pixel_size,
)

INFO = model_of().info.model_copy(update={"pixel_size_um": (0.5, 0.5)})


def image_of(um):
    size = None if um is None else PixelSize((um, um))
    return Image(np.zeros((8, 8), np.uint8), "YX", name="cells", pixel_size=size)


@given(st.floats(0.1, 1000))
def test_objects_enlarged_by_the_scale_have_the_diameter_of_the_training_objects(diameter_px):
    assert scale_for_diameter(INFO, diameter_px) * diameter_px == pytest.approx(KNOWN_PX)


@pytest.mark.parametrize("diameter_px", [0, -3, np.nan, np.inf])
def test_a_diameter_that_is_no_length_is_refused(diameter_px):
    with pytest.raises(SettingsError, match="expected a positive number"):
        scale_for_diameter(INFO, diameter_px)


def test_a_model_without_a_diameter_is_named():
    with pytest.raises(SettingsError, match="'discs'"):
        scale_for_diameter(model_of(diameter_px=None).info, 20)


@given(st.floats(0.01, 20))
def test_an_image_enlarged_by_the_scale_has_the_pixel_size_of_the_model(um):
    scale = scale_for_pixel_size(INFO, image_of(um))
    assert um / scale == pytest.approx(0.5)
    assert pixel_size_note(INFO, image_of(um), scale) == ""


def test_without_a_pixel_size_on_both_sides_there_is_no_scale_and_no_note():
    for info, image in ((INFO, image_of(None)), (model_of().info, image_of(2.0))):
        assert scale_for_pixel_size(info, image) is None
        assert pixel_size_note(info, image) == ""


def test_anisotropic_pixels_have_the_scale_of_their_area():
    image = Image(np.zeros((8, 8)), "YX", pixel_size=PixelSize((2.0, 0.5)))
    assert scale_for_pixel_size(INFO, image) == pytest.approx(2)


def test_a_note_names_both_pixel_sizes_and_the_scale_that_fits():
    assert pixel_size_note(INFO, image_of(0.55)) == ""
    note = pixel_size_note(INFO, image_of(2.0))
    for part in ("'cells'", "2 µm", "0.5 µm", "4 times smaller", "scale of 4"):
        assert part in note
    assert "4 times larger" in pixel_size_note(INFO, image_of(0.125))
    assert "at scale 8" in pixel_size_note(INFO, image_of(2.0), 8)
