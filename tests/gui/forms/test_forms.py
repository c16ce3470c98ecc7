"""Choosers follow the viewer, sections collapse, messages and progress are visible."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from magicgui.widgets import LineEdit
from napari.components import ViewerModel
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QFileDialog, QMainWindow, QPushButton
from safetensors.numpy import save_file

from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import ModelInfo, TrainedOn
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.gui.app.session import session
from napari_unet.gui.forms import (
    Collapsible,
    FolderField,
    Form,
    LayerChooser,
    Legend,
    Message,
    ModelChooser,
    ProgressRow,
    duration_words,
    model_card,
    parse_channels,
    row,
)


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def add(viewer: ViewerModel, kind: str, name: str) -> Any:
    if kind == "image":
        return viewer.add_image(np.zeros((8, 8)), name=name)
    return viewer.add_labels(np.zeros((8, 8), int), name=name)


@pytest.fixture
def shown(qtbot) -> Any:
    def show(widget: Any) -> Any:
        qtbot.addWidget(widget.native)
        widget.native.show()
        return widget

    return show


def texts(chooser: LayerChooser) -> list[str]:
    return [chooser.native.itemText(i) for i in range(chooser.native.count())]


def test_chooser_follows_layers_that_come_go_move_and_are_renamed(
    viewer: ViewerModel, shown: Any
) -> None:
    chooser = shown(LayerChooser(viewer, ["image"]))
    told: list[Any] = []
    chooser.changed.connect(told.append)
    assert chooser.layer is None
    first = add(viewer, "image", "a")
    add(viewer, "labels", "l")
    assert chooser.layer is first
    second = add(viewer, "image", "b")
    assert chooser.layer is first  # what was chosen stays
    assert texts(chooser) == ["b", "a"]
    first.name = "zebra"
    assert chooser.layer is first
    assert texts(chooser) == ["b", "zebra"]
    viewer.layers.move(0, 3)
    assert texts(chooser) == ["zebra", "b"]
    viewer.layers.remove(first)
    assert chooser.layer is second
    viewer.layers.clear()
    assert chooser.layer is None
    assert told == [first, second, None]


def test_two_layers_that_swap_names_are_not_mixed_up(viewer: ViewerModel, shown: Any) -> None:
    a, b = add(viewer, "image", "a"), add(viewer, "image", "b")
    chooser = shown(LayerChooser(viewer, ["image"]))
    chooser.layer = a
    a.name, b.name = "c", "a"
    assert chooser.layer is a


def test_no_layer_can_be_a_choice(viewer: ViewerModel, shown: Any) -> None:
    layer = add(viewer, "image", "a")
    chooser = shown(LayerChooser(viewer, ["image"], none="everywhere"))
    assert chooser.layer is None
    assert texts(chooser) == ["everywhere", "a"]
    chooser.layer = layer
    add(viewer, "image", "b")
    assert chooser.layer is layer
    viewer.layers.remove(layer)
    assert chooser.layer is None


def test_only_wanted_layers_are_offered(viewer: ViewerModel, shown: Any) -> None:
    add(viewer, "image", "raw")
    add(viewer, "image", "preview")
    wanted = LayerChooser(viewer, ["image"], wanted=lambda layer: layer.name != "preview")
    assert texts(shown(wanted)) == ["raw"]


def test_chooser_gives_the_layer_itself_from_a_wrapped_viewer(
    viewer: ViewerModel, shown: Any
) -> None:
    layer = add(viewer, "image", "a")
    chooser = shown(LayerChooser(PublicOnlyProxy(viewer), ["image"]))
    assert chooser.layer is layer
    chooser.layer = PublicOnlyProxy(add(viewer, "image", "b"))
    assert chooser.layer is viewer.layers[-1]


def test_closed_choosers_no_longer_listen(viewer: ViewerModel, qtbot) -> None:
    callbacks = viewer.layers.events.inserted.callbacks
    before = len(callbacks)
    made = [LayerChooser(viewer, ["image"]), LayerChooser(viewer, ["labels"], none="none")]
    gone = weakref.ref(made[0])
    for widget in made:
        widget.native.deleteLater()
    qtbot.wait(10)
    add(viewer, "image", "a")  # raises nothing
    assert len(callbacks) == before
    made.clear()
    del widget
    gc.collect()
    assert gone() is None


def buttons(widget: Any, text: str) -> list[QPushButton]:
    return [b for b in widget.native.findChildren(QPushButton) if b.text() == text]


def info(**changes: Any) -> ModelInfo:
    values: dict[str, Any] = {
        "unet": UNetConfig(in_channels=1, out_channels=3, base_channels=4, depth=2),
        "task": Instances(),
        "normalization": Normalization(),
    }
    return ModelInfo(**{**values, **changes})


def save(path: Path, **changes: Any) -> Path:
    """Write a model file with a header and no weights, which is all a chooser reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({}, path, {"napari_unet": info(**changes).model_dump_json()})
    return path


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(
        "napari_unet.core.models.catalogue.shipped_folder", lambda: tmp_path / "shipped"
    )
    return tmp_path / "models"


