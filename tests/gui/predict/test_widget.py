"""The Predict widget with a compute process, used like by a user."""

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtWidgets import QApplication, QWidget

from napari_unet.core.datasets.training_set import training_set_pairs
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.io.image_files import read_labels, write_image
from napari_unet.core.models import catalogue
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model, model_hash, save_model
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.settings import Budget, TrainingSettings
from napari_unet.gui.layers import METADATA_KEY
from napari_unet.gui.predict.inputs import read_input
from napari_unet.gui.predict.widget import PredictWidget

pytestmark = pytest.mark.usefixtures("own_session")

PATIENCE_MS = 50_000
LABELS = np.zeros((96, 96), np.uint16)
LABELS[20:32, 10:24], LABELS[60:76, 50:66] = 1, 2


def squares(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(100, 10, LABELS.shape)
    return (noise + 300 * (LABELS > 0)).astype(np.uint16)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was trained to find bright squares."""
    from napari_unet.core.training.training import train

    folder = tmp_path_factory.mktemp("model")
    settings = TrainingSettings(
        budget=Budget(steps=250),
        average_decay=0.9,
        depth=1,
        base_channels=8,
        patch_px=48,
        batch_size=2,
        learning_rate=0.01,
        validation_fraction=0,
        device="cpu",
        precision="float32",
    )
    pairs = [Pair(Image(squares(1), "YX", name="squares"), LABELS)]
    for _ in train(pairs, Instances(), folder / "run", settings, name="squares"):
        pass
    trained = load_model(folder / "run" / "last.safetensors")
    info = trained.info.model_copy(update={"pixel_size_um": (0.5, 0.5)})
    save_model(folder / "squares.safetensors", type(trained)(info, trained.weights))
    return folder / "squares.safetensors"


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def widget(viewer: ViewerModel, model: Path, qtbot: Any) -> PredictWidget:
    widget = PredictWidget(PublicOnlyProxy(viewer))  # as napari hands it in
    qtbot.addWidget(widget.native)
    widget.model.choose(model)
    return widget


def labels_of(viewer: ViewerModel) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def wait_for_features(qtbot: Any, layer: Labels, rows: int) -> None:
    qtbot.waitUntil(lambda: len(layer.features) == rows, timeout=PATIENCE_MS)


def test_an_image_becomes_labels_with_measurements_and_a_record(
    viewer: ViewerModel, widget: PredictWidget, finish: Any, model: Path, qtbot: Any
) -> None:
    image = viewer.add_image(squares(2), name="cells", scale=(0.5, 0.5), units="micrometer")
    widget.more.probabilities.value = True
    finish()
    (labels,) = labels_of(viewer)
    assert labels.data.max() == 2
    assert ((labels.data > 0) == (LABELS > 0)).mean() > 0.97
    assert "2 objects" in widget.message.text
    assert tuple(labels.scale) == tuple(image.scale)
    wait_for_features(qtbot, labels, 2)
    columns = {"index", "area_px", "area_um2", "centroid_y", "centroid_x", "confidence"}
    assert columns <= set(labels.features.columns)
    assert labels.features["mean_0"].to_numpy() == pytest.approx(400, abs=20)
    assert labels.features["area_um2"].sum() == pytest.approx((labels.data > 0).sum() / 4)
    record = labels.metadata["napari-unet"]
    assert record["model_sha256"] == model_hash(model)
    assert (record["model_name"], record["image"]) == ("squares", "cells")
    assert record["task"]["decoder"]["threshold"] == 0.5
    probability = viewer.layers["cells probability"]
    assert isinstance(probability, ImageLayer)
    assert probability.data[68, 58] > 0.5 > probability.data[0, 0]
    assert widget.image.layer is image


def test_an_empty_result_is_no_success(
    viewer: ViewerModel, widget: PredictWidget, finish: Any, tmp_path: Path, qtbot: Any
) -> None:
    viewer.add_image(np.zeros((80, 80), np.uint8), name="dark")
    finish()
    assert widget.message.text.startswith("No objects were found in 'dark")
    assert widget.message.kind == "warning"

    from napari_unet.core.models.unet import UNet  # torch is not loaded with this file

    unet = UNetConfig(depth=1, base_channels=2)
    network = UNet(unet)
    network.head.weight.data.zero_()
    network.head.bias.data.fill_(-9)
    classes = Semantic(
        classes=(ClassInfo(id=0, name="rest", background=True), ClassInfo(id=1, name="gland"))
    )
    info = ModelInfo(unet=unet, task=classes, normalization=Normalization())
    save_model(tmp_path / "glands.safetensors", Model(info, network.state_dict()))
    widget.model.choose(tmp_path / "glands.safetensors")
    finish()
    qtbot.waitUntil(lambda: widget.message.kind == "warning", timeout=PATIENCE_MS)
    assert "is 'rest'" in widget.message.text


def test_sliders_act_on_the_result_in_place_without_the_network(
    viewer: ViewerModel, widget: PredictWidget, finish: Any, qtbot: Any
) -> None:
    viewer.add_image(squares(2), name="cells")
    finish()
    (labels,) = labels_of(viewer)
    widget.decoding["min_area_px"].value = 210
    qtbot.waitUntil(lambda: labels.data.max() == 1, timeout=PATIENCE_MS)
    assert labels_of(viewer) == [labels]
    wait_for_features(qtbot, labels, 1)
    assert labels.metadata["napari-unet"]["task"]["decoder"]["min_area_px"] == 210
    widget.decoding["min_area_px"].value = 10
    qtbot.waitUntil(lambda: labels.data.max() == 2, timeout=PATIENCE_MS)
    before = (labels.data > 0).sum()
    widget.decoding["threshold"].value = 0.95
    qtbot.waitUntil(lambda: (labels.data > 0).sum() < before, timeout=PATIENCE_MS)


def test_a_result_that_a_person_edited_is_never_written_again(
    viewer: ViewerModel, widget: PredictWidget, finish: Any, qtbot: Any
) -> None:
    viewer.add_image(squares(2), name="cells")
    finish()
    (edited,) = labels_of(viewer)
    edited.paint((90, 5), 7)
    mine = edited.data.copy()
    widget.decoding["min_area_px"].value = 210
    qtbot.waitUntil(lambda: len(labels_of(viewer)) == 2, timeout=PATIENCE_MS)
    other = labels_of(viewer)[1]
    assert other.data.max() == 1
    assert (edited.data == mine).all()
    assert "edited" in widget.message.text
    widget.decoding["min_area_px"].value = 10
    qtbot.waitUntil(lambda: other.data.max() == 2, timeout=PATIENCE_MS)
    assert len(labels_of(viewer)) == 2
    assert (edited.data == mine).all()


def test_a_slider_that_is_moved_in_mid_run_counts(
    viewer: ViewerModel, widget: PredictWidget, qtbot: Any
) -> None:
    viewer.add_image(squares(2), name="cells")
    widget.predict()
    widget.decoding["min_area_px"].value = 210
    qtbot.waitUntil(lambda: [x.data.max() for x in labels_of(viewer)] == [1], timeout=PATIENCE_MS)
    assert labels_of(viewer)[0].metadata["napari-unet"]["task"]["decoder"]["min_area_px"] == 210


def test_sliders_of_another_model_leave_a_result_alone(
    viewer: ViewerModel, widget: PredictWidget, model: Path, tmp_path: Path, qtbot: Any
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(model.read_bytes())
    viewer.add_image(squares(2), name="cells")
    widget.predict()
    widget.model.choose(other)  # while the first one works
    widget.decoding["min_area_px"].value = 210
    qtbot.waitUntil(lambda: not widget.run.busy, timeout=PATIENCE_MS)
    qtbot.wait(300)  # longer than a slider waits
    (labels,) = labels_of(viewer)
    assert labels.data.max() == 2


def test_one_plane_of_a_movie_lies_on_that_plane(
    viewer: ViewerModel, widget: PredictWidget, finish: Any
) -> None:
    movie = np.stack([squares(1), np.zeros_like(squares(1)), squares(3)])
    image = viewer.add_image(movie, name="movie", axis_labels=["t", "y", "x"], scale=(5, 1, 1))
    widget.scope.value = "plane"
    viewer.dims.set_current_step(0, 2)
    finish()
    (labels,) = labels_of(viewer)
    assert labels.data.shape == (1, 96, 96)
    assert labels.data.max() == 2
    world = labels.data_to_world((0, 3, 4))
    assert world == pytest.approx(image.data_to_world((2, 3, 4)))
    assert labels.metadata["napari-unet"]["position"] == {"T": 2}
    widget.scope.value = "stack"
    finish()
    whole = labels_of(viewer)[1]
    assert whole.data.shape == movie.shape
    assert sorted(np.unique(whole.data)) == [0, 1, 2, 3, 4]
    assert not whole.data[1].any()


def test_all_selected_layers_are_predicted_each_into_its_own(
    viewer: ViewerModel, widget: PredictWidget, finish: Any, qtbot: Any
) -> None:
    layers = [viewer.add_image(squares(i), name=f"field {i}") for i in range(3)]
    widget.scope.value = "selected"
    viewer.layers.selection = set(layers[:2])
    finish()
    assert [x.name for x in labels_of(viewer)] == ["field 0 nuclei", "field 1 nuclei"]
    widget.decoding["min_area_px"].value = 210
    qtbot.waitUntil(
        lambda: [x.data.max() for x in labels_of(viewer)] == [1, 1], timeout=PATIENCE_MS
    )


def test_a_click_reads_each_layer_once(
    viewer: ViewerModel, widget: PredictWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [viewer.add_image(squares(i), name=f"field {i}") for i in range(3)]
    widget.scope.value = "selected"
    viewer.layers.selection = set(layers)
    read: list[str] = []

    def counted(viewer: Any, form: Any, layer: ImageLayer) -> Any:
        read.append(layer.name)
        return read_input(viewer, form, layer)

    monkeypatch.setattr("napari_unet.gui.predict.widget.read_input", counted)
    monkeypatch.setattr(widget.run, "start", lambda _form, results: read.append(str(len(results))))
    widget.predict()
    assert read == ["field 0", "field 1", "field 2", "3"]


def test_what_is_wrong_is_said_before_and_nothing_is_started(
    viewer: ViewerModel, widget: PredictWidget, qtbot: Any
) -> None:
    assert "No image is open" in widget.check()
    widget.predict()
    assert not widget.run.busy
    viewer.add_image(np.zeros((2, 20, 20)), name="two", axis_labels=["c", "y", "x"])
    qtbot.waitUntil(lambda: "2 channel(s)" in widget.message.text, timeout=PATIENCE_MS)
    assert not widget.run_button.enabled
    widget.more.channels.value = "1"
    qtbot.waitUntil(lambda: widget.run_button.enabled, timeout=PATIENCE_MS)
    widget.more.axes.value = "ZY"
    assert "one letter per dimension" in widget.check()


def test_another_pixel_size_is_said_and_mended_with_one_click(
    viewer: ViewerModel, widget: PredictWidget, finish: Any
) -> None:
    large = squares(2).repeat(2, axis=0).repeat(2, axis=1)
    viewer.add_image(large, name="large", scale=(0.25, 0.25), units="micrometer")
    widget.check()
    assert "0.25 µm" in widget.offer.text
    widget.rescale_button.native.click()
    assert widget.more.scale.value == 0.5
    widget.check()
    assert widget.offer.text == ""
    assert "resized by 0.5" in widget.message.text
    finish()
    (labels,) = labels_of(viewer)
    assert labels.data.shape == large.shape
    assert labels.data.max() == 2
    assert labels.metadata["napari-unet"]["scale"] == 0.5


def test_an_image_that_is_gone_or_renamed_in_mid_run_does_no_harm(
    viewer: ViewerModel, widget: PredictWidget, qtbot: Any
) -> None:
    gone, renamed = (viewer.add_image(squares(i), name=f"field {i}") for i in range(2))
    widget.scope.value = "selected"
    viewer.layers.selection = {gone, renamed}
    widget.predict()
    viewer.layers.remove(gone)
    renamed.name = "other"
    qtbot.waitUntil(lambda: not widget.run.busy, timeout=30_000)
    assert [layer.data.max() for layer in labels_of(viewer)] == [2, 2]
    viewer.layers.remove(labels_of(viewer)[0])
    widget.decoding["min_area_px"].value = 210
    qtbot.waitUntil(lambda: labels_of(viewer)[0].data.max() == 1, timeout=PATIENCE_MS)
    assert len(labels_of(viewer)) == 1


def test_a_stopped_prediction_says_so_and_adds_nothing(
    viewer: ViewerModel, widget: PredictWidget, qtbot: Any
) -> None:
    viewer.add_image(np.tile(squares(1), (200, 1, 1)), axis_labels=["t", "y", "x"], name="long")
    widget.predict()
    assert widget.progress.running
    qtbot.waitUntil(lambda: widget.progress._bar.value() > 0, timeout=30_000)
    widget.progress.stopped.emit()
    qtbot.waitUntil(lambda: not widget.run.busy, timeout=PATIENCE_MS)
    assert "stopped" in widget.message.text
    assert labels_of(viewer) == []
    assert not widget.progress.running


def test_a_folder_gives_the_files_of_the_command_line(
    widget: PredictWidget, finish: Any, tmp_path: Path, model: Path
) -> None:
    from typer.testing import CliRunner

    from napari_unet.cli import app
    from napari_unet.cli.console import FAILED

    for i in range(2):
        write_image(tmp_path / "in" / f"{i}.tif", Image(squares(i), "YX"))
    (tmp_path / "in" / "bad.tif").write_bytes(b"no image")
    widget.scope.value = "folder"
    widget.folders.source.line_edit.value = str(tmp_path / "in")
    widget.folders.out.line_edit.value = str(tmp_path / "out")
    finish()
    assert "2 images predicted, 4 objects" in widget.message.text
    assert "1 failed; bad.tif" in widget.message.text
    command = shlex.split(_copied(widget, "command"))
    command[command.index("--out") + 1] = str(tmp_path / "cli")
    assert CliRunner().invoke(app, command[1:]).exit_code == FAILED  # one file is bad
    names = sorted(p.name for p in (tmp_path / "cli").iterdir())
    assert names == sorted(p.name for p in (tmp_path / "out").iterdir())
    for name in names:
        ours, theirs = tmp_path / "out" / name, tmp_path / "cli" / name
        assert ours.read_bytes() == theirs.read_bytes()


def _copied(widget: PredictWidget, what: str) -> str:
    button = getattr(widget.reproduce, what)
    button.native.click()
    assert widget.reproduce.message.kind == "good", widget.reproduce.message.text
    return QApplication.clipboard().text()


def test_what_is_copied_reproduces_the_result(
    viewer: ViewerModel,
    widget: PredictWidget,
    finish: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "cells.tif"
    write_image(path, Image(squares(2), "YX", pixel_size=PixelSize((0.5, 0.5))))
    viewer.open(path, plugin="napari")
    finish()
    (labels,) = labels_of(viewer)
    monkeypatch.chdir(tmp_path)
    exec(_copied(widget, "python"), {})
    assert (read_labels(tmp_path / "cells_labels.tif") == labels.data).all()
    assert f"predict {shlex.quote(str(widget.model.path))} {path}" in _copied(widget, "command")
    assert "'squares' (SHA-256" in _copied(widget, "methods")
    widget.image.layer = viewer.add_image(squares(3), name="drawn")
    viewer.layers.remove(labels)
    widget.run.forget()
    widget.reproduce.command.native.click()
    assert "not saved in a file" in widget.reproduce.message.text


def test_corrected_labels_are_stored_to_be_learnt_from(
    viewer: ViewerModel, widget: PredictWidget, finish: Any, tmp_path: Path, qtbot: Any
) -> None:
    movie = np.stack([squares(1), squares(3)])
    viewer.add_image(movie, name="movie", axis_labels=["t", "y", "x"])
    widget.retrain.add.native.click()
    assert "select a corrected Labels layer" in widget.retrain.message.text
    widget.scope.value = "plane"
    viewer.dims.set_current_step(0, 1)
    finish()
    (labels,) = labels_of(viewer)
    labels.data[0, 0, 0] = 9
    viewer.layers.selection.active = labels
    widget.retrain.add.native.click()
    qtbot.waitUntil(
        lambda: "1 image in the set" in widget.retrain.message.text, timeout=PATIENCE_MS
    )
    (pair,) = training_set_pairs(tmp_path / "data" / "training_set")
    assert (pair.name, pair.group) == ("movie_T1", "movie")
    assert (np.asarray(pair.image.data) == movie[1]).all()
    assert (pair.labels == labels.data[0]).all()
    kept = np.array(labels.data)
    errors = viewer.add_labels(np.full_like(movie, 3), name="errors of movie")
    errors.metadata[METADATA_KEY] = {"kind": "errors"}
    assert viewer.layers.selection.active is errors
    widget.retrain.add.native.click()
    qtbot.waitUntil(lambda: widget.retrain.add.enabled, timeout=PATIENCE_MS)
    (pair,) = training_set_pairs(tmp_path / "data" / "training_set")
    assert (pair.labels == kept[0]).all(), "errors are no labels"
    own = viewer.add_labels(np.stack([LABELS, LABELS]), name="by hand")
    viewer.layers.selection.active = own
    widget.retrain.add.native.click()
    qtbot.waitUntil(
        lambda: "2 images in the set" in widget.retrain.message.text, timeout=PATIENCE_MS
    )
    assert "starting from 'squares'" in widget.retrain.message.text
    opened: list[Any] = []
    widget.retrain._open_train = lambda *what: opened.append(what)
    widget.retrain.train.native.click()
    assert opened == [(tmp_path / "data" / "training_set", widget.model.path)]


def test_labels_drawn_by_hand_are_stored_without_any_model(
    viewer: ViewerModel, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "nothing")
    widget = PredictWidget(PublicOnlyProxy(viewer))
    qtbot.addWidget(widget.native)
    assert widget.model.path is None
    viewer.add_image(squares(1), name="cells")
    viewer.add_labels(LABELS, name="by hand")  # selected, as what was added last
    widget.retrain.add.native.click()
    qtbot.waitUntil(
        lambda: "1 image in the set now. Train on it." in widget.retrain.message.text,
        timeout=PATIENCE_MS,
    )
    (pair,) = training_set_pairs(tmp_path / "data" / "training_set")
    assert (pair.labels == LABELS).all()


def test_a_newcomer_sees_seven_controls_at_most(
    viewer: ViewerModel, widget: PredictWidget, qtbot: Any
) -> None:
    from qtpy.QtWidgets import QAbstractSlider, QCheckBox, QComboBox, QLineEdit, QPushButton

    viewer.add_image(squares(1))
    kinds = (QAbstractSlider, QCheckBox, QComboBox, QLineEdit, QPushButton)
    widget.native.resize(320, 1000)
    widget.native.show()
    for scope, most in (("stack", 6), ("folder", 7)):
        widget.scope.value = scope
        qtbot.wait(200)
        found = [x for kind in kinds for x in widget.native.findChildren(kind)]
        shown = [x for x in found if not x.visibleRegion().isEmpty() and not _is_part(x)]
        names = [type(x).__name__ for x in shown]
        assert 5 <= len(shown) <= most, names


def _is_part(widget: QWidget) -> bool:
    """Return whether it is no separate control: help, a scroll bar, a fold's title, a number."""
    parent = type(widget.parent()).__name__
    fold = getattr(widget, "isCheckable", lambda: False)() and "QCollapsible" in parent
    is_help = widget.accessibleName() == "Help"
    kind = type(widget).__name__
    return is_help or fold or _browses(widget) or "Scroll" in kind or "Spin" in parent


def _browses(button: QWidget) -> bool:
    return getattr(button, "text", lambda: "")() == "…"


def test_closing_it_in_mid_run_stops_the_job(viewer: ViewerModel, model: Path, qtbot: Any) -> None:
    viewer.add_image(np.tile(squares(1), (300, 1, 1)), axis_labels=["t", "y", "x"], name="long")
    widget = PredictWidget(viewer)
    widget.model.choose(model)
    widget.predict()
    job = widget.run._job
    assert job is not None
    widget.native.deleteLater()
    qtbot.waitUntil(lambda: job.status in ("stopping", "failed", "done"), timeout=PATIENCE_MS)
    end = time.monotonic() + 20
    while job.status == "stopping" and time.monotonic() < end:
        qtbot.wait(50)
    assert job.status == "failed"
    viewer.add_image(squares(2))  # nothing listens any more
    qtbot.wait(200)
    assert labels_of(viewer) == []


def test_it_comes_without_torch() -> None:
    import subprocess

    code = (
        "import sys, napari\n"
        "from napari.components import ViewerModel\n"
        "from qtpy.QtWidgets import QApplication\n"
        "app = QApplication([])\n"
        "viewer = ViewerModel()\n"
        "from napari_unet.gui.predict.widget import PredictWidget\n"
        "PredictWidget(viewer).native.show()\n"
        "app.processEvents()\n"
        "assert 'torch' not in sys.modules\n"
        "from napari_unet.gui.app.session import session\n"
        "session().engine.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
