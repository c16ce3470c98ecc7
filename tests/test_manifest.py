"""Manifest of the plugin: commands, menus, samples, icon and preferences."""

import subprocess
import sys
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

import npe2
import pytest
import yaml
from napari.utils.notifications import notification_manager

PLUGIN = "napari-unet-live"
TEXT = files("napari_unet").joinpath("napari.yaml").read_text("utf-8")
MANIFEST = npe2.PluginManifest.from_distribution(PLUGIN)
COMMANDS = {command.id: command for command in MANIFEST.contributions.commands or ()}
SAMPLES = [sample.key for sample in MANIFEST.contributions.sample_data or ()]
WIDGETS = {widget.display_name: widget for widget in MANIFEST.contributions.widgets or ()}

IMPORTS = """
import gc, importlib, sys, time
import napari, napari.window, npe2
napari.Viewer, napari.window.Window  # napari imports its parts on first access
names = [command.python_name for command in
         npe2.PluginManifest.from_distribution("napari-unet-live").contributions.commands]
gc.collect()
gc.freeze()  # exclude the collection of napari's own objects from the measurement
start = time.process_time()
for name in names:
    module, attribute = name.split(":")
    getattr(importlib.import_module(module), attribute)
print(time.process_time() - start)
print(sorted({"torch", "monai", "kornia", "pyqtgraph", "distributed"} & sys.modules.keys()))
"""


def test_npe2_finds_nothing_to_complain_about() -> None:
    command = [sys.executable, "-m", "npe2", "validate", PLUGIN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid!" in done.stdout
    assert "napari_unet" not in done.stderr, "no warning about ours"


def test_every_command_can_be_imported() -> None:
    MANIFEST.validate_imports()
    for command in COMMANDS.values():
        assert callable(npe2.manifest.utils.import_python_name(command.python_name))


def test_commands_import_quickly_and_without_the_heavy_libraries() -> None:
    """Measured in processor time, best of three, so that a busy machine does not matter."""
    seconds, heavy = [], ""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
        )
        first, heavy = done.stdout.splitlines()[-2:]
        seconds.append(float(first))
        if seconds[-1] < 0.3:
            break
    assert heavy == "[]"
    assert min(seconds) < 0.3


def test_three_widgets_by_their_everyday_names() -> None:
    assert list(WIDGETS) == ["Train", "Predict", "Evaluate"]


def test_menu_entries_are_where_napari_takes_them() -> None:
    from napari._app_model.constants._menus import is_menu_contributable

    declared = yaml.safe_load(TEXT)["contributions"]["menus"]
    assert [menu for menu in declared if not is_menu_contributable(menu)] == []


def test_icon_is_a_picture_in_the_package() -> None:
    package, _, resource = str(MANIFEST.icon).partition(":")
    root = ElementTree.fromstring(files(package).joinpath(resource).read_text("utf-8"))
    assert root.tag.endswith("svg")
    assert root.get("viewBox") == "0 0 64 64"


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    return make_napari_viewer(show=False)


@pytest.mark.parametrize(
    ("menu", "title"),
    [
        ("napari/layers/annotate", "Train (U-Net live)"),
        ("napari/layers/segment", "Train (U-Net live)"),
        ("napari/layers/segment", "Predict (U-Net live)"),
        ("napari/layers/measure", "Evaluate (U-Net live)"),
        ("napari/plugins/napari-unet-live", "Evaluate (U-Net live)"),
        ("napari/file/samples/napari-unet-live", "Synthetic nuclei"),
    ],
)
def test_menus_of_napari_show_the_entries(viewer: Any, menu: str, title: str) -> None:
    from napari._app_model import get_app_model

    items = get_app_model().menus.get_menu(menu)
    shown = [getattr(item, "title", None) or item.command.title for item in items]
    assert title in shown


@pytest.mark.parametrize("key", SAMPLES)
def test_every_sample_opens_and_names_its_licence(
    viewer: Any, dsb2018: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_UNET_DATA", str(dsb2018.parents[1]))
    notification_manager.records.clear()
    layers = viewer.open_sample(PLUGIN, key)
    about = layers[0].metadata["sample"]
    assert about["licence"]
    if key != "synthetic":
        shown = " ".join(record.message for record in notification_manager.records)
        assert about["licence"] in shown
        assert about["citation"] in shown


@pytest.mark.parametrize("name", list(WIDGETS))
def test_every_widget_opens(viewer: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unet.gui.app.session._EngineStart.start", lambda *_: None)
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    assert dock.name.startswith(name)
    assert widget is not None
