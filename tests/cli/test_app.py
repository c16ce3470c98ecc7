"""The program as a whole: help, version, exit codes, and errors in one sentence."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Cli

from napari_unet.cli import app


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("train", "expected a folder of images with labels"),
        ("train nowhere", "nowhere"),
        ("train . --minutes 1 --steps 3", "expected exactly one"),
        ("train . --patch 30", "multiple of"),
        ("train . --lr -1", "learning_rate"),
        ("train . --class cell", "such as 1=cell"),
        ("train . --from nothing", "There is no model 'nothing'"),
        ("train --resume .", "contains no run"),
        ("train --resume . --out x", "omit --out."),
        ("train . --channels ,", "expected numbers or names"),
        ("predict nothing .", "There is no model 'nothing'"),
        (f"predict {'x' * 300} .", "There is no model 'xxx"),
        (f"evaluate {'x' * 300} .", "There is no file or folder 'xxx"),
        (f"train {'x' * 300}", "File name too long"),
        (f"train . --out {'x' * 300}", "No image with labels"),
        ("predict . .", "contains no best.safetensors"),
        ("train . --class-weight 2=x", "such as 2=0.5"),
        ("train . --intensity-range 5", "such as 0,4095"),
        ("train . --intensity-range 9,5", "the low value first"),
        ("train . --from x --norm none", "There is no model 'x'"),
        ("evaluate . . --tta --split all", "--split, --tta: allowed only with --model"),
        ("evaluate . --model x --task semantic", "--task: not allowed with --model"),
        ("evaluate .", "expected a prediction and its ground truth"),
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
