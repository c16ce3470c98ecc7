"""`napari-unet evaluate`: predictions and models against ground truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import Cli, table
from typer.testing import CliRunner

from napari_unet import read_image, read_labels, write_labels
from napari_unet.cli import app


def test_evaluating_folders_writes_tables_and_a_picture(
    cli: Cli, data: Path, results: Path, tmp_path: Path
) -> None:
    line = "evaluate {} {} --images {} --out {}"
    result = cli(line, results, data / "masks", data / "images", tmp_path / "scores")
    assert "AP at IoU 0.5" in result.stdout
    assert "by image" in result.stdout
    assert "pooled" in result.stdout
    assert "Written: " in result.stdout
    assert len(table(tmp_path / "scores" / "scores_by_image.csv")) == 5
    rows = {row["score"]: row for row in table(tmp_path / "scores" / "scores.csv")}
    values = json.loads(cli("evaluate {} {} --json", results, data / "masks").stdout)
    for score, key in (("Dice, foreground", "dice_foreground"), ("mean AP", "mean_ap")):
        assert float(rows[score]["pooled"]) == values["summary"][f"{key}_pooled"]
        assert float(rows[score]["by_image"]) == values["summary"][f"{key}_by_image"]
    picture = read_image(tmp_path / "scores" / "comparison.png")
    assert picture.rgb
    assert min(picture.label_shape) > 300
    again = cli("evaluate {} {} --out {}", results, data / "masks", tmp_path / "scores")
    assert "Replaced earlier scores: " in again.stdout


def test_nothing_is_scored_outside_of_the_annotated_area(
    cli: Cli, results: Path, tmp_path: Path
) -> None:
    for name in ("cell_0", "cell_1"):
        truth = read_labels(results / f"{name}_labels.tif")
        area = np.zeros(truth.shape, np.uint8)
        area[:, :40] = 1
        write_labels(tmp_path / "areas" / f"{name}.tif", area)
        truth[:, 40:] = 0
        write_labels(tmp_path / "truth" / f"{name}.tif", truth)
    line = "evaluate {} {} --json"
    whole = json.loads(cli(line, results, tmp_path / "truth").stdout)
    line += " --annotated {}"
    part = json.loads(cli(line, results, tmp_path / "truth", tmp_path / "areas").stdout)
    assert whole["summary"]["iou_foreground_pooled"] < 0.9
    assert part["summary"]["iou_foreground_pooled"] == 1


def test_the_picture_shows_classes_by_name(cli: Cli, data: Path, tmp_path: Path) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    from napari_unet.core.evaluation.error_map import ERROR_COLOURS

    for name in ("cell_0", "cell_1"):
        inside = read_labels(data / "masks" / f"{name}.tif") > 0
        write_labels(tmp_path / "truth" / f"{name}.tif", inside.astype(np.uint8))
        write_labels(tmp_path / "found" / f"{name}.tif", np.where(inside, 255, 0).astype(np.uint8))
    line = "evaluate {} {} --task semantic --out {} --json"
    values = json.loads(cli(line, tmp_path / "found", tmp_path / "truth", tmp_path / "out").stdout)
    assert values["summary"]["dice_foreground_pooled"] == 1
    picture = imread(tmp_path / "out" / "comparison.png")[..., :3]
    for category, shown in (("wrong class", False), ("hit", True)):
        near = np.abs(picture - to_rgb(ERROR_COLOURS[category])).max(axis=-1) < 0.16
        assert near.any() == shown, category


def test_two_predictions_for_one_image_are_a_question(
    cli: Cli, data: Path, results: Path, tmp_path: Path
) -> None:
    for name in ("cell_0_labels.tif", "cell_0_mask.tif"):
        (tmp_path / name).write_bytes((results / "cell_0_labels.tif").read_bytes())
    result = cli("evaluate {} {}", tmp_path, data / "masks", code=1)
    assert "both belong to 'cell_0'" in " ".join(result.stderr.split())


def test_groups_come_from_names_when_evaluating_too(cli: Cli, run: Path, data: Path) -> None:
    line = "evaluate --model {} {} --split group --group-pattern {} --json"
    result = cli(line, run, data, "nothing", code=1)
    assert "5 of 5 images have no group" in " ".join(result.stderr.split())
    assert json.loads(cli(line, run, data, "_(.)$").stdout)["summary"]["images"] >= 1


def test_a_prediction_is_perfect_against_itself(cli: Cli, results: Path) -> None:
    labels = results / "cell_1_labels.tif"
    values = json.loads(cli("evaluate {} {} --json", labels, labels).stdout)
    assert values["summary"]["mean_ap_pooled"] == 1
    assert values["summary"]["dice_foreground_by_image"] == 1


def test_files_without_partner_are_named(
    cli: Cli, data: Path, results: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth"
    truth.mkdir()
    for i in (0, 1):
        (truth / f"cell_{i}.tif").write_bytes((data / "masks" / f"cell_{i}.tif").read_bytes())
    (truth / "other.tif").write_bytes((data / "masks" / "cell_0.tif").read_bytes())
    result = cli("evaluate {} {} --json", results, truth)
    values = json.loads(result.stdout)
    assert [image["image"] for image in values["images"]] == ["cell_0", "cell_1"]
    assert "other (ground truth)" in values["unmatched"]
    assert "cell_4 (prediction)" in values["unmatched"]
    assert "without a counterpart" in result.stderr


def test_a_model_is_scored_on_the_images_it_was_validated_on(
    cli: Cli, run: Path, data: Path
) -> None:
    info = json.loads(cli("models show {} --json", run).stdout)["info"]
    validated = [t["name"] for t in info["trained_on"] if t["role"] == "validation"]
    result = cli("evaluate --model {} {} --json", run, data)
    values = json.loads(result.stdout)
    assert [image["image"] for image in values["images"]] == validated
    score = values["summary"]["mean_ap_by_image"]
    assert score == pytest.approx(info["scores"]["mean_ap_by_image"])
    everything = cli("evaluate --model {} {} --split all --json", run, data)
    assert len(json.loads(everything.stdout)["images"]) == 5
    assert "4 of these 5 images were used to train" in everything.stderr


def test_definitions_are_printed_on_request(cli: Cli, data: Path) -> None:
    mask = next((data / "masks").iterdir())
    assert "TP / (TP + FP" in cli("evaluate {} {} --definitions", mask, mask).stdout
    assert "TP / (TP + FP" not in cli("evaluate {} {}", mask, mask).stdout


def test_objects_have_no_classes_to_be_evaluated(tmp_path: Path) -> None:
    for name in ("predicted.tif", "true.tif"):
        write_labels(tmp_path / name, np.ones((8, 8), np.uint8))
    paths = [str(tmp_path / "predicted.tif"), str(tmp_path / "true.tif")]
    for options in (["--class", "1=cell"], ["--background", "1"]):
        done = CliRunner().invoke(app, ["evaluate", *paths, *options])
        assert done.exit_code != 0
        assert "choose --task semantic" in " ".join(done.output.split())
    done = CliRunner().invoke(app, ["evaluate", *paths, "--task", "semantic", "--class", "²=cell"])
    assert "expected a label and its name" in " ".join(done.output.split())
