"""Masks of one object each are combined into labels."""

import numpy as np
import pytest

from napari_unet.core.datasets.label_reading import combine_masks
from napari_unet.core.errors import LabelsError


def test_overlaps_are_counted():
    mask = np.ones((2, 2), np.uint8)
    labels, overlap_px = combine_masks([(mask, False), (np.dstack([mask] * 3), True)])
    assert overlap_px == 4
    assert labels.max() == 1
    with pytest.raises(LabelsError, match="masks of one shape"):
        combine_masks([(mask, False), (np.ones((3, 3)), False)])
