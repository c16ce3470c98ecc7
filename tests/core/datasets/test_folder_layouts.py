"""Folders and tables of images: matching of label files to images."""

from pathlib import Path

import numpy as np
import pytest
from data_files import put

from napari_unet.core.datasets.folder_layouts import LABEL_SUFFIXES
from napari_unet.core.datasets.pairs import (
    find_pairs,
    load_pairs,
)
from napari_unet.core.errors import ImageError, LabelsError


def reasons(dataset):
    return {path.name: reason for path, reason in dataset.skipped}


@pytest.mark.parametrize("folder", ["masks", "labels", "Masks"])
@pytest.mark.parametrize("suffix", ["", "_mask"])
def test_two_folders(tmp_path, folder, suffix):
    for name in "ba":
        put(tmp_path / "images" / f"{name}.tif")
        put(tmp_path / folder / f"{name}{suffix}.png")
    dataset = find_pairs(tmp_path)
    assert [p.name for p in dataset.pairs] == ["a", "b"]
    assert dataset.skipped == ()
    pair = load_pairs(dataset)[0]
    assert pair.name == "a"
    np.testing.assert_array_equal(pair.labels, np.eye(8))


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
def test_one_folder_with_every_suffix(tmp_path, suffix):
    put(tmp_path / "x.ome.tif")
    put(tmp_path / f"x{suffix}.tif")
    (pair,) = find_pairs(tmp_path).pairs
    assert (pair.image.name, pair.labels[0].name) == ("x.ome.tif", f"x{suffix}.tif")


def test_one_mask_per_object(tmp_path):
    first, second = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    first[:4], second[3:] = 255, 255
    put(tmp_path / "id1" / "images" / "id1.png", np.zeros((8, 8, 4), np.uint8))
    put(tmp_path / "id1" / "masks" / "m0.png", first)
    put(tmp_path / "id1" / "masks" / "m1.png", second)
    put(tmp_path / "id2" / "images" / "id2.png")
    (tmp_path / "id2" / "masks").mkdir()
    (tmp_path / "readme.md").write_text("x")
    dataset = find_pairs(tmp_path)
    assert reasons(dataset) == {
        "readme.md": "not a folder with 'images' and 'masks' in it",
        "id2.png": "no masks",
    }
    (pair,) = load_pairs(dataset)
    assert pair.image.rgb
    assert pair.labels[:, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2], "the earlier mask stays"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_table(tmp_path, delimiter):
    for day in ("day1", "day2"):
        put(tmp_path / day / "x.tif")
        put(tmp_path / day / "truth.tif")
    rows = [("Image", "Mask", "Group"), ("day1/x.tif", "day1/truth.tif", "a")]
    rows += [("day2/x.tif", "day2/truth.tif", "b"), ("day3/x.tif", "", "c")]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "t.csv").write_text("\ufeff" + text, encoding="utf-8")
    dataset = find_pairs(tmp_path / "t.csv")
    assert [p.name for p in dataset.pairs] == ["day1/x", "day2/x"]
    assert dataset.groups == ("a", "b")
    assert "line 4" in reasons(dataset)["x.tif"]
    assert [p.group for p in load_pairs(dataset)] == ["a", "b"]


def test_images_of_a_table_get_as_many_folders_as_tell_them_apart(tmp_path):
    for plate in ("plateA", "plateB"):
        put(tmp_path / plate / "images" / "x.tif")
        put(tmp_path / plate / "masks" / "x.tif")
    lines = [f"{p}/images/x.tif,{p}/masks/x.tif" for p in ("plateA", "plateB")]
    (tmp_path / "t.csv").write_text("\n".join(["image,labels", *lines]))
    dataset = find_pairs(tmp_path / "t.csv")
    assert dataset.groups == ("plateA/images/x", "plateB/images/x")


def test_table_that_does_not_work(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("picture,truth\na,b\n")
    with pytest.raises(LabelsError, match="expected image and labels"):
        find_pairs(table)
    table.write_text("image,labels\nno.tif,no2.tif\n")
    with pytest.raises(ImageError, match=r"Line 2 of 't\.csv': there is no file"):
        find_pairs(table)
    table.write_text("image,labels\n")
    with pytest.raises(LabelsError):
        find_pairs(table)
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ImageError, match="UTF-8"):
        find_pairs(table)


def test_named_folders(tmp_path):
    put(tmp_path / "raw" / "x.tif")
    put(tmp_path / "truth" / "x.tif")
    dataset = find_pairs(tmp_path, images=Path("raw"), labels=Path("truth"))
    assert [p.name for p in dataset.pairs] == ["x"]
    with pytest.raises(ImageError, match="no folder"):
        find_pairs(tmp_path, images=Path("raw"), labels=Path("lies"))


def test_foreign_files_are_listed_with_the_reason(tmp_path):
    for name in ("x.tif", "x_masks.tif", "lonely.tif", "orphan_mask.png"):
        put(tmp_path / name)
    for name in ("notes.docx", "y_seg.npy", "lonely_seg.npy", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_text("x")
    (tmp_path / "old").mkdir()
    dataset = find_pairs(tmp_path)
    assert [p.name for p in dataset.pairs] == ["x"]
    found = reasons(dataset)
    assert set(found) == {
        "lonely.tif", "orphan_mask.png", "notes.docx", "y_seg.npy", "lonely_seg.npy", "old",
    }  # fmt: skip
    assert found["lonely.tif"] == "no labels of that name"
    assert "no image 'orphan'" in found["orphan_mask.png"]
    assert "PNG or TIFF" in found["y_seg.npy"]
    assert "6 skipped" in dataset.describe()


def test_two_candidates_are_not_guessed(tmp_path):
    for name in ("x.tif", "x_masks.tif", "x_cp_masks.png", "y.tif", "y.png", "y_mask.png"):
        put(tmp_path / name)
    put(tmp_path / "z.tif")
    put(tmp_path / "z_mask.tif")
    found = reasons(find_pairs(tmp_path))
    assert found["x.tif"] == "2 label files match: x_cp_masks.png, x_masks.tif; keep one"
    assert found["y.tif"] == "2 images have that name: y.png, y.tif; keep one"


def test_two_label_folders(tmp_path):
    for folder in ("images", "masks", "labels"):
        put(tmp_path / folder / "x.tif")
    with pytest.raises(LabelsError, match="'masks' and 'labels': expected one"):
        find_pairs(tmp_path)
    assert len(find_pairs(tmp_path, images=Path("images"), labels=Path("labels")).pairs) == 1


def test_nothing_found_says_what_was_looked_for(tmp_path):
    with pytest.raises(LabelsError, match="Expected folders"):
        find_pairs(tmp_path)
    for name in "xy":
        put(tmp_path / "train" / "images" / f"{name}.tif")
        put(tmp_path / "train" / "masks" / f"{name}.tif")
    with pytest.raises(LabelsError, match=r"train' has such folders"):
        find_pairs(tmp_path)
    with pytest.raises(ImageError, match="no folder"):
        find_pairs(tmp_path / "nowhere")
