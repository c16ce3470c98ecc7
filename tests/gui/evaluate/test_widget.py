"""The Evaluate widget in use: choose, press, read, click, save."""

import csv
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils._proxies import PublicOnlyProxy
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog
from safetensors.numpy import save_file

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.evaluation.error_map import ERROR_CATEGORIES, ERROR_COLOURS
from napari_unet.core.images.fingerprint import image_hash
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import ModelInfo, TrainedOn
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.gui.evaluate.widget import EvaluateWidget
from napari_unet.gui.forms.table import Table
from napari_unet.gui.layers import METADATA_KEY, add_labels

pytestmark = pytest.mark.usefixtures("own_session")

SCALE = (0.5, 0.25)


@pytest.fixture
def viewer(qapp: object) -> ViewerModel:
    return ViewerModel()


def spoiled(truth: np.ndarray) -> np.ndarray:
    """Return a prediction with one object missed, one invented and the others one pixel off."""
    prediction = np.roll(truth, 1, axis=-1)
    prediction[prediction == truth.max()] = 0
    free = truth.shape[-1] - 6
    prediction[..., :6, free:] = 0
    prediction[..., :5, free + 1 :] = truth.max() + 5
    return prediction


def show(viewer: ViewerModel, planes: int = 0, **metadata: object) -> EvaluateWidget:
    """The widget, with image, ground truth and prediction in the viewer."""
    found = [synthetic_nuclei((96, 96), n=12, seed=i) for i in range(max(planes, 1))]
    image, truth = (np.stack([np.asarray(f) for f in part]) for part in zip(*found, strict=True))
    geometry: dict = {"scale": SCALE, "units": ("um", "um")}
    if planes:
        geometry = {"scale": (1, *SCALE), "axis_labels": ("t", "y", "x")}
    else:
        image, truth = image[0], truth[0]
    truth[..., :6, -6:] = 0
    source = viewer.add_image(image, name="cells", **geometry)
    viewer.add_labels(truth, name="drawn", **geometry)
    made = {"model_name": "m", **metadata}
    add_labels(viewer, source, spoiled(truth), name="predicted", metadata=made)
    return EvaluateWidget(PublicOnlyProxy(viewer))  # as napari hands it in


def run(widget: EvaluateWidget, qtbot: QtBot) -> None:
    assert widget.evaluate() is not None, widget.message
    qtbot.waitUntil(lambda: not widget.running, timeout=50_000)


def click(table: Table, place: int, qtbot: QtBot) -> None:
    index = table.view.model().index(place, 0)
    table.view.scrollTo(index)
    point = table.view.visualRect(index).center()
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=point)


@pytest.fixture
def widget(viewer: ViewerModel, qtbot: QtBot) -> EvaluateWidget:
    widget = show(viewer, model="gone.safetensors", layers=["cells"])
    qtbot.addWidget(widget.native)
    return widget


