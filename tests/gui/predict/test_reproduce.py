"""Reproduce copies the right run and names it."""

import shlex
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtWidgets import QApplication

from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.io.image_files import read_labels, write_image
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import model_hash, save_model
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.gui.predict.widget import PredictWidget

pytestmark = pytest.mark.usefixtures("own_session")

PATIENCE_MS = 50_000
CLASSES = (ClassInfo(id=0, name="nothing", background=True), ClassInfo(id=1, name="cell"))
BUTTONS = ("python", "command", "methods")


def pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 500, (32, 32)).astype(np.uint16)


def make_model(folder: Path, name: str, seed: int) -> Path:
    import torch

    from napari_unet.core.models.unet import UNet

    torch.manual_seed(seed)
    config = UNetConfig(depth=1, base_channels=2, out_channels=1)
    task = Semantic(classes=CLASSES)
    info = ModelInfo(unet=config, task=task, normalization=Normalization(), name=name)
    save_model(folder / f"{name}.safetensors", Model(info, UNet(config).state_dict()))
    return folder / f"{name}.safetensors"


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path]:
    """A model for layers, and another one for the folder."""
    return make_model(tmp_path, "first", 1), make_model(tmp_path, "second", 2)


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def widget(
    viewer: ViewerModel, models: tuple[Path, Path], tmp_path: Path, qtbot: Any
) -> PredictWidget:
    """The widget, with an image in the viewer and a folder of two files in its fields."""
    for i in range(2):
        write_image(tmp_path / "in" / f"{i}.tif", Image(pixels(i), "YX"))
    viewer.add_image(pixels(5), name="sample")
    widget = PredictWidget(viewer)
    qtbot.addWidget(widget.native)
    widget.model.choose(models[0])
    widget.folders.source.line_edit.value = str(tmp_path / "in")
    widget.folders.out.line_edit.value = str(tmp_path / "out")
    return widget


@pytest.fixture
def both(widget: PredictWidget, finish: Any, models: tuple[Path, Path]) -> PredictWidget:
    """The layer was predicted with one model, then the folder with the other."""
    finish()
    widget.scope.value = "folder"
    widget.model.choose(models[1])
    finish()
    return widget


def copied(widget: PredictWidget, what: str, kind: str = "good") -> str:
    getattr(widget.reproduce, what).native.click()
    assert widget.reproduce.message.kind == kind, widget.reproduce.message.text
    return str(QApplication.clipboard().text())


def test_after_a_folder_its_own_run_is_copied_not_the_layers(
    both: PredictWidget, viewer: ViewerModel, models: tuple[Path, Path], tmp_path: Path
) -> None:
    assert isinstance(viewer.layers.selection.active, Labels)  # the layer's result is selected
    first, second = models
    text = copied(both, "methods")
    assert f"'second' (SHA-256 {model_hash(second)})" in text
    assert "first" not in text
    said = both.reproduce.message.text
    assert "the last folder run: folder" in said
    assert "model 'second'" in said
    start = ["napari-unet", "predict", str(second), str(tmp_path / "in"), "--out"]
    assert shlex.split(copied(both, "command"))[:6] == [*start, str(tmp_path / "out")]
    script = copied(both, "python").replace(repr(str(tmp_path / "out")), repr(str(tmp_path / "x")))
    assert first.name not in script
    exec(script, {})
    for name in ("0_labels.tif", "1_labels.tif"):
        ours = read_labels(tmp_path / "out" / name)
        assert (read_labels(tmp_path / "x" / name) == ours).all()


@pytest.mark.parametrize("what", BUTTONS)
def test_a_form_that_was_changed_since_says_so(
    both: PredictWidget, models: tuple[Path, Path], tmp_path: Path, what: str
) -> None:
    both.model.choose(models[0])
    assert "second" in copied(both, what, "warning")
    assert "The form has changed since" in both.reproduce.message.text
    both.model.choose(models[1])
    assert both.reproduce.message.text == ""
    copied(both, what)
    both.folders.out.line_edit.value = str(tmp_path / "elsewhere")
    assert "elsewhere" not in copied(both, what, "warning")


