"""Figures are saved completely or not at all."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from napari_unet.core.errors import StorageError
from napari_unet.core.evaluation.plotting import save_png


def test_a_figure_becomes_a_picture_of_its_size(tmp_path: Path) -> None:
    save_png(Figure(figsize=(2, 1), dpi=50), tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (100, 50))


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(StorageError):
        save_png(Figure(figsize=(1, 1), dpi=10), tmp_path / "a.png")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
