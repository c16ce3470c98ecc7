"""Folders of images and labels that several tests read."""

import pytest
from data_files import put


@pytest.fixture
def tiles(tmp_path):
    """Three tiles of two fields, with their masks."""
    for name in ("f1_t1", "f1_t2", "f2_t1"):
        put(tmp_path / "d" / "images" / f"{name}.tif")
        put(tmp_path / "d" / "masks" / f"{name}.tif")
    return tmp_path / "d"
