"""`napari-unet predict`: label images, tables, and batches that stop or fail in part."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import PIXEL_UM, Cli, table

from napari_unet import Image, PixelSize, read_image, read_labels, write_image
from napari_unet.core.images.units import um_per_px
from napari_unet.core.models.model_file import read_info


def test_labels_are_what_fiji_opens(results: Path) -> None:
    labels = results / "cell_0_labels.tif"
    with tifffile.TiffFile(labels) as file:
        assert file.is_imagej
        assert file.pages[0].dtype == np.uint16
        assert file.pages[0].shape == (64, 80)
    pixel_size = read_image(labels).pixel_size
    assert pixel_size is not None
    assert um_per_px(pixel_size) == pytest.approx(PIXEL_UM)


def test_tables_agree_with_the_labels(results: Path) -> None:
    objects, summary = table(results / "objects.csv"), table(results / "summary.csv")
    assert [row["file"] for row in summary] == [f"cell_{i}.tif" for i in range(5)]
    for row in summary:
        labels = read_labels(results / row["file"].replace(".tif", "_labels.tif"))
        ids, areas = np.unique(labels[labels > 0], return_counts=True)
        mine = [o for o in objects if o["file"] == row["file"]]
        assert len(ids) == int(row["objects"]) > 0
        assert [int(o["id"]) for o in mine] == ids.tolist()
        assert [int(o["area_px"]) for o in mine] == areas.tolist()
        assert [float(o["area_um2"]) for o in mine] == pytest.approx(areas * 0.0625)
        assert int(row["objects_inside"]) + int(row["objects_at_border"]) == len(ids)
    columns = (
        "file,plane,id,area_px,area_um2,centroid_y,centroid_x,mean_0,touches_border,confidence"
    )
    assert list(objects[0]) == columns.split(",")


def test_probabilities_are_written_when_asked_for(results: Path) -> None:
    probability = tifffile.imread(results / "cell_0_probability.tif")
    assert probability.dtype == np.float32
    assert probability.shape == (64, 80)
    inside = read_labels(results / "cell_0_labels.tif") > 0
    assert probability[inside].mean() > 0.5 > probability[~inside].mean()


def test_results_are_not_replaced_unless_asked(
    cli: Cli, run: Path, data: Path, results: Path
) -> None:
    labels = results / "cell_0_labels.tif"
    before = labels.read_bytes()
    result = cli("predict {} {} --out {}", run, data / "images", results, code=1)
    assert "--overwrite" in result.stderr
    assert labels.read_bytes() == before
    cli("predict {} {} --out {} --probability --overwrite", run, data / "images", results)
    assert labels.read_bytes() == before


def test_one_bad_image_does_not_end_the_batch(
    cli: Cli, run: Path, data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = (data / "images" / "cell_0.tif").read_bytes()
    (folder / "a.tif").write_bytes(good)
    (folder / "b.tif").write_bytes(good[: len(good) // 2])
    (folder / "c.tif").write_bytes(good)
    (folder / "notes.txt").write_text("hello")
    result = cli("predict {} {} --out {} --json", run, folder, tmp_path / "out", code=3)
    values = json.loads(result.stdout)
    assert [Path(v["input"]).name for v in values["predicted"]] == ["a.tif", "c.tif"]
    assert [Path(v["input"]).name for v in values["failed"]] == ["b.tif"]
    assert "truncated" in values["failed"][0]["problem"]
    assert [Path(v["path"]).name for v in values["passed_over"]] == ["notes.txt"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a_labels.tif", "c_labels.tif", "objects.csv", "summary.csv"]


def test_the_decoder_can_be_set(
    cli: Cli, run: Path, data: Path, results: Path, tmp_path: Path
) -> None:
    line = "predict {} {} --out {} --min-area 100000"
    cli(line, run, data / "images" / "cell_0.tif", tmp_path / "out")
    assert table(tmp_path / "out" / "summary.csv")[0]["objects"] == "0"
    assert table(results / "summary.csv")[0]["objects"] != "0"


def test_objects_of_another_size_are_resized_for_the_model(
    cli: Cli, run: Path, data: Path, results: Path, tmp_path: Path
) -> None:
    image = read_image(data / "images" / "cell_0.tif")
    size = PixelSize((PIXEL_UM[0] / 2,) * 2)
    twice = Image(np.kron(image.data, np.ones((2, 2), image.data.dtype)), "YX", pixel_size=size)
    write_image(tmp_path / "twice.tif", twice)
    expected = read_labels(results / "cell_0_labels.tif") > 0
    result = cli("predict {} {} --out {}", run, tmp_path / "twice.tif", tmp_path / "plain")
    assert "2 times larger than in its training images. A scale of 0.5 fits. --rescale" in " ".join(
        result.stderr.split()
    )
    diameter = 2 * read_info(run / "best.safetensors").object_diameter_px
    for i, option in enumerate(["--scale 0.5", f"--diameter {diameter}", "--rescale"]):
        result = cli(
            f"predict {{}} {{}} --out {{}} {option}", run, tmp_path / "twice.tif", tmp_path / str(i)
        )
        assert "pixels of" not in result.stderr
        assert [row["scale"] for row in table(tmp_path / str(i) / "summary.csv")] == ["0.5"]
        found = read_labels(tmp_path / str(i) / "twice_labels.tif") > 0
        assert found.shape == (128, 160)
        assert (found[::2, ::2] == expected).mean() > 0.95


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--scale 0", "Scale 0: expected a number from 0.05 to 20"),
        ("--diameter -3", "Diameter -3 px: expected a positive number"),
        ("--diameter wide", "'wide': expected the width of a typical object in pixels"),
        ("--diameter auto --rescale", "cannot be combined: choose one"),
        ("--diameter 0.1", "Check the object diameters"),
        ("--scale 2 --rescale", "cannot be combined: choose one"),
    ],
)
def test_scales_that_make_no_sense_are_sentences(
    cli: Cli, run: Path, data: Path, tmp_path: Path, options: str, sentence: str
) -> None:
    line = f"predict {{}} {{}} --out {{}} {options}"
    result = cli(line, run, data / "images", tmp_path / "out", code=1)
    assert sentence in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_stopping_a_batch_keeps_what_is_finished(
    cli: Cli, run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet.core.prediction import batch

    real, seen = batch.write_prediction, []

    def write(*args):
        seen.append(args)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGINT)
        return real(*args)

    monkeypatch.setattr(batch, "write_prediction", write)
    result = cli("predict {} {} --out {}", run, data / "images", tmp_path / "out", code=130)
    assert "results of finished images are kept" in result.stdout
    assert [row["file"] for row in table(tmp_path / "out" / "summary.csv")] == [
        "cell_0.tif",
        "cell_1.tif",
    ]


def test_a_name_that_is_not_unicode_does_not_end_a_batch(
    cli: Cli, run: Path, data: Path, tmp_path: Path
) -> None:
    content = (data / "images" / "cell_0.tif").read_bytes()
    try:
        (tmp_path / os.fsdecode(b"Prob\xe9.tif")).write_bytes(content)
    except OSError:
        pytest.skip("this file system takes no such name")
    (tmp_path / "z.tif").write_bytes(content)
    cli("predict {} {} --out {}", run, tmp_path, tmp_path / "out")
    assert [r["file"] for r in table(tmp_path / "out" / "summary.csv")] == ["Prob?.tif", "z.tif"]
