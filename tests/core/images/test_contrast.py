import numpy as np
import pytest

from napari_unet.core.datasets.pairs import pairs_from_arrays
from napari_unet.core.datasets.synthetic import synthetic_dataset, synthetic_nuclei
from napari_unet.core.errors import SettingsError
from napari_unet.core.images.contrast import check_contrast, intensity_skew, object_contrast
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair


def drawn(n=3, **options):
    images, labels = zip(*synthetic_dataset(n, (64, 64), (3, 6), (10, 16), **options), strict=True)
    return pairs_from_arrays(images, labels)


def test_models_learn_whether_their_objects_are_bright_or_dark():
    assert object_contrast(drawn()) == "bright"
    assert object_contrast(drawn(inverted=True)) == "dark"
    assert object_contrast(drawn() + drawn(inverted=True)) is None


def test_colour_and_empty_images_say_nothing():
    image, labels = synthetic_nuclei((64, 64), 5, (10, 16))
    colour = Pair(Image.from_array(np.stack([image] * 3), "CYX"), labels)
    assert object_contrast([colour]) is None
    assert object_contrast([Pair(Image(image, "YX"), np.zeros_like(labels))]) is None


def test_only_the_annotated_area_counts():
    image, labels = synthetic_nuclei((64, 64), 5, (10, 16))
    image, labels = image.copy(), labels.copy()
    image[32:] = 255  # not annotated
    labels[32:] = 0
    annotated = np.zeros(image.shape, bool)
    annotated[:32] = True
    assert object_contrast([Pair(Image(image, "YX"), labels, annotated=annotated)]) == "bright"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_tone_tells_few_bright_objects_from_few_dark_ones(dtype):
    options = {"n": 20, "dtype": dtype, "seed": 4}
    assert intensity_skew(synthetic_nuclei((256, 256), **options)[0][None]) > 0.3
    assert intensity_skew(synthetic_nuclei((256, 256), inverted=True, **options)[0][None]) < -0.3
    assert intensity_skew(np.full((1, 64, 64), 7, dtype)) == 0


def test_a_contrast_that_does_not_exist_is_named():
    with pytest.raises(SettingsError, match="'dark': expected auto"):
        check_contrast("dark")
