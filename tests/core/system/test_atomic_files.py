"""Files are written completely or not at all."""

import errno
import os

import numpy as np
import pytest
import zarr

from napari_unet.core.errors import StorageError
from napari_unet.core.io.image_files import (
    read_labels,
    write_labels,
)
from napari_unet.core.system.atomic_files import atomic_path, atomic_write_csv, atomic_write_text


def fail_halfway(path, error, make):
    with atomic_path(path) as temporary:
        make(temporary)
        raise error


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
    ],
)
def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, number, words):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(StorageError, match=words):
        fail_halfway(path, OSError(number, os.strerror(number)), lambda p: p.write_text("half"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_interrupted_write_cleans_up_files_and_folders(tmp_path):
    for make in (lambda p: p.write_text("x"), lambda p: (p.mkdir(), (p / "c").write_text("x"))):
        with pytest.raises(KeyboardInterrupt):
            fail_halfway(tmp_path / "a", KeyboardInterrupt(), make)
    assert list(tmp_path.iterdir()) == []


def test_place_that_is_no_folder_or_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="not a folder"):
        atomic_write_text(tmp_path / "file" / "a.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="a folder of that name exists"):
        atomic_write_text(tmp_path / "folder", "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_zarr_replaces_a_zarr_and_never_a_folder_of_other_things(tmp_path):
    labels = np.ones((4, 4), int)
    for value in (1, 2):
        write_labels(tmp_path / "a.zarr", labels * value)
        group = zarr.open_group(tmp_path / "a.zarr", mode="r")
        assert group.attrs["multiscales"][0]["name"] == "a"
        assert read_labels(tmp_path / "a.zarr").max() == value
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").write_text("x")
    with pytest.raises(StorageError, match="a folder of that name exists"):
        write_labels(tmp_path / "b.zarr", labels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]
    assert (tmp_path / "b.zarr" / "thesis.txt").exists()


def test_csv(tmp_path):
    atomic_write_csv(tmp_path / "sub" / "a.csv", [{"file": "ä,b", "n": 1}, {"n": 2, "area": 0.5}])
    text = (tmp_path / "sub" / "a.csv").read_text(encoding="utf-8")
    assert text == 'file,n,area\n"ä,b",1,\n,2,0.5\n'
    atomic_write_csv(tmp_path / "b.csv", [], columns=["file", "n"])
    assert (tmp_path / "b.csv").read_text() == "file,n\n"
