"""`napari-unet demo`: scores and pictures without any data of the user."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from commands import Cli, table


def test_the_demo_ends_with_scores_and_pictures(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet.cli import demo_run

    monkeypatch.setattr(demo_run, "_TRAIN", 3)
    monkeypatch.setattr(demo_run, "_TEST", 1)
    out = tmp_path / "demo"
    result = cli("demo --threads 1 --out {}", out)
    assert "AP at IoU 0.5" in result.stdout
    files = ["scores/comparison.png", "results/objects.csv"]
    for path in files:
        assert (out / path).is_file()
        assert str(Path(path).parent) in result.stdout
    assert len(table(out / "results" / "summary.csv")) == 1
    with tifffile.TiffFile(out / "test" / "masks" / "nuclei_03.tif") as truth:
        count = len(np.unique(truth.asarray())) - 1
    (row,) = table(out / "results" / "summary.csv")
    assert int(row["objects"]) == pytest.approx(count, rel=0.1)
    assert not (out / "run").exists()
    result = cli("demo --train --seconds 3 --threads 1 --out {}", out)
    for path in [*files, "run/curves.png"]:
        assert (out / path).is_file()
        assert str(Path(path).parent) in result.stdout


def test_the_demo_says_that_seconds_are_for_training(cli: Cli, tmp_path: Path) -> None:
    result = cli("demo --seconds 5 --out {}", tmp_path / "demo", code=1)
    assert "add --train" in result.stderr
    assert not (tmp_path / "demo").exists()


def test_the_demo_replaces_nothing_but_an_earlier_demo(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "mine.txt").write_text("precious")
    result = cli("demo --out {}", tmp_path, code=1)
    assert "was not made by the demo" in result.stderr
    assert (tmp_path / "train" / "mine.txt").read_text() == "precious"