def test_a_newcomer_sees_seven_controls_and_the_layers_are_proposed(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    widget.native.resize(320, 800)
    widget.native.show()
    values = widget.values
    assert values.prediction is viewer.layers["predicted"]
    assert values.truth is viewer.layers["drawn"]
    assert values.image is viewer.layers["cells"]
    fields = widget.fields
    seen = [
        fields.source, fields.prediction, fields.truth, fields.image, fields.kind,
        fields.iou_threshold, widget.run, fields.annotated, fields.volumes, fields.empty_planes,
        fields.classes, fields.background, fields.sparse, fields.prediction_folder,
        fields.truth_folder, widget.save, widget.views,
    ]  # fmt: skip
    qtbot.waitUntil(widget.native.isVisible)
    assert sum(not w.native.visibleRegion().isEmpty() for w in seen) == 7
    widget.native.close()


def test_scores_errors_and_colours(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    run(widget, qtbot)
    layer, truth = widget.error_layer, viewer.layers["drawn"]
    assert layer is not None
    assert tuple(layer.scale) == SCALE
    assert layer.units == truth.units
    missed = ERROR_CATEGORIES.index("missed")
    lost = truth.data == truth.data.max()
    assert (layer.data[lost] == missed).any()
    colour = layer.colormap.map(np.array([missed]))[0][:3]
    expected = [int(ERROR_COLOURS["missed"][i : i + 2], 16) / 255 for i in (1, 3, 5)]
    np.testing.assert_allclose(colour, expected, atol=0.01)
    assert "objects, predicted" in widget.results.headline.text()
    assert {row["category"] for row in widget.results.objects.rows} >= {"missed", "invented"}
    assert all(row["category"] != "hit" for row in widget.results.objects.rows)
    widget.results.show_which.value = "all"
    assert any(row["category"] == "hit" for row in widget.results.objects.rows)
    shown = widget.results.thresholds.rows
    assert [row["IoU"] for row in shown] == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


def test_a_row_jumps_to_the_object(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    run(widget, qtbot)
    rows = widget.results.objects.rows
    place = next(i for i, row in enumerate(rows) if row["category"] == "missed")
    click(widget.results.objects, place, qtbot)
    row = rows[place]
    camera = viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera
    centre = camera.center[-2:]
    assert centre == pytest.approx((row["centroid_y"] * SCALE[0], row["centroid_x"] * SCALE[1]))
    assert viewer.layers["drawn"].selected_label == row["id"]
    assert viewer.layers.selection.active is viewer.layers["drawn"]


def test_planes_have_rows_that_jump(viewer: ViewerModel, qtbot: QtBot) -> None:
    widget = show(viewer, planes=3)
    qtbot.addWidget(widget.native)
    run(widget, qtbot)
    assert [row["plane"] for row in widget.results.images.rows] == ["0", "1", "2"]
    click(widget.results.images, 2, qtbot)
    assert viewer.dims.current_step[0] == 2
    rows = widget.results.objects.rows
    place = next(i for i, row in enumerate(rows) if row["plane"] == "1")
    click(widget.results.objects, place, qtbot)
    assert viewer.dims.current_step[0] == 1
    pooled = [dict(row) for row in widget.results.classes.rows]
    widget.results.over.value = "by_image"
    assert pooled != [dict(row) for row in widget.results.classes.rows]


@pytest.mark.parametrize("container", ["dask", "zarr", "multiscale", "int64", "bool"])
def test_whatever_holds_the_labels(
    viewer: ViewerModel, container: str, tmp_path: Path, qtbot: QtBot
) -> None:
    truth = np.zeros((64, 64), np.uint16)
    truth[8:24, 8:24], truth[40:56, 40:56] = 1, 2
    prediction = np.roll(truth, 1, axis=0)
    for name, data in (("prediction", prediction), ("truth", truth)):
        held: object = data
        if container == "dask":
            held = da.from_array(data, chunks=32)
        elif container == "zarr":
            held = zarr.create_array(str(tmp_path / name), data=data, chunks=(32, 32))
        elif container == "multiscale":
            held = [data, data[::2, ::2]]
        else:
            held = data.astype(container)
        viewer.add_labels(held, name=name)
    widget = EvaluateWidget(viewer)
    qtbot.addWidget(widget.native)
    widget.fields.prediction.layer = viewer.layers["prediction"]
    run(widget, qtbot)
    assert "AP 1.000" in widget.results.headline.text()
    assert widget.error_layer.data.shape == (64, 64)
    assert (widget.error_layer.data[9:24, 8:24] == ERROR_CATEGORIES.index("hit")).all()


def test_a_second_time_the_error_layer_is_renewed_unless_a_person_drew_in_it(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    run(widget, qtbot)
    first = widget.error_layer
    viewer.layers["predicted"].data[:] = 0
    run(widget, qtbot)
    assert widget.error_layer is first
    assert set(np.unique(first.data)) == {0, ERROR_CATEGORIES.index("missed")}
    first.paint((5, 5), 3)
    drawn = first.data.copy()
    run(widget, qtbot)
    assert widget.error_layer is not first
    np.testing.assert_array_equal(first.data, drawn)


def test_a_problem_is_shown_before_the_button_is_pressed(
    viewer: ViewerModel, widget: EvaluateWidget
) -> None:
    viewer.add_labels(np.zeros((9, 9), np.uint8), name="small")
    widget.fields.truth.layer = viewer.layers["small"]
    assert "(96, 96) and the ground truth 'small' (9, 9)" in widget.message
    assert widget.evaluate() is None
    widget.fields.truth.layer = viewer.layers["drawn"]
    assert widget.message == ""


def test_without_layers_a_sentence(viewer: ViewerModel, qtbot: QtBot) -> None:
    widget = EvaluateWidget(viewer)
    qtbot.addWidget(widget.native)
    assert widget.evaluate() is None
    assert widget.message.startswith("There is no prediction")
    viewer.add_labels(np.ones((9, 9), np.uint8))
    assert widget.evaluate() is None
    assert widget.message.startswith("There is no ground truth")


def test_a_choice_stays_when_layers_come_and_is_given_up_with_its_layer(
    viewer: ViewerModel, widget: EvaluateWidget
) -> None:
    other = viewer.add_labels(np.zeros((96, 96), np.uint8), name="other")
    assert widget.values.truth is viewer.layers["drawn"]
    widget.fields.truth.layer = other
    viewer.add_labels(np.zeros((96, 96), np.uint8), name="another")
    assert widget.values.truth is other
    viewer.layers.remove(other)
    assert widget.values.truth in list(viewer.layers)


def test_labels_of_another_image_are_not_proposed_as_truth(
    viewer: ViewerModel, qtbot: QtBot
) -> None:
    viewer.add_labels(np.zeros((40, 60), np.uint8), name="of another image")
    viewer.add_labels(np.zeros((64, 64), np.uint8), name="alone")
    widget = EvaluateWidget(viewer)
    qtbot.addWidget(widget.native)
    fields = widget.fields
    assert fields.prediction.layer is viewer.layers["alone"]
    assert fields.truth.layer is None
    viewer.add_labels(np.zeros((3, 64, 64), np.uint8), name="stack")
    assert fields.truth.layer is viewer.layers["alone"]


def test_a_table_that_cannot_be_saved_is_reported(
    widget: EvaluateWidget, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(widget, qtbot)
    target = tmp_path / "table.csv"
    target.mkdir()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    widget.results.classes.ask_and_save()
    assert str(target) in widget.message


def test_choosing_the_prediction_as_truth_proposes_another_prediction(
    viewer: ViewerModel, widget: EvaluateWidget
) -> None:
    widget.fields.truth.layer = viewer.layers["predicted"]
    assert widget.values.prediction is viewer.layers["drawn"]
    widget.fields.prediction.layer = viewer.layers["predicted"]
    assert "are both 'predicted'" in widget.message


def test_the_kind_of_labels_stays_as_chosen(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    predicted = viewer.layers["predicted"]
    predicted.metadata[METADATA_KEY] = {"kind": "prediction", "task": {"kind": "instances"}}
    widget.fields.prediction.layer = predicted
    assert widget.fields.kind.value == "instances"
    widget.fields.kind.value = "semantic"
    viewer.add_labels(np.zeros_like(predicted.data), name="another")
    assert widget.fields.kind.value == "semantic"
    widget.fields.prediction.layer = viewer.layers["drawn"]
    widget.fields.prediction.layer = predicted
    assert widget.fields.kind.value == "instances"


def test_an_error_of_the_worker_is_a_sentence(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    widget.fields.kind.value = "semantic"
    viewer.layers["drawn"].data[0, 0] = 60_000
    widget.fields.classes.value = "0=background, 1=cell"
    run(widget, qtbot)
    assert "class" in widget.message
    assert widget.error_layer is None
    assert widget.run.enabled


def test_layers_removed_in_the_middle_do_no_harm(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    assert widget.evaluate() is not None
    viewer.layers.remove(viewer.layers["drawn"])
    qtbot.waitUntil(lambda: not widget.running, timeout=50_000)
    assert widget.results.objects.rows
    click(widget.results.objects, 0, qtbot)
    widget.views.look("overlay")
    widget.views.look("back")


def test_views_show_what_was_compared_and_go_back(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    run(widget, qtbot)
    compared = {"cells", "drawn", "predicted"}
    before = [(layer.name, layer.visible) for layer in viewer.layers]
    colours = viewer.layers["drawn"].colormap
    grid = viewer.canvas.grid if hasattr(viewer, "canvas") else viewer.grid
    widget.views.look("side by side")
    assert grid.enabled
    assert {layer.name for layer in viewer.layers if layer.visible} == compared
    widget.views.look("overlay")
    assert not grid.enabled
    assert {layer.name for layer in viewer.layers if layer.visible} == compared
    assert viewer.layers["drawn"].colormap is not colours
    widget.views.look("errors")
    shown = {layer.name for layer in viewer.layers if layer.visible}
    assert shown == {"cells", "errors of predicted"}
    widget.views.look("back")
    assert [(layer.name, layer.visible) for layer in viewer.layers] == before
    assert viewer.layers["drawn"].colormap is colours


def test_notes_describe_a_known_image_and_copied_ground_truth(
    viewer: ViewerModel, tmp_path: Path, qtbot: QtBot
) -> None:
    model = tmp_path / "m.safetensors"
    widget = show(viewer, model=str(model), layers=["cells"])
    qtbot.addWidget(widget.native)
    seen = TrainedOn(
        name="a", group="a", role="training", sha256=image_hash(viewer.layers["cells"].data)
    )
    info = ModelInfo(
        unet=UNetConfig(out_channels=4),
        task=Instances(),
        normalization=Normalization(),
        name="mine",
        trained_on=(seen,),
    )
    header = {"napari_unet": info.model_dump_json()}
    save_file({"weight": np.zeros(1, np.float32)}, model, header)
    run(widget, qtbot)
    assert "The model 'mine' was trained on this image" in widget.results.notes.text
    assert "pixel by pixel" not in widget.results.notes.text
    predicted = viewer.layers["predicted"]
    copy = viewer.add_labels(predicted.data.copy(), name="copy", scale=SCALE)
    copy.metadata.update(predicted.metadata)
    widget.fields.truth.layer = copy
    run(widget, qtbot)
    assert "the same, pixel by pixel" in widget.results.notes.text
    assert "The ground truth 'copy' started as a prediction of 'm'" in widget.results.notes.text


def test_classes(viewer: ViewerModel, qtbot: QtBot) -> None:
    truth = np.ones((20, 20), np.uint8)
    truth[:8], truth[12:] = 2, 3
    prediction = truth.copy()
    prediction[8] = 2
    viewer.add_labels(truth, name="truth")
    viewer.add_labels(prediction, name="prediction")
    widget = EvaluateWidget(viewer)
    qtbot.addWidget(widget.native)
    widget.fields.kind.value = "semantic"
    widget.fields.background.value = 1
    widget.fields.classes.value = "1=nothing, 2=cell, 3=border"
    run(widget, qtbot)
    rows = {row["class"]: row for row in widget.results.classes.rows}
    assert rows["cell"]["IoU"] == pytest.approx(8 / 9, abs=1e-3)
    assert rows["border"]["Dice"] == 1
    assert "pixel accuracy 0.950" in widget.results.headline.text()
    assert (widget.error_layer.data[8] == ERROR_CATEGORIES.index("invented")).all()


def test_two_folders_and_export(
    viewer: ViewerModel, tmp_path: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_unet.core.io.image_files import write_labels

    for name, folder in (("a", "predicted"), ("a", "true"), ("b", "predicted"), ("c", "true")):
        (tmp_path / folder).mkdir(exist_ok=True)
        labels = np.zeros((32, 32), np.uint16)
        labels[4:20, 4:20] = 1
        write_labels(tmp_path / folder / f"{name}.tif", labels, "YX")
    widget = EvaluateWidget(viewer)
    qtbot.addWidget(widget.native)
    widget.fields.source.value = "folders"
    widget.fields.prediction_folder.value = tmp_path / "predicted"
    widget.fields.truth_folder.value = tmp_path / "true"
    run(widget, qtbot)
    assert "AP 1.000" in widget.results.headline.text()
    assert "2 file(s) have no counterpart" in widget.results.notes.text
    assert "the same, pixel by pixel" in widget.results.notes.text
    written = widget.export(tmp_path / "tables")
    with next(p for p in written if p.name == "evaluation.csv").open(encoding="utf-8") as file:
        told = {row["what"]: row["value"] for row in csv.DictReader(file)}
    assert told["truth"] == str(tmp_path / "true")

    chosen = iter([tmp_path / "new", tmp_path / "tables"])
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(next(chosen)))
    widget.save.native.click()
    assert f"Saved in '{tmp_path / 'new'}': scores.csv" in widget.message
    widget.save.native.click()
    assert "replacing earlier tables: scores.csv" in widget.message


def test_error_layers_are_no_choice(
    viewer: ViewerModel, widget: EvaluateWidget, qtbot: QtBot
) -> None:
    run(widget, qtbot)
    assert widget.error_layer not in widget.fields.prediction.choices
    assert all(isinstance(c, Labels | None) for c in widget.fields.truth.choices)


def test_closing_napari_in_the_middle(make_napari_viewer: object, qtbot: QtBot) -> None:
    viewer = make_napari_viewer()  # type: ignore[operator]
    widget = show(viewer)
    viewer.window.add_dock_widget(widget, name="Evaluate")
    job = widget.evaluate()
    viewer.close()
    qtbot.waitUntil(lambda: job.status in ("done", "failed"), timeout=50_000)
