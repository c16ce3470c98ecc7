"""`napari-unet train`: runs, their data, splits, classes, and the suggested next commands."""

import json
import shlex
import signal
from pathlib import Path

import numpy as np
import pytest
from commands import SMALL, Cli, draw, table

from napari_unet import read_image, read_labels, write_image, write_labels
from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.models.model_file import read_info

KEYBOARD = signal.getsignal(signal.SIGINT)
"""Handler of Ctrl+C before the first test; none if the tests run in the background."""


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
    """Sparse objects need annotated areas; the suggested commands read the data the same way."""
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
    text = " ".join(result.stderr.split())
    assert "this class does not exist; the labels contain 0, 1, 2" in text
    line = f"train {{}} --out {{}} --steps 2 --from {{}} {options[19:]}"
    result = cli(line, data, tmp_path / "other", tmp_path / "run", code=1)
    assert "omit --intensity-range, --norm, --upsampling, or" in " ".join(result.stderr.split())


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
    assert "Resuming at step 5" in result.stdout
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


def test_a_resumed_run_keeps_its_settings(cli: Cli, run: Path) -> None:
    result = cli("train --resume {} --lr 0.1 --minutes 3", run, code=1)
    assert "omit --minutes, --lr." in result.stderr or "omit --lr, --minutes." in result.stderr
