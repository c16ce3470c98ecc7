"""The command line end to end: on a tiny folder of drawn nuclei."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_unet import Image, PixelSize, read_image, read_labels, write_image, write_labels
from napari_unet.cli import app
from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.datasets.synthetic import synthetic_dataset
from napari_unet.core.images.units import um_per_px
from napari_unet.core.models.model_file import read_info

PIXEL_UM = (0.25, 0.25)
KEYBOARD = signal.getsignal(signal.SIGINT)
"""What Ctrl+C does before the first test; nothing, where the tests run in the background."""
SMALL = "--patch 32 --batch 4 --base-channels 8 --depth 2 --augmentation none --threads 1"


class Cli:
    """Runs commands in this process."""

    def __call__(self, line: str, *paths: Path | str, code: int = 0):
        arguments = [*shlex.split(line.format(*(shlex.quote(str(p)) for p in paths)))]
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result


@pytest.fixture(scope="module")
def cli() -> Cli:
    return Cli()


def draw(folder: Path, n: int, seed: int = 0) -> Path:
    size = PixelSize(PIXEL_UM)
    drawn = synthetic_dataset(n, shape=(64, 80), n=(4, 7), diameter_px=(12, 18), seed=seed)
    for i, (image, labels) in enumerate(drawn):
        write_image(folder / "images" / f"cell_{i}.tif", Image(image, "YX", pixel_size=size))
        write_labels(folder / "masks" / f"cell_{i}.tif", labels, pixel_size=size)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("data"), 5)


@pytest.fixture(scope="module")
def run(cli: Cli, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned to see nuclei."""
    folder = tmp_path_factory.mktemp("runs") / "nuclei"
    cli(f"train {{}} --out {{}} --steps 100 --epoch-steps 50 --lr 0.01 {SMALL}", data, folder)
    return folder


