"""Preferences from napari, the environment or the defaults of the manifest."""

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import napari.settings
import pytest
import yaml

from napari_unet.gui.app.preferences import preferences

HAS_PREFERENCES = hasattr(napari.settings, "get_plugin_settings")

CHANGE_AND_READ = """
import json, napari.settings
from napari_unet.gui.app.preferences import preferences
before = preferences()
settings = napari.settings.get_plugin_settings("napari-unet-live")
settings.computing.device = "cpu"
settings.computing.block_px = 512
settings.computing.address = " tls://workstation:8786 "
settings.files.data_folder = "~/elsewhere"
after = preferences()
print(json.dumps([[p.device, p.address, str(p.data_folder), p.block_px] for p in (before, after)]))
"""


def defaults_of_manifest() -> dict[str, Any]:
    manifest = yaml.safe_load(files("napari_unet").joinpath("napari.yaml").read_text("utf-8"))
    return {
        name: declared["default"]
        for configuration in manifest["contributions"]["configurations"].values()
        for name, declared in configuration["properties"].items()
    }


@pytest.fixture
def older_napari(monkeypatch: pytest.MonkeyPatch) -> None:
    """A napari without preferences for plugins, in a clean environment."""
    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)
    for name in defaults_of_manifest():
        monkeypatch.delenv(f"NAPARI_UNET_{name.upper()}", raising=False)


@pytest.mark.usefixtures("older_napari")
def test_older_napari_gets_the_defaults_of_the_manifest() -> None:
    found = preferences()
    declared = defaults_of_manifest()
    assert declared.pop("data_folder") == ""
    assert {name: getattr(found, name) for name in declared} == declared
    assert found.data_folder.is_absolute()
    assert "napari-unet-live" in found.data_folder.parts


@pytest.mark.usefixtures("older_napari")
def test_environment_has_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAPARI_UNET_DEVICE", "cuda")
    monkeypatch.setenv("NAPARI_UNET_ADDRESS", "tcp://10.0.0.1:8786")
    monkeypatch.setenv("NAPARI_UNET_DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("NAPARI_UNET_BLOCK_PX", "2048")
    found = preferences()
    assert (found.device, found.address) == ("cuda", "tcp://10.0.0.1:8786")
    assert (found.data_folder, found.block_px) == (tmp_path, 2048)


@pytest.mark.usefixtures("older_napari")
@pytest.mark.parametrize("text", ["", "large", "0", "-5"])
def test_a_tile_size_that_is_no_number_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("NAPARI_UNET_BLOCK_PX", text)
    assert preferences().block_px == 1024


@pytest.mark.skipif(not HAS_PREFERENCES, reason="before napari 0.9 plugins have no preferences")
def test_what_is_set_in_napari_is_read_and_kept(tmp_path: Path) -> None:
    """Runs in separate processes, because napari keeps the settings of plugins in files."""
    environment = os.environ | {"NAPARI_CONFIG": str(tmp_path / "settings.yaml")}
    command = [sys.executable, "-c", CHANGE_AND_READ]
    results = []
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment, timeout=50
        )
        results.append(json.loads(done.stdout.splitlines()[-1]))
    changed = ["cpu", "tls://workstation:8786", str(Path("~/elsewhere").expanduser()), 512]
    (first, second), (kept, _) = results
    assert first[0] == "auto"
    assert second == changed
    assert kept == changed
