"""Inputs of a batch: files, folders and patterns, each once and under a name of its own."""

import os
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.errors import ImageError
from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image
from napari_unet.core.prediction.batch_inputs import find_inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for name in ("b.tif", "a.tif"):
        write_image(path / name, Image(np.arange(32 * 32, dtype=np.uint16).reshape(32, 32), "YX"))
    return path


def test_a_folder_gives_its_images_by_name_and_says_what_is_none(folder: Path) -> None:
    (folder / "a_labels.tif").write_bytes((folder / "a.tif").read_bytes())
    (folder / "lonely_mask.tif").write_bytes((folder / "a.tif").read_bytes())
    (folder / "readme.txt").write_text("x")
    (folder / "deeper").mkdir()
    found = find_inputs([folder])
    assert [item.name for item in found.files] == ["a", "b", "lonely_mask"]
    assert {path.name: reason.split(" (")[0] for path, reason in found.skipped} == {
        "a_labels.tif": "labels or a result of 'a'",
        "deeper": "a folder",
        "readme.txt": "not a supported format",
    }


def test_a_file_that_is_named_is_taken_whatever_it_is_called(folder: Path) -> None:
    mask = folder / "a_mask.tif"
    mask.write_bytes((folder / "a.tif").read_bytes())
    assert [item.path for item in find_inputs([mask]).files] == [mask]


def test_patterns_reach_into_folders(folder: Path) -> None:
    pattern = os.fspath(folder.parent / "**" / "*.tif")
    assert [item.name for item in find_inputs([pattern]).files] == ["a", "b"]


def test_each_file_is_predicted_once(folder: Path) -> None:
    found = find_inputs([folder / "b.tif", folder, folder / "*.tif"])
    assert [item.name for item in found.files] == ["b", "a"]


def test_images_of_one_name_get_results_of_different_names(tmp_path: Path) -> None:
    for name in ("one/x.tif", "two/x.tif", "two/x.png", "two/y.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    names = [item.name for item in find_inputs([tmp_path / "one", tmp_path / "two"]).files]
    assert names == ["one_x", "two_x_png", "two_x_tif", "y"]


def test_names_that_some_systems_take_for_one_get_results_of_different_names(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / "x" / "Zelle.tif", tmp_path / "y" / "zelle.tif"]
    for path in paths:
        write_image(path, Image(np.zeros((8, 8), np.uint8), "YX"))
    names = [item.name for item in find_inputs(paths).files]
    assert len({name.casefold() for name in names}) == 2


def test_a_file_named_in_two_ways_is_one_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert len(find_inputs([folder, folder.name]).files) == len(find_inputs([folder]).files)


def test_a_folder_that_cannot_be_listed_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ImageError, match="cannot be read: Permission denied"):
        find_inputs([folder])


def test_images_of_one_name_in_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("a/images/x.tif", "b/images/x.tif", "b/images/y.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"x")
    files = find_inputs([tmp_path / "*" / "images" / "*.tif"]).files
    assert [item.name for item in files] == ["a_images_x", "b_images_x", "y"]
    assert [item.row_name for item in files] == ["a/images/x.tif", "b/images/x.tif", "y.tif"]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("missing", "There is no file or folder"),
        ("*.tif", "No file matches the pattern"),
        (".", "FOLDER/**/*.tif"),
    ],
)
def test_no_image_at_all_is_said(tmp_path: Path, source: str, sentence: str) -> None:
    with pytest.raises(ImageError) as error:
        find_inputs([tmp_path / source])
    assert sentence in str(error.value)