@pytest.fixture(scope="module")
def results(cli: Cli, run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "out"
    cli("predict {} {} --out {} --probability", run, data / "images", folder)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    import csv

    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# -- train ---------------------------------------------------------------------------------------


def test_a_run_leaves_models_curves_and_history(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {"best.safetensors", "last.safetensors", "curves.png", "history.csv"} <= names
    assert len(table(run / "history.csv")) == 2


def test_training_says_what_it_does_and_what_to_type_next(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    result = cli(f"train {{}} --out {{}} --steps 2 {SMALL}", data, tmp_path / "run")
    assert "5 image(s) with labels" in result.stdout
    assert "2 steps on cpu" in result.stdout
    assert f"napari-unet predict {tmp_path / 'run'} IMAGES" in result.stdout
    assert "AP at IoU 0.5" in result.stdout
    assert "epoch   1" in result.stderr


def test_only_parts_of_images_can_be_annotated_and_the_next_commands_say_so(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    """Sparse objects need areas; what is to be typed next reads the data in the same way."""
    area = np.zeros((64, 80), np.uint8)
    area[:, :60] = 1
    for i in range(5):
        write_labels(tmp_path / "areas" / f"cell_{i}.tif", area)
    line = f"train {{}} --out {{}} --sparse --steps 2 --channels 0 --repair fragments {SMALL}"
    result = cli(line, data, tmp_path / "none", code=1)
    assert "no annotated area" in " ".join(result.stderr.split())
    result = cli(f"{line} --annotated {{}}", data, tmp_path / "run", tmp_path / "areas")
    assert "5 image(s) with labels, 5 with an annotated area" in result.stdout
    assert f"predict {tmp_path / 'run'} IMAGES --channels 0 --out results" in result.stdout
    next_line = next(x for x in result.stdout.splitlines() if "napari-unet evaluate" in x)
    assert f"--channels 0 --repair fragments --annotated {tmp_path / 'areas'}" in next_line
    command = shlex.split(next_line.strip())[1:]
    cli(shlex.join([*command[:-1], str(tmp_path / "scores")]))
    assert (tmp_path / "scores" / "scores.csv").exists()


def test_network_intensities_and_class_weights_can_be_set(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    for i in range(5):
        labels = read_labels(data / "masks" / f"cell_{i}.tif")
        write_labels(tmp_path / "data" / "masks" / f"cell_{i}.tif", np.minimum(labels, 2))
        image = read_image(data / "images" / f"cell_{i}.tif")
        write_image(tmp_path / "data" / "images" / f"cell_{i}.tif", image)
    line = f"train {{}} --out {{}} --task semantic --steps 2 {SMALL} --class 2=second"
    options = "--class-weight 2=5 --norm none --upsampling resize --intensity-range 10,200"
    cli(f"{line} {options}", tmp_path / "data", tmp_path / "run")
    info = read_info(tmp_path / "run" / "last.safetensors")
    assert info.task.class_weights == (1, 1, 5)
    assert (info.unet.norm, info.unet.upsampling) == ("none", "resize")
    assert info.normalization.manual == (10, 200)
    result = cli(f"{line} --class-weight 7=2", tmp_path / "data", tmp_path / "other", code=1)
    assert "there is no such class, the labels hold 0, 1, 2" in " ".join(result.stderr.split())
    line = f"train {{}} --out {{}} --steps 2 --from {{}} {options[19:]}"
    result = cli(line, data, tmp_path / "other", tmp_path / "run", code=1)
    assert "leave --intensity-range, --norm, --upsampling out" in " ".join(result.stderr.split())


def test_training_as_json_prints_nothing_else(cli: Cli, data: Path, tmp_path: Path) -> None:
    result = cli(f"train {{}} --out {{}} --steps 2 --json {SMALL}", data, tmp_path / "run")
    values = json.loads(result.stdout)
    assert values["steps"] == 2
    assert values["reason"] == "completed"
    assert Path(values["best_model"]).is_file()
    assert 0 <= values["scores"]["ap50_by_image"] <= 1


def test_training_continues_where_it_was_stopped(cli: Cli, data: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    options = f"--steps 12 --epoch-steps 4 {SMALL}"
    cli(f"train {{}} --out {{}} {options}", data, tmp_path / "whole")
    with stopping_after(5):
        stopped = cli(f"train {{}} --out {{}} {options}", data, tmp_path / "two", code=130)
    assert f"napari-unet train --resume {tmp_path / 'two'}" in stopped.stdout
    result = cli("train --resume {}", tmp_path / "two")
    assert "Going on from step 5" in result.stdout
    whole, two = (load_file(tmp_path / n / "last.safetensors") for n in ("whole", "two"))
    assert all(np.array_equal(whole[name], two[name]) for name in whole)


class stopping_after:  # noqa: N801
    """Press Ctrl-C after some steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __enter__(self) -> None:
        from napari_unet.cli import training_run

        self._module, self._real = training_run, training_run._advance
        seen = 0

        def advance(*args) -> None:
            nonlocal seen
            seen += 1
            if seen == self.steps:
                signal.raise_signal(signal.SIGINT)
            self._real(*args)

        training_run._advance = advance

    def __exit__(self, *args: object) -> None:
        self._module._advance = self._real


def test_the_keyboard_works_as_before_after_a_run(run: Path) -> None:
    assert signal.getsignal(signal.SIGINT) is KEYBOARD


def test_a_run_whose_data_moved_says_what_to_do(cli: Cli, data: Path, tmp_path: Path) -> None:
    import shutil

    old = Path(shutil.copytree(data, tmp_path / "old"))
    cli(f"train {{}} --out {{}} --steps 4 {SMALL}", old, tmp_path / "run")
    new = old.rename(tmp_path / "new")
    result = cli("train --resume {}", tmp_path / "run", code=1)
    assert "no longer at" in result.stderr
    assert "napari-unet train DATA --resume" in result.stderr
    result = cli("train {} --resume {}", new, tmp_path / "run")
    assert "Finished after 4 steps" in result.stdout


def test_fine_tuning_takes_the_network_over(
    cli: Cli, data: Path, run: Path, tmp_path: Path
) -> None:
    result = cli(
        "train {} --from {} --out {} --steps 2 --patch 32 --json",
        data, run, tmp_path / "tuned",
    )  # fmt: skip
    before = json.loads(cli("models show {} --json", run).stdout)["info"]
    after = json.loads(cli("models show {} --json", tmp_path / "tuned").stdout)["info"]
    assert after["unet"] == before["unet"]
    assert after["provenance"]["started_from"] == before["name"] == "nuclei"
    rates = [info["provenance"]["settings"]["learning_rate"] for info in (before, after)]
    assert rates == [0.01, 0.0005], "a trained network needs a gentle rate"
    dice = json.loads(result.stdout)["scores"]["dice_foreground_by_image"]
    assert dice == pytest.approx(before["scores"]["dice_foreground_by_image"], abs=0.1)


def test_a_preset_stands_for_many_settings_and_what_is_given_wins(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    line = f"train {{}} --preset thorough --patience 7 --out {{}} --steps 2 {SMALL}"
    cli(line.replace("--augmentation none", ""), data, tmp_path / "run")
    info = json.loads(cli("models show {} --json", tmp_path / "run").stdout)["info"]
    settings = info["provenance"]["settings"]
    assert settings["augmentation"] == Augmentation.preset("standard").model_dump(mode="json")
    assert (settings["budget"]["steps"], settings["budget"]["minutes"]) == (2, None)
    assert settings["patience"] == 7


def test_classes_are_named_and_trained(cli: Cli, tmp_path: Path) -> None:
    data = draw(tmp_path / "data", 3)
    for path in sorted((data / "masks").iterdir()):
        write_labels(path, np.where(read_labels(path) > 0, 7, 0))
    line = f"train {{}} --task semantic --class 7=cell --out {{}} --steps 2 --json {SMALL}"
    result = cli(line, data, tmp_path / "run")
    assert "mean_iou_with_background_pooled" in json.loads(result.stdout)["scores"]
    cli("predict {} {} --out {}", tmp_path / "run", data / "images", tmp_path / "out")
    (row, *_) = table(tmp_path / "out" / "summary.csv")
    assert int(row["area_px_background"]) + int(row["area_px_cell"]) == 64 * 80
    assert float(row["area_um2_cell"]) == int(row["area_px_cell"]) * 0.0625
    result = cli("evaluate --model {} {} --split all", tmp_path / "run", data)
    assert "Dice, cell" in result.stdout


def test_a_few_painted_pixels_are_trained_predicted_and_scored(cli: Cli, tmp_path: Path) -> None:
    data = draw(tmp_path / "data", 3)
    for path in sorted((data / "masks").iterdir()):
        painted = np.where(read_labels(path) > 0, 5, 2)
        painted[:, ::3] = 0
        write_labels(path, painted)
    classes = "--task semantic --sparse --background 2 --class 2=glass --class 5=cell"
    line = f"train {{}} {classes} --out {{}} --steps 2 {SMALL}"
    cli(line, data, tmp_path / "run")
    cli("predict {} {} --out {}", tmp_path / "run", data / "images", tmp_path / "out")
    assert set(np.unique(read_labels(tmp_path / "out" / "cell_0_labels.tif"))) <= {2, 5}
    line = f"evaluate {{}} {{}} {classes} --out {{}} --json"
    files = cli(line, tmp_path / "out", data / "masks", tmp_path / "scores")
    assert (tmp_path / "scores" / "comparison.png").is_file()
    assert {image["scored_px"] for image in json.loads(files.stdout)["images"]} == {64 * 53}
    model = cli("evaluate --model {} {} --split all --json", tmp_path / "run", data)
    summaries = [json.loads(result.stdout)["summary"] for result in (files, model)]
    assert summaries[0] == summaries[1]


def test_the_label_check_names_the_repair(cli: Cli, tmp_path: Path) -> None:
    data = draw(tmp_path / "data", 3)
    path = data / "masks" / "cell_0.tif"
    write_labels(path, np.where(read_labels(path) > 0, 255, 0))
    before = path.read_bytes()
    result = cli(f"train {{}} --out {{}} --steps 1 {SMALL}", data, tmp_path / "run")
    assert "Label check, 0_255: 'cell_0'" in result.stderr
    assert "--repair 0_255" in result.stderr
    repaired = f"train {{}} --repair 0_255 --out {{}} --steps 1 {SMALL}"
    assert "0_255" not in cli(repaired, data, tmp_path / "run2").stderr
    assert path.read_bytes() == before


def test_the_usual_split_warns_of_groups_on_both_sides(
    cli: Cli, data: Path, tmp_path: Path
) -> None:
    groups = tmp_path / "fields.csv"
    groups.write_text("id,field\n" + "".join(f"cell_{i},one\n" for i in range(5)))
    line = f"train {{}} --groups {{}} --split random42 --out {{}} --steps 1 {SMALL}"
    result = cli(line, data, groups, tmp_path / "run")
    assert "1 group(s) are on both sides" in result.stderr
    info = json.loads(cli("models show {} --json", tmp_path / "run").stdout)["info"]
    validated = [t["name"] for t in info["trained_on"] if t["role"] == "validation"]
    assert validated == [f"cell_{np.random.RandomState(42).permutation(5)[-1]}"]


def test_a_split_can_be_given_as_a_table(cli: Cli, data: Path, tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    sides = ["train", "validation", "train", "val", "train"]
    split.write_text("id,split\n" + "".join(f"cell_{i},{s}\n" for i, s in enumerate(sides)))
    cli(f"train {{}} --split {{}} --out {{}} --steps 1 {SMALL}", data, split, tmp_path / "run")
    info = json.loads(cli("models show {} --json", tmp_path / "run").stdout)["info"]
    validated = [t["name"] for t in info["trained_on"] if t["role"] == "validation"]
    assert validated == ["cell_1", "cell_3"]


# -- predict -------------------------------------------------------------------------------------


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
    assert "cut off" in values["failed"][0]["problem"]
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
    assert "2 times larger than it knows it. A scale of 0.5 fits. --rescale" in " ".join(
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
        ("--diameter auto --rescale", "exclude each other"),
        ("--diameter 0.1", "Check the object diameters"),
        ("--scale 2 --rescale", "exclude each other"),
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
    assert "finished are kept" in result.stdout
    assert [row["file"] for row in table(tmp_path / "out" / "summary.csv")] == [
        "cell_0.tif",
        "cell_1.tif",
    ]


# -- evaluate ------------------------------------------------------------------------------------


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
    assert "Written in place of earlier scores: " in again.stdout


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


def test_names_that_the_terminal_cannot_show_are_shown_as_far_as_it_can(
    data: Path, tmp_path: Path
) -> None:
    mask = tmp_path / "Łódź [b].tif"
    mask.write_bytes((data / "masks" / "cell_0.tif").read_bytes())
    odd = tmp_path / "models"
    odd.mkdir()
    (odd / "nuclei[v2] [b].safetensors").write_bytes(b"no model")
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "NAPARI_UNET_MODELS": str(odd)}
    for words in (["evaluate", str(mask), str(mask)], ["models"]):
        command = [sys.executable, "-m", "napari_unet", *words]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    assert b"nuclei[v2]" in done.stdout


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
    assert "other (truth)" in values["unmatched"]
    assert "cell_4 (prediction)" in values["unmatched"]
    assert "without a partner" in result.stderr


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


# -- models and demo -----------------------------------------------------------------------------


def test_own_models_are_listed_and_used_by_name(
    cli: Cli, run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path))
    (tmp_path / "mine.safetensors").write_bytes((run / "best.safetensors").read_bytes())
    (tmp_path / "mine.md").write_text("# Mine\n\nNuclei of my own.\n")
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    listed = {m["name"]: m for m in json.loads(cli("models --json").stdout)["models"]}
    assert listed["mine"]["origin"] == "own"
    assert "truncated" in listed["broken"]["problem"]
    shown = cli("models show mine").stdout
    assert "objects (nucleus), 1 channel(s)" in shown
    assert "Nuclei of my own." in shown
    cli("predict mine {} --out {}", data / "images" / "cell_0.tif", tmp_path / "out")


def test_a_model_goes_to_bioimage_io_and_comes_back(
    cli: Cli, run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    package, image = tmp_path / "cells.zip", data / "images" / "cell_0.tif"
    options = "--author 'A. User' --licence CC0-1.0 --cite 'A. User, 2020=10.1234/abc'"
    done = cli(f"models export {{}} --out {{}} --image {{}} {options}", run, package, image)
    assert "cells.zip passes the test of bioimageio.core" in done.stdout
    assert "is there already" in cli("models export {} --out {}", run, package, code=1).stderr
    assert "at hand as 'cells'" in cli("models import {} --name cells", package).stdout
    again = cli("models import {} --name cells --json", package)
    assert json.loads(again.stdout)["name"] == "cells-2"
    before, after = (
        json.loads(cli("models show {} --json", model).stdout) for model in (run, "cells")
    )
    assert after["info"] == before["info"]
    assert after["sha256"] == before["sha256"]


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


# -- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train", "name a folder of images with labels"),
        ("train nowhere", "nowhere"),
        ("train . --minutes 1 --steps 3", "expected exactly one"),
        ("train . --patch 30", "multiple of"),
        ("train . --lr -1", "learning_rate"),
        ("train . --class cell", "such as 1=cell"),
        ("train . --from nothing", "There is no model 'nothing'"),
        ("train --resume .", "holds no run"),
        ("train --resume . --out x", "leave --out out"),
        ("train . --channels ,", "expected numbers or names"),
        ("predict nothing .", "There is no model 'nothing'"),
        (f"predict {'x' * 300} .", "There is no model 'xxx"),
        (f"evaluate {'x' * 300} .", "There is no file or folder 'xxx"),
        (f"train {'x' * 300}", "File name too long"),
        (f"train . --out {'x' * 300}", "No image with labels"),
        ("predict . .", "holds no best.safetensors"),
        ("train . --class-weight 2=x", "such as 2=0.5"),
        ("train . --intensity-range 5", "such as 0,4095"),
        ("train . --intensity-range 9,5", "the low value first"),
        ("train . --from x --norm none", "There is no model 'x'"),
        ("evaluate . . --tta --split all", "--split, --tta: only together with --model"),
        ("evaluate . --model x --task semantic", "--task: not together with --model"),
        ("evaluate .", "expected a prediction and its truth"),
        ("evaluate . . --model x", "expected one folder"),
        ("evaluate nowhere .", "There is no file or folder 'nowhere'"),
        ("models show nothing", "There is no model 'nothing'"),
        ("models export nothing --out x.zip", "There is no model 'nothing'"),
        ("models import nothing.zip", "There is no package 'nothing.zip'"),
    ],
)
def test_user_errors_are_one_sentence(
    cli: Cli, line: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = cli(line, code=1)
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_has_an_exit_code_of_its_own(cli: Cli) -> None:
    assert "--bogus" in cli("train data --bogus", code=2).output
    assert "semantics" in cli("train data --task semantics", code=2).output


def test_the_version_is_said(cli: Cli) -> None:
    import napari_unet

    assert cli("--version").stdout == f"napari-unet {napari_unet.__version__}\n"


def test_python_runs_it_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "napari_unet", "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage: napari-unet " in done.stdout


def examples() -> list[str]:
    from napari_unet.cli import _EPILOG, demo, evaluate, models, predict, train

    texts = [_EPILOG, *(m.EPILOG for m in (train, predict, evaluate, models, demo))]
    return [line for text in texts for line in re.findall(r"`napari-unet (.+)`", text)]


@pytest.mark.parametrize("line", examples())
def test_examples_of_the_help_are_commands(line: str) -> None:
    import typer

    arguments = shlex.split(line)
    command = typer.main.get_command(app)
    while arguments and arguments[0] in getattr(command, "commands", {}):
        command = command.commands[arguments.pop(0)]
    context = command.make_context("napari-unet", arguments, resilient_parsing=False)
    assert context.args == [] or not hasattr(command, "commands")


def test_every_command_shows_examples_in_its_help(cli: Cli) -> None:
    for command in ("train", "predict", "evaluate", "demo", "models"):
        text = cli(f"{command} --help").stdout
        assert "Examples" in text
        assert f"napari-unet {command}" in text


def test_help_appears_at_once_without_heavy_imports() -> None:
    code = (
        "import sys; from napari_unet.cli import app\n"
        "heavy = {'torch', 'numpy', 'matplotlib', 'pydantic', 'zarr', 'dask'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_second_interrupt_breaks_off() -> None:
    from napari_unet.cli.console import stoppable

    with stoppable("Stopping") as should_stop:
        assert not should_stop()
        signal.raise_signal(signal.SIGTERM)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (65, "1 min 05 s"), (7800, "2 h 10 min"), (float("inf"), "?")],
)
def test_durations_are_read_at_a_glance(seconds: float, text: str) -> None:
    from napari_unet.cli.console import duration

    assert duration(seconds) == text


def test_a_resumed_run_keeps_its_settings(cli: Cli, run: Path) -> None:
    result = cli("train --resume {} --lr 0.1 --minutes 3", run, code=1)
    assert (
        "leave --minutes, --lr out" in result.stderr or "leave --lr, --minutes out" in result.stderr
    )


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
