"""Images with painted strokes of classes, and with objects painted whole."""

import numpy as np
import pytest

from napari_unet.core.datasets.synthetic import synthetic_nuclei


@pytest.fixture(scope="module")
def cells():
    image, truth = synthetic_nuclei((160, 160), 18, seed=5, diameter_px=(16, 24))
    return image[None], truth > 0


@pytest.fixture
def strokes(cells):
    """A few rows of the ground truth, as strokes."""
    labels = np.zeros(cells[1].shape, np.uint8)
    labels[40:42], labels[110:112] = cells[1][40:42] + 1, cells[1][110:112] + 1
    return labels


@pytest.fixture(scope="module")
def field():
    """Dark nuclei on a bright background, unlike those of the start model, and the ground truth."""
    image, nuclei = synthetic_nuclei((192, 192), 30, seed=5, diameter_px=(18, 26), inverted=True)
    return image[None], nuclei


@pytest.fixture(scope="module")
def whole(field):
    """Eight whole painted objects, and strokes of background."""
    _, nuclei = field
    labels = np.zeros(nuclei.shape, np.uint16)
    labels[nuclei == 0] = 1
    labels[np.arange(192) % 16 > 1] = 0
    for number in range(1, 9):
        labels[nuclei == number] = number + 1
    return labels
