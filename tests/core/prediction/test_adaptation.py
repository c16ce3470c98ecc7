"""Fitting of an image to a model: the size of its objects, and whether they are bright or dark."""

import numpy as np
import pytest
from ideal_network import ideal, model_of

from napari_unet.core.errors import Cancelled, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.models import blocks
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.adaptation import (
    ImageAdapter,
    Ranges,
    estimate_diameter,
    fit_image,
)


def discs(diameter_px, shape=(400, 400), *, inverted=False, apart=1.6):
    """Discs in rows, over a dark level with a little noise."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    pitch = apart * diameter_px
    distance = np.hypot(*((a % pitch) - pitch / 2 for a in (y, x)))
    image = np.where(distance < diameter_px / 2, 200.0, 20.0)
    image += np.random.default_rng(0).normal(0, 2, shape)
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return 255 - image if inverted else image


@pytest.fixture(autouse=True)
def network(monkeypatch):
    monkeypatch.setattr(blocks, "block_network", lambda model, compute: ideal)


def fitter(image, **kwargs):
    model = model_of(**kwargs)
    image = image if isinstance(image, Image) else Image.from_array(image, "YX", name="picture")
    return ImageAdapter(model, image, PredictOptions(device="cpu", precision="float32"))


@pytest.mark.parametrize("diameter_px", [8, 14, 22, 45, 80, 110])
def test_the_diameter_is_found_whatever_the_size(diameter_px):
    image = Image.from_array(discs(diameter_px), "YX")
    found = estimate_diameter(model_of(), image, PredictOptions(device="cpu", precision="float32"))
    assert found == pytest.approx(diameter_px, rel=0.1)


def test_what_was_decided_is_said_in_a_sentence():
    fitted = fit_image(fitter(discs(80)), "auto")
    assert fitted.scale == pytest.approx(0.25, rel=0.1)
    assert len(fitted.notes) == 1
    assert f"'picture' are about {fitted.diameter_px:.3g} px wide" in fitted.notes[0]
    assert f"resized by {fitted.scale:g}" in fitted.notes[0]
    assert "not resized" in fit_image(fitter(discs(24)), "auto").notes[0]


@pytest.mark.parametrize("value", [0, 90])
def test_in_an_empty_image_there_is_nothing_to_measure(value):
    noise = np.random.default_rng(1).normal(0, 3, (256, 256))
    image = np.clip(value + noise, 0, 255).astype(np.uint8)
    fitted = fit_image(fitter(image), "auto")
    assert (fitted.scale, fitted.inverted, fitted.diameter_px) == (1, False, None)
    assert "No objects to measure were found" in fitted.notes[0]


def test_of_a_stack_planes_within_are_looked_at():
    stack = np.zeros((9, 256, 256), np.uint8)
    stack[4] = discs(40, (256, 256))
    fitted = fit_image(fitter(Image(stack, "ZYX")), "auto")
    assert fitted.diameter_px == pytest.approx(40, rel=0.1)


@pytest.mark.parametrize("diameter_px", [8, 22, 80])
@pytest.mark.parametrize("known", ["bright", "dark", None])
@pytest.mark.parametrize("inverted", [False, True])
def test_only_an_image_of_the_other_contrast_is_inverted(diameter_px, known, inverted):
    found = fit_image(fitter(discs(diameter_px, inverted=inverted), contrast=known))
    if known == "dark":  # this network recognises bright objects only, so it gets the negative
        assert found.inverted is False
    else:
        assert found.inverted is (inverted and known == "bright")
    assert bool(found.notes) is found.inverted


def test_a_note_says_which_way_round():
    note = fit_image(fitter(discs(20, inverted=True))).notes[0]
    assert "'picture' shows dark objects, the model 'discs' was trained on bright ones" in note


def test_crowded_bright_objects_are_not_taken_for_gaps():
    crowded = discs(22, apart=1.05)
    assert (crowded > 100).mean() > 0.6
    assert not fit_image(fitter(crowded)).inverted


def test_a_few_specks_between_large_dark_objects_are_not_taken_for_the_objects():
    image = np.where(discs(80, (640, 640)) > 100, 40, 100).astype(np.uint8)
    specks = discs(20, (640, 640), apart=6.4) > 100  # at every corner of four of the large ones
    specks = np.roll(specks, 64, (0, 1))
    specks[:, 300:] = False
    image[specks] = 180
    look = fitter(image)
    as_is, negative = (look._trial(1, inverted) for inverted in (False, True))
    assert as_is.mean_quality > negative.mean_quality + 0.3
    assert as_is.explained < 0.05
    assert look.inverted()


def test_the_contrast_can_be_said():
    image = discs(20, inverted=True)
    assert not fit_image(fitter(image), contrast="as-is").inverted
    for known in ("bright", "dark", None):
        assert fit_image(fitter(discs(20), contrast=known), contrast="inverted").inverted


def test_ranges_that_are_given_say_the_contrast():
    model, image = model_of(), Image.from_array(discs(20, inverted=True), "YX")
    given = Ranges(model.info, image, [(0.0, 255.0)])
    assert not fit_image(
        ImageAdapter(model, image, PredictOptions(device="cpu"), ranges=given)
    ).inverted


def test_a_model_that_knows_no_diameter_needs_a_scale():
    with pytest.raises(SettingsError, match=r"object size in the training images .* is unknown"):
        fit_image(fitter(discs(20), diameter_px=None), "auto")


def test_looking_can_be_stopped():
    image = Image.from_array(discs(20), "YX")
    with pytest.raises(Cancelled):
        estimate_diameter(model_of(), image, PredictOptions(device="cpu"), should_stop=lambda: True)