def test_back_at_an_image_it_is_the_selected_result_else_what_ran_last(
    both: PredictWidget, viewer: ViewerModel, models: tuple[Path, Path], finish: Any
) -> None:
    both.scope.value = "stack"
    assert "'first' (SHA-256" in copied(both, "methods", "warning")  # the form has the second
    assert "the selected result: image 'sample', model 'first'" in both.reproduce.message.text
    viewer.layers.selection.active = viewer.layers["sample"]
    assert both.reproduce.message.text == ""  # it was about the other layer
    assert "'second' (SHA-256" in copied(both, "methods", "warning")
    assert "the last run: folder" in both.reproduce.message.text
    both.model.choose(models[0])
    finish()
    viewer.layers.selection.active = viewer.layers["sample"]
    assert "'first' (SHA-256" in copied(both, "methods")
    assert "the last run: image 'sample'" in both.reproduce.message.text
    both.image.layer = viewer.add_image(pixels(6), name="other")
    copied(both, "methods", "warning")
    assert "image 'sample'" in both.reproduce.message.text


def test_before_a_folder_was_predicted_it_is_what_the_form_would_do(
    widget: PredictWidget, finish: Any, models: tuple[Path, Path], tmp_path: Path
) -> None:
    finish()
    widget.scope.value = "folder"
    widget.model.choose(models[1])
    assert str(models[1]) in copied(widget, "command")
    assert "not predicted yet: folder" in widget.reproduce.message.text
    widget.folders.source.line_edit.value = ""
    widget.reproduce.command.native.click()
    assert "Choose the folder with the images." in widget.reproduce.message.text


def test_a_folder_of_which_nothing_was_predicted_takes_no_ones_place(
    both: PredictWidget, models: tuple[Path, Path], tmp_path: Path, finish: Any
) -> None:
    both.model.choose(models[0])
    finish()  # results already exist and are not replaced
    assert both.message.kind == "error"
    assert "'second' (SHA-256" in copied(both, "methods", "warning")


def test_a_folder_run_that_was_stopped_is_the_run_of_its_files(
    both: PredictWidget, models: tuple[Path, Path], tmp_path: Path, qtbot: Any
) -> None:
    for i in range(150):
        write_image(tmp_path / "many" / f"{i:03}.tif", Image(pixels(i), "YX"))
    both.folders.source.line_edit.value = str(tmp_path / "many")
    both.folders.out.line_edit.value = str(tmp_path / "some")
    both.model.choose(models[0])
    both.predict()
    qtbot.waitUntil(lambda: both.run._files_done > 0, timeout=PATIENCE_MS)
    both.progress.stopped.emit()
    qtbot.waitUntil(lambda: not both.run.busy, timeout=PATIENCE_MS)
    assert "stopped" in both.message.text
    assert not (tmp_path / "some" / "149_labels.tif").exists()
    assert "'first' (SHA-256" in copied(both, "methods")


def test_no_paragraph_mixes_two_models_of_one_name(
    both: PredictWidget, models: tuple[Path, Path], tmp_path: Path
) -> None:
    make_model(tmp_path, "second", 3)  # trained again, over the old one
    for what in BUTTONS:
        getattr(both.reproduce, what).native.click()
        assert "no longer contains the model that was used" in both.reproduce.message.text


def test_what_was_copied_before_is_not_left_behind_when_nothing_is_copied(
    widget: PredictWidget, viewer: ViewerModel, tmp_path: Path
) -> None:
    write_image(tmp_path / "saved.tif", Image(pixels(7), "YX"))
    (saved,) = viewer.open(tmp_path / "saved.tif", plugin="napari")
    widget.image.layer = saved
    assert "saved.tif" in copied(widget, "command")
    widget.image.layer = viewer.layers["sample"]
    assert widget.reproduce.message.text == ""
    assert copied(widget, "command", "warning") == ""
    text = widget.reproduce.message.text
    assert text.startswith("Nothing was copied. 'sample' is not saved in a file")
    assert "The earlier copy was removed from the clipboard" in text
    widget.image.layer = saved
    assert widget.reproduce.message.text == ""
    QApplication.clipboard().setText("a person's own")
    widget.image.layer = viewer.layers["sample"]
    assert copied(widget, "command", "warning") == "a person's own"


def test_a_script_that_needs_the_layer_says_where_to_run_it(
    widget: PredictWidget,
    viewer: ViewerModel,
    finish: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finish()
    script = copied(widget, "python")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(napari, "current_viewer", lambda: None)
    with pytest.raises(SystemExit, match=r"^Run this in napari's console"):
        exec(script, {})
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    exec(script, {})
    labels = viewer.layers["sample classes"]
    assert (read_labels(tmp_path / "sample_labels.tif") == labels.data).all()
