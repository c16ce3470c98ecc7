"""Groups: from names, folders and tables."""

from pathlib import Path

import pytest
from data_files import put

from napari_unet.core.datasets.pairs import (
    find_pairs,
)
from napari_unet.core.errors import SettingsError


def test_groups_from_pattern_table_and_folder(tiles):
    assert find_pairs(tiles).groups == ("f1_t1", "f1_t2", "f2_t1")
    assert find_pairs(tiles, group_pattern="^(.+)_t").groups == ("f1", "f1", "f2")
    assert find_pairs(tiles, group_pattern="^f.").groups == ("f1", "f1", "f2")
    table = tiles / "fields.csv"
    table.write_text("id,field\nf1_t1.tif,A\nf1_t2,A\nf2_t1,B\n")
    assert find_pairs(tiles).groups == ("f1_t1", "f1_t2", "f2_t1"), "never picked up automatically"
    assert find_pairs(tiles, groups=table).groups == ("A", "A", "B")
    with pytest.raises(SettingsError, match="All 3 images are in the folder"):
        find_pairs(tiles, groups="folder")
    assert "3 image(s) with labels in 2 group(s)" in find_pairs(tiles, groups=table).describe()


def test_folders_as_groups(tmp_path):
    for plate in ("p1", "p2"):
        for name in ("a", "b"):
            put(tmp_path / f"{plate}_{name}" / "images" / f"{name}.tif")
            put(tmp_path / f"{plate}_{name}" / "masks" / f"{name}.tif")
    groups = find_pairs(tmp_path, groups="folder").groups
    assert [Path(g).name for g in groups] == ["p1_a", "p1_b", "p2_a", "p2_b"]


def test_grouping_that_leaves_images_out(tiles):
    table = tiles / "fields.csv"
    table.write_text("id,field\nf1_t1,A\n")
    with pytest.raises(SettingsError, match="2 of 3 images have no group"):
        find_pairs(tiles, groups=table)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(SettingsError, match="columns a, b"):
        find_pairs(tiles, groups=table)
    for pattern in ("(", "^z"):
        with pytest.raises(SettingsError):
            find_pairs(tiles, group_pattern=pattern)
