"""The test image of a package: drawn or the user's, where both normalisations agree."""

import numpy as np
import pytest
from packages import MARKS, MODELS, cells, random_model

from napari_unet.core.bioimage_io.example import SMALLEST_PX, Example, drawn_image, example
from napari_unet.core.bioimage_io.export import export_bioimage_io
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import ImageError
from napari_unet.core.images.image import Image
from napari_unet.core.models.model_file import save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict

pytestmark = MARKS


def test_a_model_that_finds_nothing_cannot_be_tested(tmp_path):
    model = random_model()
    model.weights["head.weight"].zero_()
    model.weights["head.bias"].fill_(-30)
    save_model(tmp_path / "m.safetensors", model)
    with pytest.raises(ImageError, match="finds nothing in 'drawn nuclei'"):
        export_bioimage_io(tmp_path / "m.safetensors", tmp_path / "m.zip")


@pytest.mark.parametrize("kind", MODELS)
def test_a_drawn_image_fits_the_model(kind):
    info = random_model(**MODELS[kind]).info
    image = drawn_image(info)
    info.check_image(image)
    assert image.rgb is info.rgb
    assert min(image.data.shape[-2:]) >= SMALLEST_PX["y"]
    assert np.ptp(image.data) > 50


def test_an_example_is_what_a_prediction_of_its_image_gives():
    model = random_model()
    found = example(model, cells(np.s_[:80, :96]))
    assert found.image.shape == (1, 80, 96)
    options = PredictOptions(device="cpu", precision="float32")
    again = predict(model, Image(found.image, "CYX"), options, keep_outputs=True)
    np.testing.assert_array_equal(found.outputs, again.outputs)
    np.testing.assert_array_equal(found.labels, again.labels)


def test_of_a_large_image_the_centre_is_used():
    drawn = synthetic_nuclei((600, 64), 30, dtype=np.uint16)[0]
    found = example(random_model(**MODELS["as they are"]), Image(drawn, "YX"))
    np.testing.assert_array_equal(found.image[0], drawn[44:556])


def test_the_cover_shows_the_middle_plane_beside_its_labels(tmp_path):
    from PIL import Image as Picture

    info = random_model(**MODELS["volume"]).info
    labels = np.zeros((3, 64, 64), np.uint8)
    labels[1, 20:40, 20:40] = 1
    Example(
        np.random.default_rng(0).random((1, 3, 64, 64), np.float32), labels[None], labels
    ).write_cover(tmp_path / "cover.png", info)
    with Picture.open(tmp_path / "cover.png") as cover:
        left, right = np.hsplit(np.asarray(cover.convert("RGB"), np.int16), 2)
    assert left.shape == right.shape == (256, 256, 3)
    assert np.abs(left - right)[100:140, 100:140].mean() > 10
