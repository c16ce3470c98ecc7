"""The Train widget as a user sees it; the tests play the compute process."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from napari.components import ViewerModel
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtWidgets import QApplication

from napari_unet.compute import Ended, Preview, ResumeRequest, TrainRequest, WorkerLost
from napari_unet.compute.jobs import Job
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.datasets.training_set import add_to_training_set
from napari_unet.core.errors import SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.io.image_files import write_image, write_labels
from napari_unet.core.models.catalogue import list_models
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import save_model
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic
from napari_unet.core.training.events import EpochDone, Finished, FinishReason, Started, StepDone
from napari_unet.gui.app.session import session
from napari_unet.gui.layers import is_ours, labels_from_layer
from napari_unet.gui.train.data import DataChoice, PairCache, pairs_of_run
from napari_unet.gui.train.widget import TrainWidget

SIZE = (192, 192)


class PlayedEngine:
    """Fake engine that accepts requests and posts the events that the test asks for."""

    address = ""
    state = "ready"

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.stopped: list[Job] = []

    def start(self, *modules: str) -> None: ...

    def submit(self, request: Any) -> Job:
        self.jobs.append(Job(request, self.stopped.append))
        return self.jobs[-1]


@pytest.fixture
def played(own_folders: None) -> Iterator[PlayedEngine]:
    engine = PlayedEngine()
    before, session()._engine = session()._engine, engine
    yield engine
    session()._engine = before


def nuclei(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    image, labels = synthetic_nuclei(SIZE, 12, seed=seed, diameter_px=(12, 24))
    return image, labels.astype(np.uint16)


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    for seed, name in enumerate(("cells", "more")):
        image, labels = nuclei(seed)
        viewer.add_image(image, name=name)
        viewer.add_labels(labels, name=f"{name} labels")
    return viewer


def wait(condition: Callable[[], Any], seconds: float = 50) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "that did not happen"
        QApplication.processEvents()
        time.sleep(0.005)


def settle(widget: TrainWidget) -> None:
    """Wait until the form has checked the data."""
    wait(lambda: not widget.looking)


@pytest.fixture
def make(qtbot, played) -> Callable[[ViewerModel], TrainWidget]:
    def build(viewer: ViewerModel) -> TrainWidget:
        widget = TrainWidget(PublicOnlyProxy(viewer))  # as napari passes it
        qtbot.addWidget(widget.native)
        widget.native.resize(320, 800)
        widget.native.show()
        settle(widget)
        return widget

    return build


def trained_files(request: TrainRequest, *, best: bool = True) -> Finished:
    """Write the model files of a run, with an untrained network."""
    unet = UNetConfig(depth=1, base_channels=1, out_channels=4)
    task = request.task if isinstance(request.task, Instances) else Instances()
    info = ModelInfo(unet=unet, task=task, normalization=Normalization(), name=request.name)
    model = Model(info, UNet(unet).state_dict())
    for name in ("best", "last") if best else ("last",):
        save_model(request.run_folder / f"{name}.safetensors", model)
    scores = {"mean_ap_by_image": 0.61, "mean_iou_with_background_pooled": 0.72}
    return Finished(
        reason=FinishReason.COMPLETED,
        step=7,
        last_model=str(request.run_folder / "last.safetensors"),
        best_model=str(request.run_folder / "best.safetensors") if best else None,
        best_scores=scores if best else {},
        seconds=170,
    )


def begin(widget: TrainWidget, played: PlayedEngine) -> Job:
    """Press Train and play the first events."""
    before = len(played.jobs)
    widget.train_button.native.click()
    wait(lambda: len(played.jobs) > before)
    job = played.jobs[-1]
    job.started()
    job.post(Started("training on 1 image", {}, 0, None, "cpu", "float32"))
    job.post(StepDone(1, 2.5, 1e-3, 0.1, 90.0))
    return job


# -- before ----------------------------------------------------------------------------------------


def test_open_layers_are_paired_and_the_line_says_what_will_happen(make, viewer) -> None:
    widget = make(viewer)
    assert [(r.images[0].name, r.labels.name) for r in widget.pairs.rows] == [
        ("cells", "cells labels"),
        ("more", "more labels"),
    ]
    assert widget.problem == ""
    assert widget.outlook.text.startswith("2 pairs, YX uint8, pixel size unknown, ")
    assert "2-D, validation: 1 image with" in widget.outlook.text
    assert "about 3 min" in widget.outlook.text
    assert widget.train_button.enabled
    assert widget.fields.meaning.value == "objects"


def test_a_newcomer_sees_at_most_seven_controls(make, viewer) -> None:
    widget = make(viewer)
    classes = viewer.layers["cells labels"]
    classes.data = (classes.data > 0).astype(np.uint8)
    viewer.layers.remove("more labels")
    settle(widget)
    assert widget.classes.isVisible()  # as many controls as are ever visible
    shown = [
        widget.source, widget.fields.meaning, widget.fields.start, widget.fields.effort,
        widget.train_button, widget.resume_button, widget.repair_button, widget.folder,
        *(widget.more.settings.widgets[n] for n in ("seed", "depth")),
        *(getattr(widget.more, n) for n in ("unit", "budget", "name_of_model")),
        *(getattr(widget.data, n) for n in ("axes", "channels", "separate")),
    ]  # fmt: skip
    visible = [w for w in shown if not w.native.visibleRegion().isEmpty()]
    assert widget.train_button in visible
    assert len(visible) + 2 <= 7  # and the two tables


def test_it_is_as_narrow_as_a_dock(make, viewer) -> None:
    widget = make(viewer)
    widget.data.expanded = widget.more.expanded = True
    QApplication.processEvents()
    assert widget.native.widget().minimumSizeHint().width() <= 310


def test_without_anything_open_it_says_what_to_do(make) -> None:
    widget = make(ViewerModel())
    assert "Open an image" in widget.outlook.text
    assert not widget.train_button.enabled


def test_labels_that_are_open_but_not_chosen_are_asked_for(make, viewer) -> None:
    for name in ("more", "more labels"):
        viewer.layers.remove(name)
    widget = make(viewer)
    widget.pairs.change_row(0, labels=None)
    settle(widget)
    assert "Choose the labels of 'cells' in the table" in widget.outlook.text
    assert "Open an image" not in widget.outlook.text
    assert not widget.train_button.enabled
    widget.pairs.remove_row(0)
    settle(widget)
    assert "'+ add a pair'" in widget.outlook.text


def test_strokes_count_while_they_are_painted(make, viewer) -> None:
    viewer.layers.clear()
    viewer.add_image(nuclei()[0], name="cells")
    strokes = viewer.add_labels(np.zeros(SIZE, np.uint8), name="strokes")
    widget = make(viewer)
    assert "Nothing is painted yet" in widget.outlook.text
    assert not widget.train_button.enabled
    strokes.paint((20, 20), 1)
    strokes.paint((120, 120), 2)
    settle(widget)
    assert widget.fields.meaning.value == "strokes"  # few pixels are painted, with two numbers
    assert [(c.id, c.background) for c in widget.classes.classes] == [(1, True), (2, False)]
    assert widget.classes.item(0, 3).text() == str((strokes.data == 1).sum())
    assert widget.train_button.enabled
    strokes.paint((60, 60), 2)
    settle(widget)
    assert widget.classes.item(1, 3).text() == str((strokes.data == 2).sum())
    strokes.undo()
    settle(widget)
    assert widget.classes.item(1, 3).text() == str((strokes.data == 2).sum())


def test_names_colours_and_background_of_classes_reach_the_request(make, viewer, played) -> None:
    viewer.layers.clear()
    viewer.add_image(nuclei()[0], name="cells")
    strokes = np.zeros(SIZE, np.uint8)
    strokes[10:14, 10:180], strokes[100:104, 10:180] = 1, 5
    viewer.add_labels(strokes, name="strokes")
    widget = make(viewer)
    widget.classes.rename(1, "nucleus")
    widget.classes.choose_background(5)
    widget.classes.choose_colour(1, "#00ff00")
    settle(widget)
    task = begin(widget, played).request.task
    assert isinstance(task, Semantic)
    assert task.sparse
    assert [(c.id, c.name, c.background) for c in task.classes] == [
        (1, "nucleus", False),
        (5, "background", True),
    ]
    assert task.classes[0].color == "#00ff00"


def test_several_layers_are_the_channels_of_one_image(make, viewer, played) -> None:
    widget = make(viewer)
    widget.pairs.remove_row(1)
    widget.pairs.change_row(0, images=(viewer.layers["cells"], viewer.layers["more"]))
    settle(widget)
    assert "2 channels (cells, more)" in widget.summary
    request = begin(widget, played).request
    assert request.pairs[0].image.axes == "CYX"
    assert request.pairs[0].image.channel_names == ("cells", "more")


def test_channels_are_chosen_by_number_or_name(make, played) -> None:
    viewer = ViewerModel()
    image, labels = nuclei()
    viewer.add_image(np.stack([image, image * 0, image]), name="cells", axis_labels=("C", "Y", "X"))
    viewer.add_labels(labels)
    widget = make(viewer)
    assert "3 channels" in widget.summary
    widget.data.channels.value = "0, 2"
    settle(widget)
    assert "2 channels" in widget.summary
    widget.data.channels.value = "7"
    settle(widget)
    assert "has no channel 7" in widget.problem
    assert not widget.train_button.enabled


def test_shapes_are_the_annotated_area(make, viewer, played) -> None:
    widget = make(viewer)
    widget.pairs.remove_row(1)
    area = viewer.add_shapes([np.array([[0, 0], [0, 191], [150, 191], [150, 0]])], name="done")
    widget.pairs.change_row(0, area=area)
    settle(widget)
    request = begin(widget, played).request
    assert request.task.sparse
    assert request.pairs[0].annotated[:150].all()
    assert not request.pairs[0].annotated[155:].any()


def test_labels_are_checked_and_repaired_into_a_new_layer(make, viewer) -> None:
    truth = viewer.layers["more labels"]
    truth.data = ((truth.data > 0) * 255).astype(np.uint8)
    before = truth.data.copy()
    widget = make(viewer)
    assert "only 0 and 255" in widget.check.text
    assert widget.repair_button.native.isVisible()
    widget.repair_button.native.click()
    wait(lambda: "more labels repaired" in viewer.layers)
    settle(widget)
    np.testing.assert_array_equal(truth.data, before)
    assert viewer.layers["more labels repaired"].data.max() > 5
    assert widget.pairs.rows[1].labels.name == "more labels repaired"
    assert widget.check.text == ""
    assert not widget.repair_button.native.isVisible()


def test_planes_that_are_separate_images_validate_each_other(make, played) -> None:
    images, labels = zip(*(nuclei(seed) for seed in range(4)), strict=True)
    viewer = ViewerModel()
    sample = {"sample": {"ids": list("abcd")}}
    viewer.add_image(np.stack(images), name="fields", metadata=sample, axis_labels=("T", "Y", "X"))
    viewer.add_labels(np.stack(labels), name="fields truth")
    widget = make(viewer)
    assert widget.data.separate.value  # the sample's metadata names each plane
    assert "4 pairs" in widget.summary
    assert "validation: 1 image with" in widget.summary
    assert [p.name for p in begin(widget, played).request.pairs] == [
        f"fields T={i}" for i in range(4)
    ]


def test_a_folder_is_learned_from(make, played, tmp_path: Path) -> None:
    folder = tmp_path / "my cells"
    for seed in range(2):
        image, labels = nuclei(seed)
        write_image(folder / "images" / f"{seed}.tif", Image(image, "YX"))
        write_labels(folder / "masks" / f"{seed}.tif", labels)
    widget = make(ViewerModel())
    widget.source.value = "a folder"
    widget.folder.line_edit.value = str(folder)
    widget._on_folder()
    settle(widget)
    assert widget.summary.startswith("2 pairs, YX uint8")
    assert widget.more.name_of_model.value == "my-cells"
    request = begin(widget, played).request
    assert request.sources["source"] == str(folder)  # as on the command line
    assert request.preview is None


def test_fine_tuning_is_short_and_gentle(make, viewer, played, tmp_path: Path) -> None:
    unet = UNetConfig(depth=2, base_channels=4, out_channels=4)
    info = ModelInfo(unet=unet, task=Instances(), normalization=Normalization(), name="base")
    path = tmp_path / "models" / "base.safetensors"
    save_model(path, Model(info, UNet(unet).state_dict()))
    widget = make(viewer)
    widget.fields.start.choose(path)
    settle(widget)
    assert widget.summary.startswith("starting from 'base'")
    assert not widget.more.settings.widgets["depth"].enabled  # the start model determines it
    settings = begin(widget, played).request.settings
    assert settings.budget.minutes == 1
    assert settings.learning_rate == 5e-4
    assert (settings.depth, settings.base_channels) == (2, 4)


def test_corrections_are_learned_from_with_one_click_in_predict(
    make, played, tmp_path: Path
) -> None:
    unet = UNetConfig(depth=2, base_channels=4, out_channels=4)
    info = ModelInfo(unet=unet, task=Instances(), normalization=Normalization(), name="base")
    start = tmp_path / "models" / "base.safetensors"
    save_model(start, Model(info, UNet(unet).state_dict()))
    for seed in range(2):
        image, labels = nuclei(seed)
        add_to_training_set(tmp_path / "set", Image(image, "YX", name=f"cell{seed}"), labels)
    widget = make(ViewerModel())
    widget.use_training_set(tmp_path / "set", start)
    settle(widget)
    assert widget.summary.startswith("starting from 'base', 2 pairs")
    request = begin(widget, played).request
    assert (request.start, len(request.pairs)) == (start, 2)


@pytest.mark.parametrize(("text", "words"), [("a/b", "cannot be called"), ("", "")])
def test_names_are_checked_and_proposed(make, viewer, text: str, words: str) -> None:
    widget = make(viewer)
    assert widget.more.name_of_model.value == "cells"
    widget.more.name_of_model.value = text
    settle(widget)
    assert words in widget.problem


# -- during ----------------------------------------------------------------------------------------


def test_curves_progress_and_preview_while_it_runs(make, viewer, played) -> None:
    widget = make(viewer)
    viewer.layers.selection.active = viewer.layers["more"]
    job = begin(widget, played)
    assert job.request.run_folder.name == "cells-1"
    np.testing.assert_array_equal(job.request.preview.data, viewer.layers["more"].data)
    wait(lambda: "Step 1" in widget.panel.progress.note)
    assert "left" in widget.panel.progress.note
    assert not widget.train_button.enabled
    scores = {"mean_ap_by_image": 0.4}
    job.post(EpochDone(1, 20, 1.5, 1.2, scores, True))
    job.post(Preview(np.ones(SIZE, np.uint8), 20))
    wait(lambda: "more preview" in viewer.layers)
    curves = widget.panel.curves
    assert curves.points("train_loss") == ([1], [2.5])
    assert curves.points("validation_loss") == ([20], [1.2])
    assert curves.points("mean AP, validation") == ([20], [0.4])
    preview = viewer.layers["more preview"]
    assert is_ours(preview)
    assert viewer.layers.selection.active is viewer.layers["more"]  # the user may be painting
    job.post(Preview(np.full(SIZE, 3, np.uint8), 40))
    wait(lambda: preview.data.max() == 3)
    assert sum("preview" in layer.name for layer in viewer.layers) == 1


def test_a_preview_that_was_painted_in_is_the_person_s(make, viewer, played) -> None:
    widget = make(viewer)
    job = begin(widget, played)
    job.post(Preview(np.ones(SIZE, np.uint8), 20))
    wait(lambda: "cells preview" in viewer.layers)
    mine = viewer.layers["cells preview"]
    mine.paint((50, 50), 9)
    painted = mine.data.copy()
    job.post(Preview(np.full(SIZE, 2, np.uint8), 40))
    wait(lambda: "cells preview [1]" in viewer.layers)
    np.testing.assert_array_equal(mine.data, painted)
    assert viewer.layers["cells preview [1]"].data.max() == 2


def test_a_preview_that_was_removed_stays_removed(make, viewer, played) -> None:
    widget = make(viewer)
    job = begin(widget, played)
    job.post(Preview(np.ones(SIZE, np.uint8), 20))
    wait(lambda: "cells preview" in viewer.layers)
    viewer.layers.remove("cells preview")
    for step in (40, 60):
        job.post(Preview(np.ones(SIZE, np.uint8), step))
        job.post(StepDone(step, 1.0, 1e-3, 0.5, 10.0))
    wait(lambda: widget.panel.curves.points("train_loss")[0][-1] == 60)
    assert "cells preview" not in viewer.layers


def preview_of_a_run(widget: TrainWidget, played: PlayedEngine, value: int) -> None:
    """Play a whole run with one preview."""
    job = begin(widget, played)
    job.post(Preview(np.full(SIZE, value, np.uint8), 20))
    job.post(Ended(None, SettingsError("enough")))
    wait(lambda: not widget.controller.busy)
    settle(widget)


def test_the_next_run_s_preview_takes_the_place_of_the_one_before(make, viewer, played) -> None:
    widget = make(viewer)
    preview_of_a_run(widget, played, 1)
    layer = viewer.layers["cells preview"]
    layer.visible = False
    preview_of_a_run(widget, played, 2)
    assert [x for x in viewer.layers if "preview" in x.name] == [layer]
    assert layer.data.max() == 2
    assert layer.visible
    assert layer.opacity == 0.5


def test_a_preview_that_cannot_be_taken_over_is_hidden_but_nobody_s_work(
    make, viewer, played
) -> None:
    widget = make(viewer)
    preview_of_a_run(widget, played, 1)
    kept = viewer.layers["cells preview"]
    kept.name = "good one"
    copy = viewer.add_labels(kept.data.copy(), name="mine", metadata=dict(kept.metadata))
    preview_of_a_run(widget, played, 2)
    assert kept.data.max() == 1
    assert not kept.visible
    assert copy.visible
    painted = viewer.layers["cells preview"]
    painted.paint((50, 50), 9)
    before = painted.data.copy()
    preview_of_a_run(widget, played, 3)
    np.testing.assert_array_equal(painted.data, before)
    assert painted.visible
    assert viewer.layers["cells preview [1]"].data.max() == 3


def test_the_preview_lies_below_strokes_and_above_images(make, viewer, played) -> None:
    widget = make(viewer)
    preview_of_a_run(widget, played, 1)
    names = [layer.name for layer in viewer.layers]
    assert names == ["cells", "cells labels", "more", "cells preview", "more labels"]


def test_the_preview_follows_to_another_plane(make, played) -> None:
    images, labels = zip(*(nuclei(seed) for seed in range(3)), strict=True)
    viewer = ViewerModel()
    viewer.add_image(np.stack(images), name="movie", axis_labels=("T", "Y", "X"))
    viewer.add_labels(np.stack(labels), name="movie truth")
    widget = make(viewer)
    for plane in (1, 2):
        viewer.dims.set_current_step(0, plane)
        preview_of_a_run(widget, played, plane)
    (preview,) = (x for x in viewer.layers if "preview" in x.name)
    np.testing.assert_allclose(preview.data_to_world((0, 0, 0)), (2, 0, 0))


def test_the_preview_of_a_plane_lies_on_that_plane(make, played) -> None:
    images, labels = zip(*(nuclei(seed) for seed in range(3)), strict=True)
    viewer = ViewerModel()
    place = {"scale": (2, 0.5, 0.5), "translate": (10, 3, 4)}
    viewer.add_image(np.stack(images), name="movie", axis_labels=("T", "Y", "X"), **place)
    viewer.add_labels(np.stack(labels), name="movie truth", **place)
    widget = make(viewer)
    viewer.dims.set_point(0, 12)  # the second plane
    job = begin(widget, played)
    np.testing.assert_array_equal(job.request.preview.data, images[1])
    job.post(Preview(np.ones(SIZE, np.uint8), 20))
    wait(lambda: "movie preview" in viewer.layers)
    preview = viewer.layers["movie preview"]
    np.testing.assert_allclose(preview.data_to_world((0, 0, 0)), (12, 3, 4))
    np.testing.assert_allclose(preview.extent.world[1][1:], viewer.layers[0].extent.world[1][1:])


def test_of_a_large_plane_the_part_in_view_is_previewed_in_its_place(make, played) -> None:
    viewer = ViewerModel()
    slide = np.zeros((3000, 2500), np.uint8)
    slide[:300] = 200  # far from the view
    viewer.add_image(slide, name="slide", scale=(0.5, 0.5))
    labels = viewer.add_labels(np.zeros((3000, 2500), np.uint8), scale=(0.5, 0.5))
    labels.data[100:300, 100:300], labels.data[2000:2300, 2000:2300] = 1, 1
    widget = make(viewer)
    getattr(viewer, "scene", viewer).camera.center = (0, 1000, 900)
    request = begin(widget, played).request
    assert request.preview.shape == (1024, 1024)
    played.jobs[-1].post(Preview(np.ones((1024, 1024), np.uint8), 20))
    wait(lambda: "slide preview" in viewer.layers)
    corners = viewer.layers["slide preview"].extent.world
    np.testing.assert_allclose(corners.mean(axis=0), (1000, 900), atol=1)
    assert request.preview_s > 10  # so that previews do not cost too much time
    assert request.preview.data.max() == 0
    assert request.preview_ranges == ((0, 200),)  # ranges of the whole slide, as in Predict


def test_the_preview_of_a_depth_plane_has_the_intensities_of_the_stack(make, played) -> None:
    image, labels = nuclei(1)
    viewer = ViewerModel()
    stack = np.stack([image // 4, image])
    viewer.add_image(stack, name="stack", axis_labels=("Z", "Y", "X"))
    viewer.add_labels(np.stack([labels, labels]), name="stack truth")
    viewer.dims.set_current_step(0, 0)
    widget = make(viewer)
    request = begin(widget, played).request
    np.testing.assert_array_equal(request.preview.data, stack[0])
    whole, plane = (tuple(Normalization().ranges(x)) for x in (stack[None], stack[:1]))
    assert request.preview_ranges == whole != plane
    played.jobs[-1].post(Ended(None, SettingsError("enough")))
    wait(lambda: not widget.controller.busy)
    widget.data.separate.value = True  # then each plane is normalised separately
    assert begin(widget, played).request.preview_ranges == plane


def test_layers_deleted_renamed_and_edited_leave_the_run_alone(make, viewer, played) -> None:
    widget = make(viewer)
    labels = viewer.layers["cells labels"]
    before = labels.data.copy()
    job = begin(widget, played)
    labels.data[:] = 0
    labels.refresh()
    viewer.layers["cells"].name = "renamed"
    viewer.layers.remove("more")
    viewer.layers.remove("more labels")
    np.testing.assert_array_equal(job.request.pairs[0].labels, before)
    job.post(Preview(np.ones(SIZE, np.uint8), 20))
    job.post(Ended(trained_files(job.request), None))
    wait(lambda: not widget.controller.busy)
    assert "is ready in Predict" in widget.result.text
    settle(widget)
    assert "Nothing is painted" in widget.problem  # of the layers that are open now


# -- after -----------------------------------------------------------------------------------------


def test_the_model_has_a_name_and_a_score_and_others_hear_of_it(make, viewer, played) -> None:
    widget = make(viewer)
    widget.more.name_of_model.value = "my nuclei"
    heard = []
    session().models_changed.connect(lambda: heard.append(1))
    job = begin(widget, played)
    job.post(Ended(trained_files(job.request), None))
    wait(lambda: not widget.controller.busy)
    assert heard == [1]
    assert [e.name for e in list_models() if e.origin == "own"] == ["my nuclei"]
    assert widget.result.text == (
        "Finished after about 3 min. The best model has mean AP 0.61 on 1 image with 12 objects: "
        "too few to trust. 'my nuclei' is ready in Predict."
    )
    assert widget.result.kind == "warning"
    assert widget.train_button.enabled or widget.looking
    # the next model has another name
    settle(widget)
    assert widget.more.name_of_model.value not in ("my nuclei", "")


def test_stop_keeps_everything_and_resume_goes_on(make, viewer, played) -> None:
    widget = make(viewer)
    job = begin(widget, played)
    wait(lambda: widget.panel.progress.running)
    widget.panel.progress._stop.click()
    assert played.stopped == [job]
    finished = trained_files(job.request)
    stopped = Finished(**{**vars(finished), "reason": FinishReason.STOPPED})
    write_run(job.request)
    job.post(Ended(stopped, None))
    wait(lambda: not widget.controller.busy)
    assert widget.result.text.startswith(
        "Stopped after about 3 min; you can resume the run any time. The best"
    )
    assert "is ready in Predict" in widget.result.text
    assert widget.resume_button.native.isVisible()
    widget.resume_button.native.click()
    wait(lambda: len(played.jobs) == 2)
    again = played.jobs[-1].request
    assert isinstance(again, ResumeRequest)
    assert again.run_folder == job.request.run_folder
    for a, b in zip(again.pairs, job.request.pairs, strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.image.data, b.image.data)
        assert a.name == b.name
    assert widget.panel.curves.points("mean AP, validation") == (
        [20],
        [0.4],
    )  # continues where it stopped
    played.jobs[-1].post(Ended(finished, None))
    wait(lambda: not widget.controller.busy)
    assert "mean AP 0.61 on 1 image with 12 objects" in widget.result.text
    # the model of the resumed run replaces its earlier state
    assert [e.name for e in list_models() if e.origin == "own"] == ["cells"]


def test_resume_names_a_run_of_other_layers(make, viewer, played) -> None:
    widget = make(viewer)
    job = begin(widget, played)
    trained_files(job.request)
    (job.request.run_folder / "state.safetensors").write_bytes(b"state")
    job.post(Ended(None, WorkerLost("The compute process ended without warning.")))
    wait(lambda: not widget.controller.busy)
    settle(widget)
    assert widget.resume_button.text == "Resume"
    assert str(job.request.run_folder) in widget.resume_button.tooltip
    widget.pairs.remove_row(0)
    settle(widget)
    assert widget.resume_button.text == "Resume 'cells-1'"
    assert "other data" in widget.resume_button.tooltip
    assert str(job.request.run_folder) in widget.resume_button.tooltip
    QApplication.processEvents()
    assert widget.native.widget().minimumSizeHint().width() <= 310
    (job.request.run_folder / "settings.json").write_text("damaged")
    widget.resume_button.native.click()
    wait(lambda: not widget.controller.busy)
    assert widget.resume_button.native.isVisible(), "it can be tried again"


def test_files_that_changed_are_read_again(tmp_path) -> None:
    def put(name: str, value: int) -> None:
        for folder, data in (("images", np.zeros((20, 20))), ("masks", np.full((20, 20), value))):
            path = tmp_path / folder / f"{name}.tif"
            path.parent.mkdir(exist_ok=True)
            tifffile.imwrite(path, data.astype(np.uint8))

    library, choice = PairCache(), DataChoice(folder=tmp_path)
    put("a", 1)
    first = library.gather(choice, {})
    assert library.gather(choice, {}) is first, "nothing changed"
    put("a", 7)
    put("b", 1)
    found = {s.pair.name: int(s.pair.labels.max()) for s in library.gather(choice, {})}
    assert found == {"a": 7, "b": 1}


def test_a_score_says_what_it_was_measured_on(make, played) -> None:
    image, _ = nuclei()
    strokes = np.zeros(SIZE, np.uint8)
    strokes[20:24, ::2], strokes[60:64, ::2] = 1, 2
    strokes[:, 90:100:2] = 1
    viewer = ViewerModel()
    viewer.add_image(image, name="cells")
    viewer.add_labels(strokes, name="strokes")
    widget = make(viewer)
    widget.fields.meaning.value = "strokes"
    widget.more.settings.widgets["depth"].value = 1
    settle(widget)
    job = begin(widget, played)
    job.post(Ended(trained_files(job.request), None))
    wait(lambda: not widget.controller.busy)
    found = re.search(
        r"mean IoU 0.72 on a strip of 1 image, (\d+) painted pixels: too few to trust\.",
        widget.result.text,
    )
    assert found, widget.result.text
    assert 0 < int(found[1]) < np.count_nonzero(strokes) / 2
    assert widget.result.kind == "warning"


def write_run(request: TrainRequest) -> None:
    """Write settings, labels and history like a run."""
    from napari_unet.core.models.model_file import read_info
    from napari_unet.core.training.run_folder import RunFolder, RunSettings

    last = request.run_folder / "last.safetensors"
    info = read_info(last).model_copy(update={"name": request.name, "task": request.task})
    kept = last.read_bytes()
    for name in ("best", "last"):
        (request.run_folder / f"{name}.safetensors").unlink()
    run = RunFolder(request.run_folder)
    settings = RunSettings(training=request.settings, info=info, sources=request.sources)
    run.start(settings, list(request.pairs))
    rows = [{"epoch": 1, "step": 20, "train_loss": 1.5, "mean_ap_by_image": 0.4}]
    run.write_history(rows, info.task.scores)
    for name in ("best", "last"):
        (request.run_folder / f"{name}.safetensors").write_bytes(kept)


def test_a_run_is_resumed_in_another_session_from_its_folder(make, viewer, played) -> None:
    widget = make(viewer)
    request = begin(widget, played).request
    trained_files(request)
    write_run(request)
    other = ViewerModel()
    image, labels = nuclei(0)
    other.add_image(image, name="cells")
    with pytest.raises(
        SettingsError, match="The image 'more', which this run was trained on, is not open"
    ):
        pairs_of_run(request.run_folder, list(other.layers))
    other.add_image(nuclei(1)[0], name="more")
    other.add_labels(np.zeros_like(labels), name="cells labels")  # painted again: not used
    pairs = pairs_of_run(
        request.run_folder, [x for x in other.layers if x.name in ("cells", "more")]
    )
    np.testing.assert_array_equal(pairs[0].labels, labels)


def test_a_dead_worker_is_a_message_and_resume_is_live(make, viewer, played) -> None:
    widget = make(viewer)
    job = begin(widget, played)
    trained_files(job.request)
    (job.request.run_folder / "state.safetensors").write_bytes(b"state")
    job.post(Ended(None, WorkerLost("The compute process ended without warning.")))
    wait(lambda: not widget.controller.busy)
    assert "ended without warning" in widget.result.text
    assert widget.result.kind == "error"
    assert widget.resume_button.native.isVisible()


def test_a_refused_run_leaves_no_folder_behind(make, viewer, played) -> None:
    widget = make(viewer)
    job = begin(widget, played)
    job.request.run_folder.mkdir(parents=True)
    job.post(Ended(None, SettingsError("The loss is nan. Choose a lower learning rate.")))
    wait(lambda: not widget.controller.busy)
    assert "lower learning rate" in widget.result.text
    assert not job.request.run_folder.exists()
    assert not widget.resume_button.native.isVisible()


def test_without_validation_the_last_model_is_kept(make, viewer, played) -> None:
    widget = make(viewer)
    job = begin(widget, played)
    job.post(Ended(trained_files(job.request, best=False), None))
    wait(lambda: not widget.controller.busy)
    assert "no score" in widget.result.text
    assert [e.name for e in list_models() if e.origin == "own"] == ["cells"]


def test_a_closed_widget_stops_its_run_without_a_traceback(viewer, played, qtbot) -> None:
    widget = TrainWidget(viewer)
    widget.native.show()
    settle(widget)
    job = begin(widget, played)
    wait(lambda: widget.panel.progress.running)
    widget.native.close()
    widget.native.deleteLater()
    for _ in range(20):
        qtbot.wait(5)
    viewer.layers["cells labels"].paint((5, 5), 3)  # no callback is left
    viewer.layers.remove("more")
    job.post(StepDone(2, 2.4, 1e-3, 0.2, 80.0))
    assert played.stopped == [job]
    job.post(Ended(None, SettingsError("too late")))
    qtbot.wait(20)


def test_torch_is_not_needed_here() -> None:
    """Check in a new process that the widget's modules import neither torch nor dask."""
    import subprocess
    import sys

    code = (
        "import sys, napari_unet.gui.train.widget; "
        "print('torch' in sys.modules, 'dask' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    assert torch.__version__


def test_a_click_reads_the_labels_once(make, viewer, played, monkeypatch) -> None:
    widget = make(viewer)
    read = []

    def counted(labels_layer: Any, *place: Any) -> np.ndarray:
        read.append(labels_layer.name)
        return labels_from_layer(labels_layer, *place)

    monkeypatch.setattr("napari_unet.gui.layers.pairs.labels_from_layer", counted)
    begin(widget, played)
    settle(widget)
    assert sorted(read) == ["cells labels", "more labels"]
