"""Tables of a batch: they grow with each file and are never half written."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from batch_models import bright_dots, rows_of, threshold_model

from napari_unet.core.errors import SettingsError, StorageError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.io.image_files import write_image
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.prediction.batch import BatchOptions, FilePredicted, predict_files
from napari_unet.core.prediction.batch_inputs import find_inputs
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

CLASSES = (ClassInfo(id=0, name="background", background=True), ClassInfo(id=2, name="cell"))


def make_model(task: Instances | Semantic, **unet: Any) -> Model:
    """A network of random weights."""
    outputs = sum(head.channels for head in task.heads)
    config = UNetConfig(depth=1, base_channels=2, out_channels=outputs, **unet)
    torch.manual_seed(1)
    info = ModelInfo(unet=config, task=task, normalization=Normalization())
    return Model(info, UNet(config).state_dict())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for name in ("b.tif", "a.tif"):
        write_image(path / name, Image(np.arange(32 * 32, dtype=np.uint16).reshape(32, 32), "YX"))
    return path


def test_tables_grow_with_each_file_whatever_columns_it_brings(tmp_path: Path) -> None:
    """Without objects, with them, with a pixel size, and without again."""
    model, folder = threshold_model(), tmp_path / "images"
    size = PixelSize((0.5, 0.5))
    write_image(folder / "a.tif", Image(bright_dots(0), "YX"))
    write_image(folder / "b.tif", Image(bright_dots(3), "YX"))
    write_image(folder / "c.tif", Image(bright_dots(2), "YX", pixel_size=size))
    write_image(folder / "d.tif", Image(bright_dots(4), "YX"))
    seen = []
    for result in predict_files(model, find_inputs([folder]).files, BatchOptions(tmp_path / "out")):
        assert isinstance(result, FilePredicted)
        objects = rows_of(tmp_path / "out" / "objects.csv")
        seen.append((len(objects), len(rows_of(tmp_path / "out" / "summary.csv"))))
    assert seen == [(0, 1), (3, 2), (5, 3), (9, 4)]
    assert [o["file"] for o in objects] == ["b.tif"] * 3 + ["c.tif"] * 2 + ["d.tif"] * 4
    assert [bool(o["area_um2"]) for o in objects] == [False] * 3 + [True] * 2 + [False] * 4
    assert list(objects[0])[:5] == ["file", "plane", "id", "area_px", "area_um2"]
    assert list(objects[0])[-2:] == ["touches_border", "confidence"]
    assert [float(o["mean_0"]) for o in objects] == [200.0] * 9
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {*(f"{n}_labels.tif" for n in "abcd"), "objects.csv", "summary.csv"}


def test_a_killed_batch_has_the_rows_of_what_is_finished(folder: Path, tmp_path: Path) -> None:
    results = predict_files(
        make_model(Instances()), find_inputs([folder]).files, BatchOptions(tmp_path / "out")
    )
    next(results)  # and nothing after it: no clean-up runs in a process that is killed
    assert [r["file"] for r in rows_of(tmp_path / "out" / "summary.csv")] == ["a.tif"]
    assert (tmp_path / "out" / "objects.csv").exists()


def test_a_disk_that_fills_up_leaves_whole_rows(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet.core.prediction import batch_tables

    class FullDisk:
        def __init__(self, file, columns) -> None:
            self._file = file

        def writerows(self, rows) -> None:
            self._file.write("half of a ro")
            self._file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

    results = predict_files(
        make_model(Semantic(classes=CLASSES)),
        find_inputs([folder]).files,
        BatchOptions(tmp_path / "out"),
    )
    next(results)
    before = (tmp_path / "out" / "summary.csv").read_text()
    monkeypatch.setattr(batch_tables, "csv_writer", FullDisk)
    with pytest.raises(StorageError, match="the disk is full"):
        next(results)
    assert (tmp_path / "out" / "summary.csv").read_text() == before


def test_the_tables_describe_what_lies_in_the_folder(folder: Path, tmp_path: Path) -> None:
    a, b = find_inputs([folder]).files
    out = tmp_path / "out"
    model = threshold_model()
    list(predict_files(model, [a], BatchOptions(out)))
    list(predict_files(model, [b], BatchOptions(out)))  # one more; nothing is in its way
    summary = rows_of(out / "summary.csv")
    objects = rows_of(out / "objects.csv")
    assert [r["file"] for r in summary] == ["a.tif", "b.tif"]
    assert {r["file"] for r in objects} == {"a.tif", "b.tif"}
    list(predict_files(model, [a], BatchOptions(out, overwrite=True)))
    again = rows_of(out / "summary.csv")
    assert sorted(again, key=lambda r: r["file"]) == summary
    key = lambda r: (r["file"], int(r["id"]))  # noqa: E731
    assert sorted(rows_of(out / "objects.csv"), key=key) == sorted(objects, key=key)


def test_a_table_of_somebody_else_is_in_the_way(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "summary.csv").write_text("who;what\nme;this\n")
    inputs = find_inputs([folder]).files
    with pytest.raises(SettingsError, match=r"summary\.csv"):
        list(predict_files(threshold_model(), inputs, BatchOptions(tmp_path)))
    assert (tmp_path / "summary.csv").read_text() == "who;what\nme;this\n"
