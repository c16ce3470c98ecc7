"""A format declares what its files are; a folder is recognised by a file in it."""

from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.io.format import Format, ReadOptions
from napari_unet.core.io.raw_image import RawImage


def read(path: Path, options: ReadOptions) -> RawImage:
    return RawImage(np.loadtxt(path), axes="YX")


def test_a_format_is_one_of_files_unless_it_names_markers(tmp_path: Path) -> None:
    text = Format(name="text matrix", suffixes=(".matrix",), read=read)
    assert not text.is_folder
    assert not text.is_marked(tmp_path)
    assert text.write is None, "a format without a writer is only read"


@pytest.mark.parametrize("marker", ["info.json", "legacy/info.txt"])
def test_any_marker_makes_a_folder_an_image(tmp_path: Path, marker: str) -> None:
    tiles = Format("tiles", (".tiles",), read, folder_markers=("info.json", "legacy/info.txt"))
    assert tiles.is_folder
    (tmp_path / marker).mkdir(parents=True)
    assert not tiles.is_marked(tmp_path), "a folder of that name marks nothing"
    (tmp_path / marker).rmdir()
    (tmp_path / marker).write_text("{}")
    assert tiles.is_marked(tmp_path)
