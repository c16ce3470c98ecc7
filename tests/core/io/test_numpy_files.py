"""NumPy files: pickled objects are never loaded."""

import numpy as np
import pytest

from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.io.image_files import (
    read_image,
    read_labels,
)


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"masks": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match="can run code"):
        read_image(tmp_path / "a.npy")
    (tmp_path / "a.npy").rename(tmp_path / "a_seg.npy")
    with pytest.raises(LabelsError, match="Save masks as PNG/tif"):
        read_labels(tmp_path / "a_seg.npy")
