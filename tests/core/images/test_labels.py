"""Labels: what counts as labels, and how ids are numbered."""

import numpy as np
import pytest

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.labels import as_labels


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_labels_become_integers(dtype):
    labels = as_labels(np.array([[0, 1]], dtype), "a")
    assert labels.dtype.kind in "iu"
    assert labels.tolist() == [[0, 1]]


@pytest.mark.parametrize("values", [[0.5], [np.nan], [np.inf], [1e300], [-1], [-1.0], ["a"], [1j]])
def test_what_is_not_labels(values):
    with pytest.raises(LabelsError):
        as_labels(np.array(values), "a")
