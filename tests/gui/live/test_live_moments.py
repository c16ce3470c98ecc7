"""Live training in rare timings: the test itself plays the compute process."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unet.compute import (
    Ended,
    Request,
    WorkerLost,
)
from napari_unet.compute.jobs import Job
from napari_unet.core.errors import ImageError
from napari_unet.core.live import commands
from napari_unet.core.live.events import (
    LiveFinished,
    LivePreview,
    LiveState,
    LiveSuggestion,
)
from napari_unet.core.live.session import LiveSession
from napari_unet.gui.app.session import session
from napari_unet.gui.layers import add_labels, add_probability
from napari_unet.gui.layers.pair_row import PairRow
from napari_unet.gui.live.planes import LivePlane
from napari_unet.gui.train.widget import TrainWidget

pytestmark = pytest.mark.usefixtures("own_folders")

SIDE_PX = 64
NOISE = np.random.default_rng(0).random((SIDE_PX, SIDE_PX)).astype(np.float32)
STACK = np.stack([NOISE] * 6)
STROKES = "cells strokes"


class Script:
    """Fake engine that records commands and posts the events that the test asks for."""

    state, address = "ready", ""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.told: list[commands.Command] = []

    def start(self, *modules: str) -> None:
        pass

    def submit(self, request: Request) -> Job:
        self.jobs.append(Job(request, lambda job: None, lambda job, told: self.told.append(told)))
        return self.jobs[-1]

    def answer(self, event: object) -> None:
        self.jobs[-1].post(event)

    def say(self, *, ready: bool = True) -> None:
        self.answer(LiveState(10, 0.1, 1, {}, None, {}, ready))

    def preview(self, name: str = STROKES, classes: int = 1, applied: int = 1000) -> None:
        whole = (SIDE_PX, SIDE_PX)
        labels, doubt = np.ones(whole, np.uint8), np.full(whole, 100, np.uint8)
        probability = np.full((classes, *whole), 90, np.uint8)
        self.answer(LivePreview(name, (0, 0), labels, doubt, probability, 5, applied))

    def suggestion(self, name: str = STROKES, label: int = 2) -> None:
        labels = np.full((16, 16), label, np.uint16)
        self.answer(LiveSuggestion(name, (30, 30), labels))

    def heard(self, kind: type) -> list[Any]:
        return [message for message in self.told if isinstance(message, kind)]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Script:
    script = Script()
    monkeypatch.setattr(session(), "_engine", script)
    monkeypatch.setattr("napari_unet.gui.train.widget.start_engine_soon", lambda *_: None)
    return script


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def widget(engine: Script, viewer: ViewerModel, qtbot: Any) -> TrainWidget:
    return new_form(viewer, qtbot)


@pytest.fixture
def soon(qtbot: Any) -> Callable[[Callable[[], Any]], None]:
    """Return a function that waits a few seconds for a condition."""
    return lambda condition: qtbot.waitUntil(lambda: bool(condition()), timeout=5000)


def new_form(viewer: ViewerModel, qtbot: Any) -> TrainWidget:
    widget = TrainWidget(viewer)
    qtbot.addWidget(widget.native)
    widget.fields.start.choose(None)
    widget.live_started = True  # from scratch, as chosen
    return widget


def stroke(layer: Any, row: int, label: int, plane: int = 0) -> None:
    columns = np.arange(SIDE_PX)
    leading = (np.full(SIDE_PX, plane),) * (layer.ndim - 2)
    layer.data_setitem((*leading, np.full(SIDE_PX, row), columns), label)


def paint_plane_1(engine: Script, viewer: ViewerModel, strokes: Any, soon: Any) -> None:
    """Move to the second plane of a stack and paint on it."""
    viewer.dims.set_current_step(0, 1)
    stroke(strokes, 5, 1, plane=1)
    soon(lambda: any(m.name.endswith("Z=1") for m in engine.heard(commands.ShowView)))


@pytest.fixture
def begin(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, soon: Any
) -> Callable[..., Any]:
    """Return a function that starts Live with two strokes and returns the painted layer."""

    def run(pixels: Any = NOISE) -> Any:
        viewer.add_image(pixels, name="cells")
        if pixels.ndim > 2:
            viewer.dims.set_current_step(0, 0)
        widget.live_button.native.click()
        strokes = viewer.layers[STROKES]
        stroke(strokes, 5, 1)
        stroke(strokes, 10, 2)
        soon(lambda: engine.heard(commands.Paint))
        engine.say()
        engine.preview(" ".join([STROKES, *(["Z=0"] if pixels.ndim > 2 else [])]))
        soon(lambda: "cells preview" in viewer.layers)
        return strokes

    return run


@pytest.mark.parametrize("beside", [True, False])
def test_labels_deleted_while_it_runs_make_room_for_others(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any, beside: bool
) -> None:
    strokes = begin()
    if beside:
        viewer.add_labels(np.arange(NOISE.size).reshape(NOISE.shape) % 40, name="truth")
    viewer.layers.remove(strokes)
    soon(lambda: engine.heard(commands.RemoveImage))
    widget.live.suggest()
    assert "Choose an image and its labels" in widget.result.text
    assert not widget.pairs.rows, "the user did not choose these"
    others = viewer.add_labels(np.zeros(NOISE.shape, np.uint8), name="mine")
    stroke(others, 20, 2)
    viewer.layers.selection.active = others
    soon(lambda: any("mine" in m.name for m in engine.heard(commands.PutImage)))
    assert [row.labels for row in widget.pairs.rows] == [others]


def test_along_a_stack_layers_look_as_they_were_left(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    strokes = begin(STACK)
    paint_plane_1(engine, viewer, strokes, soon)
    widget.uncertainty.value = True
    engine.preview(f"{STROKES} Z=1")
    soon(lambda: "cells uncertainty" in viewer.layers)
    preview, doubt = viewer.layers["cells preview"], viewer.layers["cells uncertainty"]
    soon(lambda: preview.translate[0] == doubt.translate[0] == 1)
    preview.visible, doubt.opacity, doubt.colormap = False, 0.3, "viridis"

    viewer.dims.set_current_step(0, 0)
    engine.preview(f"{STROKES} Z=0")
    soon(lambda: preview.translate[0] == doubt.translate[0] == 0)
    assert not preview.visible
    assert doubt in viewer.layers
    assert (doubt.opacity, doubt.colormap.name) == (0.3, "viridis")

    for n, label in enumerate((3, 4)):  # colours and names changed, so the layers are new
        stroke(strokes, 30 + label, label)
        soon(lambda n=n: len(engine.heard(commands.ChangeClasses)) == n + 1)
    engine.preview(f"{STROKES} Z=0", classes=3)
    soon(lambda: "cells uncertainty" in viewer.layers and "cells preview" in viewer.layers)
    again = viewer.layers["cells uncertainty"]
    assert (again.opacity, again.colormap.name) == (0.3, "viridis")
    assert not viewer.layers["cells preview"].visible

    viewer.layers.remove("cells preview")
    viewer.layers.remove(again)
    soon(lambda: not widget.uncertainty.value)
    viewer.dims.set_current_step(0, 1)
    stroke(strokes, 40, 5, plane=1)
    soon(lambda: len(engine.heard(commands.ChangeClasses)) == 3)
    engine.preview(f"{STROKES} Z=1", classes=4)
    engine.say(ready=False)  # all earlier events were handled by then
    soon(lambda: not widget.live._run.ready)
    assert not {"cells preview", "cells uncertainty"} & {layer.name for layer in viewer.layers}


def test_a_class_that_is_painted_in_a_proposal_is_learned(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    begin()
    widget.live.suggest()
    engine.suggestion()
    soon(lambda: "cells proposal" in viewer.layers)
    stroke(viewer.layers["cells proposal"], 50, 3)
    widget.live.accept()
    assert [type(m) for m in engine.told[-2:]] == [commands.ChangeClasses, commands.Paint]
    assert engine.told[-2].task.ids.tolist() == [1, 2, 3]
    assert not engine.told[-1].judged


def test_objects_drawn_in_a_proposal_are_others_unless_they_touch(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, soon: Any
) -> None:
    viewer.add_image(NOISE, name="cells")
    widget.fields.meaning.value = "objects"
    widget._on_meaning()
    widget.live_button.native.click()
    strokes = viewer.layers[STROKES]
    strokes.data_setitem((np.arange(8), np.arange(8)), 1)
    for number, x in ((2, 10), (3, 30)):
        strokes.data_setitem(tuple(i.ravel() for i in np.mgrid[10:15, x : x + 5]), number)
    soon(lambda: engine.heard(commands.Paint))
    engine.say()
    soon(lambda: widget.live._run.ready)
    widget.live.suggest()
    engine.suggestion(label=1)
    soon(lambda: "cells proposal" in viewer.layers)
    proposal = viewer.layers["cells proposal"]
    assert proposal.selected_label == 4
    next(f for key, f in proposal.keymap.items() if str(key) == "M")(proposal)
    assert proposal.selected_label == 4, "nothing was drawn with it yet"
    proposal.data_setitem(tuple(i.ravel() for i in np.mgrid[36:41, 36:41]), 2)
    proposal.data_setitem(tuple(i.ravel() for i in np.mgrid[10:15, 35:37]), 3)  # extends object 3
    widget.live.accept()
    assert np.count_nonzero(strokes.data == 2) == 25
    assert (strokes.data[36:41, 36:41] == 4).all()
    assert (strokes.data[10:15, 30:37] == 3).all()


def test_a_proposal_that_is_deleted_is_rejected_and_a_corrected_one_stays(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    begin()
    widget.live.suggest()
    engine.suggestion()
    soon(lambda: "cells proposal" in viewer.layers)
    viewer.layers.remove("cells proposal")
    widget.live.accept()  # before the removal was noticed
    soon(lambda: not widget.suggest_button.native.isHidden())
    assert widget.accept_button.native.isHidden()

    widget.live.suggest()
    engine.suggestion()
    soon(lambda: "cells proposal" in viewer.layers)
    stroke(viewer.layers["cells proposal"], 50, 1)
    widget.pairs.remove_row(0)
    soon(lambda: engine.heard(commands.RemoveImage))
    assert "cells proposal" in viewer.layers
    assert widget.accept_button.native.isHidden()


def test_what_it_shows_is_no_image_to_learn_from(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, soon: Any
) -> None:
    cells = viewer.add_image(NOISE, name="cells")
    about: dict[str, Any] = {"kind": "probability"}
    add_probability(viewer, cells, NOISE, name="cells probability", metadata=about)
    found = add_labels(
        viewer, cells, np.ones(NOISE.shape, np.uint8), name="found", metadata={"kind": "prediction"}
    )
    viewer.layers.selection.active = found
    widget.live_button.native.click()
    assert [row.images for row in widget.pairs.rows] == [(cells,)]

    widget.uncertainty.value = True
    for row in (1, 2):
        stroke(viewer.layers[STROKES], row, row)
    engine.preview()
    soon(lambda: "cells uncertainty" in viewer.layers)
    cells.name = "cells [1]"  # as napari numbers images of one name
    widget.uncertainty.value = False
    viewer.add_image(NOISE, name="cells [1] uncertainty", metadata={})
    widget.uncertainty.value = True
    engine.preview()
    soon(lambda: len([x for x in viewer.layers if "uncertainty" in x.name]) == 2)
    assert len([x for x in widget.pairs._images if "uncertainty" in x.name]) == 1
    viewer.layers.remove("cells [1] uncertainty")
    viewer.layers.remove("cells probability")
    more = viewer.add_image(NOISE, name="more")
    widget.pairs.add_row()
    assert widget.pairs._rows[-1].images == (more,)


def test_a_preview_of_the_classes_before_is_passed_over(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    strokes = begin()
    widget.probability.value = True
    soon(lambda: "cells probability: class 2" in viewer.layers)
    for label in (3, 4):
        stroke(strokes, 20 + label, label)
    soon(lambda: engine.heard(commands.ChangeClasses))
    changed = engine.told.index(engine.heard(commands.ChangeClasses)[-1])
    number = engine.told[changed].number
    engine.preview(classes=1, applied=number - 1)
    engine.preview(classes=3, applied=number)
    soon(lambda: "cells probability: class 4" in viewer.layers)


def test_where_next_is_answered_once_wherever_the_slider_went(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    begin(STACK)
    viewer.dims.set_current_step(0, 3)
    soon(lambda: any(m.name.endswith("Z=3") for m in engine.heard(commands.PutImage)))
    widget.live.suggest()
    widget.live.suggest()
    assert [m.name for m in engine.heard(commands.Suggest)] == [f"{STROKES} Z=3"]
    viewer.dims.set_current_step(0, 4)
    soon(lambda: any(m.name.endswith("Z=4") for m in engine.heard(commands.ShowView)))
    engine.answer(Ended(None, WorkerLost("The compute process ended.")))
    soon(lambda: len(engine.heard(commands.Suggest)) == 2)
    for _ in range(2):
        engine.suggestion(f"{STROKES} Z=3")
    soon(lambda: "cells proposal" in viewer.layers)
    assert viewer.dims.current_step[0] == 3
    widget.live.reject()
    engine.suggestion(f"{STROKES} Z=3")
    engine.say(ready=False)
    soon(lambda: not widget.live._run.ready)
    assert "cells proposal" not in viewer.layers


def test_a_form_that_was_closed_leaves_nothing_but_its_session(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any, qtbot: Any
) -> None:
    begin()
    widget.uncertainty.value = True
    widget.live.suggest()
    engine.suggestion()
    soon(lambda: {"cells uncertainty", "cells proposal"} <= {x.name for x in viewer.layers})
    folder = widget.live._run.form.folder
    np.savez_compressed(
        folder / "strokes.npz", **{f"strokes/{STROKES}": viewer.layers[STROKES].data}
    )
    widget.native.close()
    again = new_form(viewer, qtbot)
    assert not {"cells uncertainty", "cells proposal"} & {x.name for x in viewer.layers}
    assert again.live.folder == folder
    assert not again.resume_button.native.isHidden()
    soon(lambda: again.resume_button.text == "Resume live")


def test_a_layer_that_was_renamed_is_still_that_of_the_session(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    strokes = begin()
    folder = widget.live._run.form.folder
    np.savez_compressed(folder / "strokes.npz", **{f"strokes/{STROKES}": strokes.data})
    widget.live.stop()
    engine.answer(Ended(LiveFinished(None, 5, None), None))
    soon(lambda: not widget.live.running)
    strokes.name = "my strokes"
    stroke(strokes, 40, 1)
    widget.resume_button.native.click()
    assert [row.labels for row in widget.pairs.rows] == [strokes]
    told = engine.jobs[-1].request.images["my strokes"].labels
    np.testing.assert_array_equal(np.asarray(told)[40], 1)


def test_it_ends_with_a_sentence_where_it_cannot_go_on(
    engine: Script,
    viewer: ViewerModel,
    widget: TrainWidget,
    begin: Any,
    soon: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strokes = begin(STACK)
    strokes.data = strokes.data[:1].copy()
    soon(lambda: "labels" in widget.result.text and "shape" in widget.result.text)
    widget.live.stop()
    assert engine.jobs[-1].status == "stopping"
    widget.live._run.stopping = False

    def unreadable(plane: LivePlane, known: set[str]) -> None:
        raise ImageError("'cells' cannot be read.")

    monkeypatch.setattr(LivePlane, "live_image", unreadable)
    engine.answer(Ended(None, WorkerLost("The compute process ended.")))
    soon(lambda: not widget.live.running)
    assert widget.result.text == "'cells' cannot be read."


def test_one_image_that_no_longer_fits_does_not_keep_others_from_being_learned(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    strokes = begin()
    more = viewer.add_image(NOISE, name="more")
    others = viewer.add_labels(np.zeros(NOISE.shape, np.uint8), name="more strokes")
    widget.pairs.set_rows([*widget.pairs.rows, PairRow((more,), others)])
    widget._on_pairs()
    soon(lambda: any(m.name == "more strokes" for m in engine.heard(commands.PutImage)))
    strokes.data = strokes.data[:5].copy()
    stroke(others, 20, 2)
    soon(lambda: any(m.name == "more strokes" for m in engine.heard(commands.Paint)))
    widget.live.suggest()
    assert "Choose an image and its labels" not in widget.result.text


def test_where_next_on_an_image_that_was_refused_is_answered_and_the_others_are_asked_anew(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    begin()
    widget.live.suggest()
    engine.answer(LiveSuggestion(STROKES, None, None, "Nothing to suggest: it is refused."))
    soon(lambda: widget.result.text == "Nothing to suggest: it is refused.")
    widget.live.suggest()
    assert len(engine.heard(commands.Suggest)) == 2


def test_the_strokes_of_a_stack_can_be_deleted_beside_a_proposal(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    strokes = begin(STACK)
    paint_plane_1(engine, viewer, strokes, soon)
    widget.live.suggest()
    engine.suggestion(f"{STROKES} Z=1")
    soon(lambda: "cells proposal" in viewer.layers)
    viewer.layers.remove(strokes)
    soon(lambda: len(engine.heard(commands.RemoveImage)) == 2)
    assert "cells proposal" not in viewer.layers


def test_while_it_runs_what_it_began_with_cannot_be_chosen(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    begin()
    fields = (widget.fields.meaning, widget.data.axes, widget.data.channels)
    assert not any(field.enabled for field in fields)
    assert widget.fields.start.fixed
    widget.live.stop()
    engine.answer(Ended(LiveFinished(None, 5, None), None))
    soon(lambda: not widget.live.running)
    assert all(field.enabled for field in fields)
    assert not widget.fields.start.fixed


def test_it_says_that_it_looks_until_there_is_an_answer(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    begin()
    widget.live.suggest()
    widget.live.notices.progress_shown_s = 0.0
    engine.say()
    soon(lambda: widget.live._run.state is not None)
    engine.preview()
    assert widget.result.text.startswith(
        "Searching for the place where the network is least certain"
    )
    engine.suggestion()
    soon(lambda: "cells proposal" in viewer.layers)


def test_a_colour_that_was_chosen_stays_when_another_class_is_painted(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    strokes = begin()
    known = [c.model_copy(update={"color": "#ff00ff"}) for c in widget.live._run.task.classes]
    widget.live.use_classes(known)
    stroke(strokes, 20, 3)
    soon(lambda: 3 in widget.live._run.task.ids)
    engine.preview(classes=2, applied=engine.heard(commands.ChangeClasses)[-1].number)
    soon(lambda: viewer.layers["cells preview"].get_color(2)[1] < 0.1)
    np.testing.assert_allclose(viewer.layers["cells preview"].get_color(2), [1, 0, 1, 1])
    usual = strokes.get_color(3)
    np.testing.assert_allclose(viewer.layers["cells preview"].get_color(3), usual, atol=0.01)


def test_a_prediction_is_offered_as_soon_as_it_is_corrected(
    viewer: ViewerModel, widget: TrainWidget, soon: Any
) -> None:
    image = viewer.add_image(NOISE, name="cells")
    found = np.zeros(NOISE.shape, np.uint16)
    found[5:15, 5:15] = 1
    layer = add_labels(
        viewer, image, found, name="cells nuclei", metadata={"kind": "prediction"}, axes="YX"
    )
    assert not widget.pairs.rows
    layer.paint((30, 30), 2)
    soon(lambda: [(r.images, r.labels) for r in widget.pairs.rows] == [((image,), layer)])


@pytest.mark.parametrize(
    ("first", "warned"), [("an object", True), ("a line", False), ("all around", False)]
)
def test_an_object_that_is_taken_for_background_is_told(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, soon: Any, first: str, warned: bool
) -> None:
    labels = np.zeros(NOISE.shape, np.uint32)
    if first == "all around":
        labels[40:] = 1
    last = 2**31 - 2  # labels may be large
    for number, (y, x) in zip((2, 3, 4, last), np.ndindex(2, 2), strict=True):
        labels[20 * y + 5 : 20 * y + 14, 20 * x + 5 : 20 * x + 14] = number
    if first == "an object":
        labels[45:54, 45:54] = 1
    elif first == "a line":
        labels[range(40, 62), range(40, 62)] = 1
    viewer.add_image(NOISE, name="cells")
    viewer.add_labels(labels, name="whole")
    soon(lambda: widget.pairs.rows)
    widget.fields.meaning.value = "strokes"  # so that the user chose it, not a guess
    widget.fields.meaning.value = "objects"
    widget.live_button.native.click()
    assert widget.live.running
    assert ("Label 1 of 'whole' looks like an object" in widget.result.text) == warned
    engine.say()
    soon(lambda: widget.live._run.state is not None)
    assert ("looks like an object" in widget.result.text) == warned
    widget.live.stop()
    engine.answer(Ended(LiveFinished(None, 5, None), None))
    soon(lambda: not widget.live.running)
    soon(lambda: "In Train, label 1 is another object" in widget.outlook.text)


def test_planes_that_are_taken_for_channels_are_told(
    engine: Script, viewer: ViewerModel, widget: TrainWidget
) -> None:
    viewer.add_image(STACK[:3], name="cells")
    widget.live_button.native.click()
    assert "'cells' is interpreted as an image with 3 channels" in widget.result.text


def test_a_session_goes_on_with_the_images_that_are_open(
    engine: Script, viewer: ViewerModel, widget: TrainWidget, begin: Any, soon: Any
) -> None:
    begin()
    session_ = LiveSession(widget.live._run.form.folder)
    widget.live.stop()
    engine.answer(Ended(LiveFinished(None, 5, None), None))
    soon(lambda: not widget.live.running)
    about = session_.about()
    about["planes"]["b strokes"] = about["planes"][STROKES] | {"images": ["b"]}
    session_.describe(about)
    painted = np.zeros(NOISE.shape, np.uint8)
    painted[3] = 1
    names = (STROKES, "b strokes")
    np.savez_compressed(session_.path / "strokes.npz", **{f"strokes/{n}": painted for n in names})
    widget.resume(session_.path)
    assert "the image 'b', which is not open" in widget.result.text
    assert list(engine.jobs[-1].request.images) == [STROKES]
    assert session_.about()["planes"].keys() == {STROKES, "b strokes"}
    widget.live.stop()
    engine.answer(Ended(LiveFinished(None, 5, None), None))
    soon(lambda: not widget.live.running)
    viewer.layers.remove("cells")
    widget.resume(session_.path)
    assert not widget.live.running
    assert "which is not open" in widget.result.text
