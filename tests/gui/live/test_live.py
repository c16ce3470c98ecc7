"""Live training in the Train widget: strokes in, previews out."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils._proxies import PublicOnlyProxy

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import StorageError
from napari_unet.core.live.events import LivePreview, LiveState, LiveSuggestion
from napari_unet.core.live.session import LiveSession
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.models.model_file import read_info
from napari_unet.core.tasks.instances import Instances
from napari_unet.gui.app.session import session
from napari_unet.gui.layers import add_labels, match_layers, was_edited
from napari_unet.gui.live.planes import plane_in_view
from napari_unet.gui.live.proposal import Proposal
from napari_unet.gui.train.widget import TrainWidget

pytestmark = [pytest.mark.usefixtures("own_session"), pytest.mark.timeout(240)]

PATIENCE_MS = 100_000


@pytest.fixture(scope="module")
def cells() -> tuple[np.ndarray, np.ndarray]:
    image, truth = synthetic_nuclei((192, 192), 22, seed=5, diameter_px=(16, 24))
    return image, (truth > 0).astype(np.uint8) + 1


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def widget(viewer: ViewerModel, qtbot: Any) -> TrainWidget:
    widget = TrainWidget(PublicOnlyProxy(viewer))
    qtbot.addWidget(widget.native)
    return widget


class Heard:
    """The latest state of the live training."""

    def __init__(self, widget: TrainWidget) -> None:
        self.state: LiveState | None = None
        widget.live.stated.connect(self._hear)

    def _hear(self, state: LiveState) -> None:
        self.state = state


def preview_of(viewer: ViewerModel) -> Labels | None:
    found = [x for x in viewer.layers if x.name.endswith("preview")]
    return found[0] if found else None


def previews_plane(viewer: ViewerModel, plane: int) -> bool:
    preview = preview_of(viewer)
    return preview is not None and round(preview.translate[0]) == plane


def test_from_an_image_alone_to_a_model(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, truth = cells
    viewer.add_image(pixels, name="cells")
    heard = Heard(widget)
    widget.live_button.native.click()
    assert widget.live.running
    strokes = viewer.layers["cells strokes"]
    assert (strokes.mode, viewer.layers.selection.active) == ("paint", strokes)
    assert widget.fields.start.path.stem == "nuclei"
    assert not widget.train_button.enabled
    for row in (40, 90, 140):
        where = np.arange(192)
        for class_id in (1, 2):
            columns = where[truth[row] == class_id]
            strokes.data_setitem((np.full_like(columns, row), columns), class_id)
    qtbot.waitUntil(lambda: heard.state is not None and heard.state.ready, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=PATIENCE_MS)
    preview = preview_of(viewer)
    qtbot.waitUntil(lambda: (preview.data == truth).mean() > 0.93, timeout=PATIENCE_MS)
    assert viewer.layers.selection.active is strokes, "the brush was taken away"

    strokes.undo()
    strokes.data_setitem((np.full(192, 5), np.arange(192)), 7)
    digest = Canvas(np.zeros((1, 192, 192)), np.asarray(strokes.data)).digest()
    qtbot.waitUntil(lambda: digest in heard.state.digests.values(), timeout=PATIENCE_MS)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    assert "is ready in Predict" in widget.result.text
    info = read_info(widget.live.model)
    assert info.task.ids.tolist() == [1, 2, 7]
    np.testing.assert_array_equal(np.unique(strokes.data), [0, 1, 2, 7])


def test_a_proposal_is_corrected_and_accepted_or_rejected(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, truth = cells
    viewer.add_image(pixels, name="cells", scale=(0.5, 0.5))
    heard = Heard(widget)
    widget.live_button.native.click()
    strokes = viewer.layers["cells strokes"]
    for row in (40, 120):
        strokes.data_setitem((np.full(192, row), np.arange(192)), truth[row])
    qtbot.waitUntil(lambda: heard.state is not None and heard.state.step > 5, timeout=PATIENCE_MS)
    counts = heard.state.counts

    def propose() -> Labels:
        widget.suggest_button.native.click()
        qtbot.waitUntil(lambda: "cells proposal" in viewer.layers, timeout=PATIENCE_MS)
        return viewer.layers["cells proposal"]

    before = np.array(strokes.data)
    proposal = propose()
    window = proposal.data > 0
    assert window.sum() == 64 * 64
    assert not before[window].any()
    widget.reject_button.native.click()
    assert "cells proposal" not in viewer.layers
    np.testing.assert_array_equal(strokes.data, before)

    proposal = propose()
    y, x = np.argwhere(proposal.data > 0)[0]
    proposal.data_setitem((np.array([y]), np.array([x])), 2)
    y, x = np.argwhere((proposal.data == 0) & (before == 0))[0]  # beside the proposed labels
    proposal.data_setitem((np.array([y]), np.array([x])), 2)
    wanted = np.array(proposal.data)
    widget.accept_button.native.click()
    np.testing.assert_array_equal(strokes.data, np.where(wanted > 0, wanted, before))
    digest = Canvas(np.zeros((1, 192, 192)), np.asarray(strokes.data)).digest()
    qtbot.waitUntil(lambda: digest in heard.state.digests.values(), timeout=PATIENCE_MS)
    assert heard.state.counts == counts, "an accepted proposal counted in the score"
    for row in range(5, 192, 15):
        strokes.data_setitem((np.full(192, row), np.arange(192)), truth[row])
    widget.suggest_button.native.click()
    qtbot.waitUntil(lambda: "is painted already" in widget.result.text, timeout=PATIENCE_MS)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)


def test_without_an_image_it_says_what_to_do(widget: TrainWidget) -> None:
    widget.live_button.native.click()
    assert not widget.live.running
    assert "No image is open" in widget.result.text


@pytest.mark.leaves_behind("the engine that tests share starts its process again")
def test_strokes_made_while_the_worker_is_killed_are_learned_afterwards(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, truth = cells
    viewer.add_image(pixels, name="cells")
    strokes = viewer.add_labels(np.zeros_like(truth), name="cells labels")
    heard = Heard(widget)
    strokes.data[40], strokes.data[90] = truth[40], truth[90]
    strokes.events.set_data()
    qtbot.waitUntil(lambda: len(widget.pairs.rows) == 1, timeout=PATIENCE_MS)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: heard.state is not None and heard.state.step > 0, timeout=PATIENCE_MS)
    os.kill(session().engine.pid, signal.SIGKILL)
    strokes.data[140] = truth[140]
    digest = Canvas(np.zeros((1, 192, 192)), np.asarray(strokes.data)).digest()
    qtbot.waitUntil(lambda: digest in heard.state.digests.values(), timeout=PATIENCE_MS)
    assert widget.live.running
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    assert Path(widget.live.model).is_file()
    saved = heard.state.step
    assert saved > 0

    widget.resume_button.native.click()
    qtbot.waitUntil(lambda: heard.state.step > saved, timeout=PATIENCE_MS)
    heard.state = None
    os.kill(session().engine.pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: heard.state is not None, timeout=PATIENCE_MS)
    assert heard.state.step >= saved, "saved steps were lost"
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)


def test_numbers_may_grow_when_the_layer_is_converted(viewer: ViewerModel) -> None:
    image = viewer.add_image(np.zeros((24, 32), np.uint8))
    strokes = viewer.add_labels(np.zeros((24, 32), np.uint8))
    plane = plane_in_view(viewer, [image], strokes, "YX", None)
    strokes.data = strokes.data.astype(np.uint16)
    strokes.data[5, 6:9] = 256, 257, 300
    origin, block = plane.change()
    assert (origin, block.tolist()) == ((5, 6), [[256, 257, 300]])
    assert plane.change() is None


def test_a_proposal_is_painted_where_it_lies_whatever_the_axes(viewer: ViewerModel) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((24, 32)))
    strokes = viewer.add_labels(np.zeros((24, 32), np.uint8))
    plane = plane_in_view(viewer, [image], strokes, "XY", None)
    assert plane.sent.shape == (32, 24)
    block = np.arange(1, 16, dtype=np.uint8).reshape(5, 3)
    Proposal(
        viewer, plane, LiveSuggestion("cells", (20, 10), block), Instances(sparse=True)
    ).accept()
    np.testing.assert_array_equal(strokes.data.T[20:25, 10:13], block)
    assert np.count_nonzero(strokes.data) == block.size


def test_an_object_painted_meanwhile_keeps_its_number(viewer: ViewerModel) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((24, 32)))
    strokes = viewer.add_labels(np.zeros((24, 32), np.uint16))
    strokes.data[0, :4] = 2
    plane = plane_in_view(viewer, [image], strokes, "YX", None)
    block = np.array([[1, 2, 2], [3, 3, 1]], np.uint16)
    suggestion = LiveSuggestion("cells", (20, 10), block)
    proposal = Proposal(viewer, plane, suggestion, Instances(sparse=True))
    np.testing.assert_array_equal(proposal.layer.data[20:22, 10:13], [[1, 3, 3], [4, 4, 1]])
    strokes.data[10, :4] = 3
    proposal.accept()
    np.testing.assert_array_equal(strokes.data[20:22, 10:13], [[1, 5, 5], [4, 4, 1]])
    assert np.count_nonzero(strokes.data == 3) == 4


def test_what_it_shows_is_never_taken_for_strokes(viewer: ViewerModel) -> None:
    image = viewer.add_image(np.random.default_rng(0).random((24, 32)), name="cells")
    strokes = viewer.add_labels(np.ones((24, 32), np.uint8), name="Labels")
    for kind in ("preview", "proposal"):
        shown = add_labels(
            viewer, image, np.zeros((24, 32), np.uint8), name=f"cells {kind}",
            metadata={"kind": kind},
        )  # fmt: skip
        shown.data_setitem((np.array([3]), np.array([3])), 2)
        assert was_edited(shown)
    assert match_layers(viewer) == [(image, strokes)]


def test_strokes_across_planes_are_learned_where_nobody_looked(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    viewer.add_image(np.stack([cells[0]] * 6), name="cells")
    viewer.dims.set_current_step(0, 2)
    heard = Heard(widget)
    complaints: list[str] = []
    widget.live.told.connect(lambda text, kind: complaints.append(text) if kind == "error" else 0)
    widget.live_button.native.click()
    strokes = viewer.layers["cells strokes"]
    names = lambda: heard.state.digests.keys() if heard.state else set()  # noqa: E731
    qtbot.waitUntil(lambda: bool(names()), timeout=PATIENCE_MS)

    def paint(planes: list[int], number: int) -> None:
        z, x = (a.ravel() for a in np.meshgrid(planes, np.arange(192)))
        strokes.data_setitem((z, np.full(z.size, 40), x), number)

    strokes.n_edit_dimensions = 3
    paint([1, 2, 3], 1)
    three = {f"cells strokes Z={n}" for n in (1, 2, 3)}
    qtbot.waitUntil(lambda: names() == three, timeout=PATIENCE_MS)
    strokes.n_edit_dimensions = 2
    viewer.dims.order = (1, 0, 2)  # viewed from the side
    paint([4], 2)
    five = three | {"cells strokes Z=4"}
    qtbot.waitUntil(lambda: five <= names(), timeout=PATIENCE_MS)
    viewer.dims.order = (0, 1, 2)
    paint([5], 2)  # like an undo of strokes that are out of view
    assert not complaints
    viewer.dims.set_current_step(0, 4)
    for number in range(1, 54):
        strokes.data_setitem((np.array([4]), np.array([60]), np.array([number])), number)
    qtbot.waitUntil(lambda: bool(complaints), timeout=PATIENCE_MS)
    assert complaints[0].startswith("Label 51 is ignored: Live can train on at most 50 classes.")
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    saved = LiveSession(widget.live.folder).labels()
    assert saved.keys() >= five | {"cells strokes Z=5"}
    np.testing.assert_array_equal(saved["cells strokes Z=5"], strokes.data[5])


def test_a_full_disk_does_not_keep_it_from_stopping(
    viewer: ViewerModel,
    widget: TrainWidget,
    cells: Any,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any) -> None:
        raise StorageError("Cannot write 'about.json': the disk is full.")

    viewer.add_image(cells[0], name="cells")
    heard, told = Heard(widget), []
    widget.live.told.connect(lambda sentence, _: told.append(sentence))
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: heard.state is not None, timeout=PATIENCE_MS)
    monkeypatch.setattr(LiveSession, "describe", full)
    widget.live_button.native.click()
    assert "the disk is full" in told[-1]
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)


def test_a_preview_is_enough_to_ask_where_next(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, _ = cells
    viewer.add_image(pixels, name="cells")
    heard, told = Heard(widget), []
    widget.live.told.connect(lambda sentence, _: told.append(sentence))
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: heard.state is not None, timeout=PATIENCE_MS)
    widget.live.suggest()
    assert "paint at least one stroke for each of two classes" in told[-1]
    # The state with ready=True may arrive after the first preview.
    nothing = np.zeros((192, 192), np.uint8)
    name = next(iter(heard.state.digests))
    widget.live._take(LivePreview(name, (0, 0), nothing, nothing, None, 1, 1))
    widget.live.suggest()
    assert told[-1].startswith("Searching for the place where the network is least certain")
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)


def test_in_the_window_a_person_sees_what_live_needs(person: Any, cells: Any) -> None:
    pixels, truth = cells
    person.viewer.add_image(pixels, name="cells")
    train = person.open("Train")
    train.fields.start.choose(None)  # from scratch: small and quick
    train.live_started = True
    person.press(train.live_button)
    strokes = person.viewer.layers["cells strokes"]
    person.wait(lambda: train.suggest_button.native.isVisible())
    assert not train.accept_button.native.isVisible()
    for row in (40, 90, 140):
        strokes.data_setitem((np.full(192, row), np.arange(192)), truth[row])
    person.wait(lambda: preview_of(person.viewer) is not None, 100)
    person.press(train.uncertainty)
    person.wait(lambda: "cells uncertainty" in person.viewer.layers, 100)
    doubt = person.viewer.layers["cells uncertainty"]
    person.wait(lambda: doubt.data.max() > 0, 100)
    assert person.viewer.layers.selection.active is strokes, "the brush was taken away"
    layers = list(person.viewer.layers)
    assert layers.index(doubt) < layers.index(preview_of(person.viewer)) < layers.index(strokes)
    person.press(train.probability)
    person.wait(lambda: "cells probability: class 2" in person.viewer.layers, 100)
    probability = person.viewer.layers["cells probability: class 2"]
    shown = lambda: (probability.data > 0.5) == (preview_of(person.viewer).data == 2)  # noqa: E731
    person.wait(lambda: np.any(probability.data) and shown().all(), 100)
    assert person.viewer.layers.selection.active is strokes
    person.press(train.suggest_button)
    person.wait(lambda: train.accept_button.native.isVisible(), 100)
    person.press(train.reject_button)
    person.press(train.uncertainty)
    person.press(train.suggest_button)  # immediately, while a new preview is pending
    person.wait(lambda: train.accept_button.native.isVisible(), 100)
    person.press(train.reject_button)
    assert "cells uncertainty" not in person.viewer.layers
    assert probability in person.viewer.layers
    person.press(train.live_button)
    person.wait(lambda: not train.live.running, 100)
    assert not train.suggest_button.native.isVisible()
    assert train.resume_button.native.isVisible()
    assert train.resume_button.text == "Resume live"


def test_images_come_and_go_while_it_runs(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, truth = cells
    viewer.add_image(pixels, name="cells")
    heard = Heard(widget)
    widget.live_button.native.click()
    first = viewer.layers["cells strokes"]
    for row in (40, 90):
        first.data_setitem((np.full(192, row), np.arange(192)), truth[row])
    viewer.add_image(pixels[::-1], name="more")
    second = viewer.add_labels(np.zeros_like(truth), name="more labels")
    second.data[100] = 3
    widget.pairs.add_row()
    widget.pairs.change_row(1, labels=second)
    names = lambda: heard.state.digests.keys() if heard.state else set()  # noqa: E731
    qtbot.waitUntil(lambda: names() == {"cells strokes", "more labels"}, timeout=PATIENCE_MS)
    digest = Canvas(np.zeros((1, 192, 192)), np.asarray(second.data)).digest()
    assert heard.state.digests["more labels"] == digest
    viewer.layers.remove(first)
    qtbot.waitUntil(lambda: names() == {"more labels"}, timeout=PATIENCE_MS)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    assert read_info(widget.live.model).task.ids.tolist() == [1, 2, 3]


def test_a_session_goes_on_in_another_window(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, truth = cells
    movie = np.stack([pixels, pixels[::-1]] * 5)
    viewer.add_image(movie, name="cells", scale=(1, 0.5, 0.5))
    heard = Heard(widget)
    widget.live_button.native.click()
    strokes = viewer.layers["cells strokes"]
    names = lambda: heard.state.digests.keys() if heard.state else set()  # noqa: E731
    for plane in (0, 1):
        viewer.dims.set_current_step(0, plane)
        strokes.data_setitem((np.full(192, plane), np.full(192, 40), np.arange(192)), truth[40])
        qtbot.waitUntil(lambda n=plane: f"cells strokes Z={n}" in names(), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: len(names()) == 2, timeout=PATIENCE_MS)  # Z=4 was only viewed
    qtbot.waitUntil(lambda: heard.state.step > 3, timeout=PATIENCE_MS)
    wanted = np.array(strokes.data)
    qtbot.waitUntil(lambda: len(widget.classes.classes) == 2, timeout=PATIENCE_MS)
    widget.classes.rename(2, "nucleus")
    widget.classes.choose_background(2)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    folder, steps = widget.live.folder, heard.state.step

    tomorrow = ViewerModel()
    other = TrainWidget(PublicOnlyProxy(tomorrow))
    qtbot.addWidget(other.native)
    heard = Heard(other)
    other.resume(folder)
    assert not other.live.running
    assert "painted on the image 'cells', which is not open" in other.result.text
    tomorrow.add_image(movie, name="cells", scale=(1, 0.5, 0.5))
    other.resume(folder)
    again = tomorrow.layers["cells strokes"]
    np.testing.assert_array_equal(again.data, wanted)
    np.testing.assert_array_equal(again.scale, (1, 0.5, 0.5))
    qtbot.waitUntil(lambda: heard.state is not None, timeout=PATIENCE_MS)
    assert 0 < steps <= heard.state.step
    assert {"cells strokes Z=0", "cells strokes Z=1"} <= heard.state.digests.keys()
    qtbot.waitUntil(lambda: other.classes.isVisibleTo(other.native), timeout=PATIENCE_MS)
    other.classes.rename(1, "halo")
    names_now = {c.id: (c.name, c.background) for c in other.live._run.task.classes}
    assert names_now == {1: ("halo", False), 2: ("nucleus", True)}
    other.live_button.native.click()
    qtbot.waitUntil(lambda: not other.live.running, timeout=PATIENCE_MS)
    assert "cells strokes" in [x.name for x in tomorrow.layers]


def test_a_session_with_too_few_strokes_goes_on_and_a_damaged_one_is_told(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any, tmp_path: Path
) -> None:
    viewer.add_image(cells[0], name="cells")
    heard = Heard(widget)
    widget.live_button.native.click()
    strokes = viewer.layers["cells strokes"]
    strokes.data_setitem((np.full(192, 40), np.arange(192)), 1)
    qtbot.waitUntil(lambda: heard.state is not None, timeout=PATIENCE_MS)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    assert "No model was saved: too little was painted" in widget.result.text
    folder = widget.live.folder
    viewer.layers.remove(strokes)
    widget.resume(folder)
    assert (viewer.layers["cells strokes"].data[40] == 1).all()
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)

    (folder / "strokes.npz").write_bytes(b"PK, but no archive")
    widget.resume(folder)
    assert not widget.live.running
    assert "contains no strokes of a live training, or they are damaged" in widget.result.text


def test_what_cannot_be_learned_from_is_told_and_what_was_deleted_is_kept(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, truth = cells
    viewer.add_image(pixels, name="cells")
    heard = Heard(widget)
    complaints: list[str] = []
    widget.live.told.connect(lambda text, kind: complaints.append(text) if kind == "error" else 0)
    widget.suggest_button.native.click()
    widget.live_button.native.click()
    widget.suggest_button.native.click()
    assert "paint at least one stroke for each of two classes" in widget.result.text
    strokes = viewer.layers["cells strokes"]
    for row in (40, 90):
        strokes.data_setitem((np.full(192, row), np.arange(192)), truth[row])
    qtbot.waitUntil(lambda: heard.state is not None and heard.state.step > 0, timeout=PATIENCE_MS)
    kept = np.array(strokes.data)

    viewer.add_image(np.stack([pixels] * 3, -1), rgb=True, name="colour")
    colour = viewer.add_labels(np.ones_like(truth), name="colour labels")
    widget.pairs.add_row()
    widget.pairs.change_row(1, labels=colour)
    qtbot.waitUntil(lambda: bool(complaints), timeout=PATIENCE_MS)
    assert "Choose images with the same channels" in complaints[0]
    step = heard.state.step
    qtbot.waitUntil(lambda: heard.state.step > step, timeout=PATIENCE_MS)
    assert widget.live.running

    viewer.layers.remove(strokes)  # by accident: napari cannot undo this
    qtbot.waitUntil(lambda: not heard.state.digests, timeout=PATIENCE_MS)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    widget.resume_button.native.click()
    np.testing.assert_array_equal(viewer.layers["cells strokes"].data, kept)
    qtbot.waitUntil(lambda: "cells strokes" in heard.state.digests, timeout=PATIENCE_MS)
    more = viewer.layers["cells strokes"]
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    more.data_setitem(
        (np.full(192, 140), np.arange(192)), truth[140]
    )  # painted between stop and resume
    widget.resume_button.native.click()
    digest = Canvas(np.zeros((1, 192, 192)), np.asarray(more.data)).digest()
    qtbot.waitUntil(lambda: digest in heard.state.digests.values(), timeout=PATIENCE_MS)
    assert [x.name for x in viewer.layers].count("cells strokes [1]") == 0
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)


def test_the_preview_comes_back_with_the_plane(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, truth = cells
    viewer.add_image(np.stack([pixels] * 10), name="cells")
    viewer.dims.set_current_step(0, 2)
    widget.live_button.native.click()
    strokes = viewer.layers["cells strokes"]
    for row in (40, 90):
        where = (np.full(192, 2), np.full(192, row), np.arange(192))
        strokes.data_setitem(where, truth[row])

    known: set[str] = set()
    plane = next(iter(widget.live._run.planes.values()))
    first, again = plane.live_image(known), plane.live_image(known)
    assert first.pixels.shape == again.pixels.shape == (1, 192, 192)
    assert first.scope.shape == (1, 10, 192, 192)  # normalised as Predict does
    assert again.scope is None
    assert first.scope_name == again.scope_name != ""

    for plane in (2, 3, 2):
        viewer.dims.set_current_step(0, plane)
        qtbot.waitUntil(lambda n=plane: previews_plane(viewer, n), timeout=PATIENCE_MS)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)


def test_what_a_person_changed_stays(
    viewer: ViewerModel, widget: TrainWidget, cells: Any, qtbot: Any
) -> None:
    pixels, truth = cells
    viewer.add_image(np.stack([pixels] * 10), name="cells")
    viewer.dims.set_current_step(0, 0)
    heard = Heard(widget)
    widget.live_button.native.click()
    strokes = viewer.layers["cells strokes"]
    for row in (40, 90):
        strokes.data_setitem((np.zeros(192, int), np.full(192, row), np.arange(192)), truth[row])
    qtbot.waitUntil(lambda: heard.state is not None and heard.state.step > 5, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: len(widget.classes.classes) == 2, timeout=PATIENCE_MS)
    widget.classes.rename(2, "nucleus")
    widget.classes.rename(1, "rest")
    viewer.dims.set_current_step(0, 1)
    widget.suggest_button.native.click()
    qtbot.waitUntil(lambda: "cells proposal" in viewer.layers, timeout=PATIENCE_MS)
    proposal = viewer.layers["cells proposal"]
    where = (*np.zeros(proposal.ndim - 2, int)[:, None], np.array([3]), np.array([3]))
    proposal.data_setitem(where, 2)
    widget.live.suggest()  # a second click before the first answer
    viewer.dims.set_current_step(0, 2)

    qtbot.waitUntil(lambda: previews_plane(viewer, 2), timeout=PATIENCE_MS)
    assert viewer.layers["cells proposal"] is proposal
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    assert proposal in viewer.layers, "its corrections are in no other layer"
    assert not widget.accept_button.native.isVisibleTo(widget.native)
    assert sum("preview" in layer.name for layer in viewer.layers) == 1
    task = read_info(widget.live.model).task
    assert {c.id: c.name for c in task.classes} == {1: "rest", 2: "nucleus"}


def test_whole_objects_become_all_objects(
    viewer: ViewerModel, widget: TrainWidget, qtbot: Any
) -> None:
    pixels, truth = synthetic_nuclei((192, 192), 22, seed=5, diameter_px=(16, 24))
    viewer.add_image(pixels, name="cells")
    meaning = widget.fields.meaning
    meaning.native.activated.emit(meaning.native.currentIndex())  # chosen by the user
    assert meaning.value == "objects"
    heard = Heard(widget)
    widget.live_button.native.click()
    assert "label 1" in widget.result.text
    strokes = viewer.layers["cells strokes"]
    assert strokes.data.dtype == np.uint16
    painted = np.setdiff1d(truth[:88], truth[88:])[:6]
    for label, number in enumerate(painted, start=2):  # and some background around them
        strokes.data_setitem(np.nonzero(truth == number), label)
    rows = np.isin(np.arange(192), (20, 50, 80))
    strokes.data_setitem(np.nonzero((truth == 0) & rows[:, None]), 1)
    qtbot.waitUntil(lambda: preview_of(viewer) is not None, timeout=PATIENCE_MS)
    preview = preview_of(viewer)
    count = int(truth.max())
    qtbot.waitUntil(lambda: abs(int(preview.data.max()) - count) <= 3, timeout=PATIENCE_MS)
    assert heard.state.ready

    proposals: list[bool] = []
    widget.live.proposed.connect(proposals.append)
    widget.suggest_button.native.click()
    qtbot.waitUntil(lambda: bool(proposals), timeout=PATIENCE_MS)
    proposed = np.asarray(viewer.layers["cells proposal"].data)
    new = np.unique(proposed[proposed > 1])
    assert new.size
    assert new.min() == 8, "numbers that no other object has"
    assert (proposed == 1).any()
    widget.accept_button.native.click()
    kept = np.isin(np.asarray(strokes.data), new)
    assert kept.any()
    assert (strokes.data[kept] == proposed[kept]).all()

    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    info = read_info(widget.live.model)
    assert info.task.kind == "instances"
    assert 12 < info.object_diameter_px < 26
    folder = widget.live.folder
    widget.fields.meaning.value = "strokes"
    widget.resume_button.native.click()
    assert widget.live.running, widget.result.text
    assert widget.fields.meaning.value == "objects"
    qtbot.waitUntil(lambda: heard.state.step > 0, timeout=PATIENCE_MS)
    widget.live_button.native.click()
    qtbot.waitUntil(lambda: not widget.live.running, timeout=PATIENCE_MS)
    assert widget.live.folder == folder


def test_a_layer_without_room_for_more_objects_is_told(
    viewer: ViewerModel, widget: TrainWidget
) -> None:
    from napari_unet.core.errors import LabelsError

    image = viewer.add_image(np.zeros((32, 32), np.uint8), name="cells")
    strokes = viewer.add_labels(np.zeros((32, 32), np.uint8), name="strokes")
    plane = plane_in_view(viewer, (image,), strokes, None, None)
    labels = np.full((32, 32), 300, np.uint16)
    with pytest.raises(LabelsError, match="numbers up to 255, but the proposal goes up to 300"):
        plane.write((slice(0, 32), slice(0, 32)), labels)
    assert not strokes.data.any()