def test_without_models_it_says_so(models: Path, shown: Any) -> None:
    chooser = shown(ModelChooser())
    assert chooser.path is None
    assert chooser._box.current_choice == "no model yet"
    assert chooser.problem == ""


def test_a_new_model_is_offered_at_once(models: Path, shown: Any) -> None:
    chooser = shown(ModelChooser(none="from scratch"))
    told: list[Any] = []
    chooser.changed.connect(told.append)
    path = save(models / "nuclei.safetensors")
    session().models_changed.emit()
    assert chooser.path is None  # from scratch stays from scratch
    chooser.choose(path)
    assert chooser.path == path
    assert chooser.info is not None
    assert chooser._box.current_choice == "nuclei"
    path.unlink()
    session().models_changed.emit()
    assert chooser.path is None
    assert told == [path, None]


def test_the_first_usable_model_is_chosen_where_one_is_needed(models: Path, shown: Any) -> None:
    models.mkdir()
    (models / "a_broken.safetensors").write_bytes(b"nonsense")
    path = save(models / "nuclei.safetensors")
    chooser = shown(ModelChooser())
    assert chooser.path == path
    assert "a_broken (cannot be used)" in texts(chooser._box)
    chooser.choose(models / "a_broken.safetensors")
    assert chooser.path is None
    assert "a_broken" in chooser.problem


def test_any_file_can_be_chosen(
    models: Path, shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = save(models / "own.safetensors")
    elsewhere = save(tmp_path / "sent by a colleague.safetensors")
    chooser = shown(ModelChooser())
    answers = [("", ""), (str(elsewhere), "")]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: answers.pop(0))
    chooser._box.value = chooser._box.choices[-1]  # "A file …", then cancelled
    assert chooser.path == own
    assert chooser._box.current_choice == "own"
    chooser._box.value = chooser._box.choices[-1]
    assert chooser.path == elsewhere
    session().models_changed.emit()
    assert chooser.path == elsewhere


def test_the_card_says_what_the_model_is() -> None:
    seen = tuple(
        TrainedOn(name=str(i), group="g", role="training" if i else "validation", sha256="0")
        for i in range(4)
    )
    card = model_card(
        info(
            trained_on=seen,
            pixel_size_um=(0.65, 0.65),
            object_diameter_px=21.3,
            scores={"ap50_pooled": 0.853, "ap55_pooled": 0.8},
            licence="CC0 <&>",
        )
    )
    for words in ("3 images, validated on 1", "0.65 x 0.65 µm", "about 21 px", "0.85", "&lt;&amp;"):
        assert words in card
    classes = (ClassInfo(id=0, name="sky", background=True), ClassInfo(id=1, name="sea"))
    assert "sky, sea" in model_card(info(task=Semantic(classes=classes)))


def test_a_fold_hides_and_shows_what_grows_inside(shown: Any, qtbot) -> None:
    inside = Message("short")
    fold = Collapsible("More", [inside, LineEdit()])
    form = shown(Form([fold]))
    form.native.resize(300, 600)
    assert not fold.expanded
    assert not fold.inner.native.isVisible()
    told: list[bool] = []
    fold.toggled.connect(told.append)
    qtbot.mouseClick(buttons(fold, "▸ More")[0], Qt.MouseButton.LeftButton)
    assert fold.expanded
    qtbot.waitUntil(lambda: fold.inner.native.height() > 20)
    low = fold.inner.native.height()
    inside.say("A sentence that needs many lines in a narrow dock. " * 5)
    qtbot.waitUntil(lambda: fold.inner.native.height() > low + 20)
    fold.expanded = False
    assert not inside.native.isVisible()
    assert told == [True, False]


