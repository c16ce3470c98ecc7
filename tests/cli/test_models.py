"""`napari-unet models`: the list, own models, and packages of bioimage.io."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from commands import Cli


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
    cli: Cli,
    run: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    adopting: Callable[[], AbstractContextManager[None]],
) -> None:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    package, image = tmp_path / "cells.zip", data / "images" / "cell_0.tif"
    options = "--author 'A. User' --licence CC0-1.0 --cite 'A. User, 2020=10.1234/abc'"
    with adopting():  # torch keeps a temporary folder
        done = cli(f"models export {{}} --out {{}} --image {{}} {options}", run, package, image)
    assert "cells.zip passes the test of bioimageio.core" in done.stdout
    assert "already exists" in cli("models export {} --out {}", run, package, code=1).stderr
    assert "available as 'cells'" in cli("models import {} --name cells", package).stdout
    again = cli("models import {} --name cells --json", package)
    assert json.loads(again.stdout)["name"] == "cells-2"
    before, after = (
        json.loads(cli("models show {} --json", model).stdout) for model in (run, "cells")
    )
    assert after["info"] == before["info"]
    assert after["sha256"] == before["sha256"]