def test_everything_fits_a_dock_of_300_px(
    viewer: ViewerModel, shown: Any, models: Path, qtbot
) -> None:
    for name in ("a very long name of an image that no one would choose", "b"):
        add(viewer, "image", name)
        add(viewer, "labels", name)
    form = shown(
        Form(
            [
                row("Annotated area", LayerChooser(viewer, ["image"])),
                ModelChooser(label="Model"),
                Message("Long sentences are wrapped, and so they never widen the dock. " * 3),
                Legend({"hit": "#009e73", "missed": "#0072b2", "invented": "#d55e00"}),
                ProgressRow(),
            ]
        )
    )
    form.native.resize(300, 700)
    content = form.native.widget()
    qtbot.waitUntil(lambda: content.width() <= form.native.viewport().width())
    assert content.minimumSizeHint().width() <= form.native.viewport().width()


def test_a_message_takes_no_room_until_it_speaks(shown: Any) -> None:
    message = Message()
    shown(Form([message]))
    assert message.native.isHidden()
    message.say("Labels and image differ in shape.", "error")
    assert not message.native.isHidden()
    assert (message.text, message.kind) == ("Labels and image differ in shape.", "error")
    message.say("<b>not bold</b>")
    assert message.native.textFormat() == Qt.TextFormat.PlainText
    message.clear()
    assert message.native.isHidden()


def test_progress_says_how_long_and_stop_can_be_pressed_once(shown: Any, qtbot) -> None:
    progress = shown(ProgressRow())
    progress.finish()
    assert not progress.running
    progress.start("starting")
    assert progress.running
    progress.show_progress(3, 10, 130, "epoch 3 of 10")
    assert progress.note == "epoch 3 of 10, about 2 min left"
    pressed: list[bool] = []
    progress.stopped.connect(lambda: pressed.append(True))
    (stop,) = buttons(progress, "Stop")
    qtbot.mouseClick(stop, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(stop, Qt.MouseButton.LeftButton)
    assert pressed == [True]
    assert stop.text() == "Stopping …"
    progress.start()
    assert stop.isEnabled()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "a few seconds"), (38, "about 40 s"), (58, "about 1 min"), (170, "about 3 min"),
     (5400, "about 1.5 h")],
)  # fmt: skip
def test_durations_are_said_as_people_do(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


def test_a_folder_field_is_empty_until_something_is_written(shown: Any) -> None:
    field = shown(FolderField(tooltip="Where."))
    assert field.folder is None
    field.line_edit.value = " ~/images "
    assert field.folder == Path.home() / "images"
    field.line_edit.value = "plate/*/a*.tif"
    assert field.text == "plate/*/a*.tif"
    field.value = Path("masks")  # as after the dialog
    assert field.folder == Path("masks").absolute()


def test_channels_are_numbers_or_names() -> None:
    assert parse_channels(" 0, DAPI ") == (0, "DAPI")
    assert parse_channels(" ") is None


def test_forms_at_one_side_are_tabs_and_others_stay_where_they_are(qtbot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.show()

    def dock(content: Any, side: Qt.DockWidgetArea) -> QDockWidget:
        made = QDockWidget(window)
        made.setWidget(content)
        window.addDockWidget(side, made)
        qtbot.wait(20)
        return made

    right, left = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.LeftDockWidgetArea
    stranger = dock(QPushButton("of another plugin"), right)
    forms = [Form(name=name) for name in "abcd"]
    first, second = (dock(form.native, right) for form in forms[:2])
    assert window.tabifiedDockWidgets(second) == [first]
    assert window.tabifiedDockWidgets(stranger) == []
    assert window.tabifiedDockWidgets(dock(forms[2].native, left)) == []
    first.raise_()
    second.setFloating(True)  # as a person may drag it
    second.hide()
    second.show()
    qtbot.wait(20)
    assert second.isFloating()
    assert first in window.tabifiedDockWidgets(dock(forms[3].native, right))
