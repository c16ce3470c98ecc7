"""Values of the evaluation form: requests and error messages, without a widget."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes

from napari_unet.compute import EvaluateFilesRequest, EvaluateRequest
from napari_unet.gui.evaluate.form import (
    EvaluateValues,
    notes_on_layers,
    parse_classes,
    prepare_comparison,
    problem,
)
from napari_unet.gui.evaluate.overlay import overlay
from napari_unet.gui.layers.geometry import to_layer_order

SIZE = (32, 40)


def labels(*shape: int, name: str = "truth", **settings: object) -> Labels:
    data = np.zeros(shape or SIZE, np.uint16)
    data[..., 4:12, 4:12] = 1
    return Labels(data, name=name, **settings)


def values(**changes: object) -> EvaluateValues:
    start = EvaluateValues(prediction=labels(name="prediction"), truth=labels())
    return replace(start, **changes)


def layer_request(chosen: EvaluateValues) -> EvaluateRequest:
    request = prepare_comparison(chosen).request
    assert isinstance(request, EvaluateRequest)
    return request


def test_two_layers_make_a_request() -> None:
    request = layer_request(values(iou_threshold=0.7))
    assert request.prediction.shape == request.truth.shape == SIZE
    assert (request.kind, request.iou_threshold, request.ndim) == ("instances", 0.7, 2)
    assert request.annotated is None


def test_what_is_drawn_afterwards_does_not_count() -> None:
    chosen = values()
    request = layer_request(chosen)
    chosen.truth.data[:] = 9
    assert request.truth.max() == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prediction": None}, "There is no prediction: open or draw a Labels layer"),
        ({"truth": None}, "There is no ground truth"),
        ({"truth": labels(9, 9)}, r"shape \(32, 40\) and the ground truth 'truth' \(9, 9\)"),
        ({"volumes": True}, "without depth"),
        ({"sparse": True}, "inside an annotated area: choose one"),
        ({"kind": "semantic", "sparse": True}, "set the id of the painted background"),
        ({"kind": "semantic", "classes": "1=cell, 2"}, "contain '2': expected an id and a name"),
        ({"kind": "semantic", "classes": "1=a, 1=b"}, "the id 1 twice"),
        ({"kind": "semantic", "classes": "1=a", "background": 5}, r"5, but only \[1\] have names"),
        ({"image": Image(np.zeros((5, 5)), name="photo")}, "choose the image that belongs to them"),
        ({"from_folders": True}, "none is chosen"),
        ({"from_folders": True, "prediction_folder": Path("nowhere")}, "'nowhere' does not exist"),
    ],
)
def test_a_sentence_describes_what_cannot_be_evaluated(changes: dict, sentence: str) -> None:
    import re

    assert re.search(sentence, problem(values(**changes)))


def test_one_layer_cannot_be_both_prediction_and_ground_truth() -> None:
    layer = labels()
    assert "are both 'truth'" in problem(values(prediction=layer, truth=layer))


def test_two_folders_make_a_request(tmp_path: Path) -> None:
    for name in ("predicted", "true"):
        (tmp_path / name).mkdir()
    chosen = values(
        from_folders=True,
        prediction_folder=tmp_path / "predicted",
        truth_folder=tmp_path / "true",
        empty_planes="background",
    )
    assert problem(chosen) == ""
    request = prepare_comparison(chosen).request
    assert isinstance(request, EvaluateFilesRequest)
    assert request.settings["empty_planes"] == "background"
    assert "same folder" in problem(replace(chosen, truth_folder=tmp_path / "predicted"))


def test_an_axis_of_length_one_does_not_matter() -> None:
    placed = overlay(labels(3, 1, *SIZE), labels(3, *SIZE))
    assert placed.prediction.shape == placed.truth.shape == (3, *SIZE)


def test_a_predicted_plane_is_compared_with_the_plane_on_which_it_lies() -> None:
    truth = labels(4, *SIZE, scale=(2, 0.5, 0.5), translate=(10, 0, 0))
    truth.data[2] = 7
    plane = labels(1, *SIZE, scale=(2, 0.5, 0.5), translate=(14, 0, 0))
    placed = overlay(plane, truth)
    assert placed.layer is plane
    assert placed.truth.shape == (1, *SIZE)
    assert (np.asarray(placed.truth) == 7).all()
    outside = labels(1, *SIZE, scale=(2, 0.5, 0.5), translate=(0, 0, 0))
    assert "expected the same" in problem(values(prediction=outside, truth=truth))


def test_axes_come_in_the_order_of_the_core() -> None:
    truth = labels(3, 5, *SIZE, axis_labels=("z", "t", "y", "x"))
    placed = overlay(labels(3, 5, *SIZE), truth)
    assert placed.axes == "ZTYX"
    assert placed.truth.shape == (5, 3, *SIZE)


def test_a_channel_axis_of_length_one_is_put_back_on_the_error_layer() -> None:
    axes = ("z", "c", "y", "x")
    truth = labels(3, 1, *SIZE, axis_labels=axes)
    placed = overlay(labels(3, 1, *SIZE, axis_labels=axes), truth)
    assert placed.prediction.shape == placed.truth.shape == (3, *SIZE)
    assert placed.position("2") == {"Z": 2}
    assert to_layer_order(placed.truth, truth, placed.axes).shape == (3, 1, *SIZE)


def test_the_annotated_area_is_a_mask() -> None:
    corner = Shapes([np.array([[0, 0], [0, 19.5], [15.5, 19.5], [15.5, 0]])], name="area")
    request = layer_request(values(annotated=corner))
    assert request.annotated[:16, :20].all()
    assert request.annotated.sum() == 16 * 20
    assert "covers no pixel" in problem_of_request(values(annotated=Shapes(name="area")))


def problem_of_request(chosen: EvaluateValues) -> str:
    """Return the message shown after pressing the button."""
    from napari_unet.core.errors import UNetError

    with pytest.raises(UNetError) as error:
        prepare_comparison(chosen)
    return str(error.value)


def test_classes_are_compared_by_name() -> None:
    task = {"kind": "semantic", "classes": [{"id": 1, "name": "sky"}, {"id": 2, "name": "cell"}]}
    predicted = labels(name="p", metadata={"napari-unet": {"task": task, "model": "m.safetensors"}})
    request = layer_request(
        values(prediction=predicted, kind="semantic", background=3, classes="1=cell, 3=sky")
    )
    assert request.classes == {1: "cell", 3: "sky"}
    assert request.prediction_classes == {1: "sky", 2: "cell"}
    assert request.background == 3


def test_names_of_classes() -> None:
    assert parse_classes(" 1 = cell ;2=cell border, ") == {1: "cell", 2: "cell border"}


def test_a_note_describes_ground_truth_that_started_as_a_prediction() -> None:
    made = {"model": "m.safetensors", "model_name": "nuclei"}
    truth = labels(metadata={"napari-unet": made})
    (note,) = notes_on_layers(values(truth=truth))
    assert note.startswith("The ground truth 'truth' started as a prediction of 'nuclei'")
    assert notes_on_layers(values()) == []


def test_a_note_describes_layers_at_different_positions() -> None:
    (note,) = notes_on_layers(values(prediction=labels(name="p", scale=(2, 2))))
    assert "is not aligned with" in note


def test_a_click_reads_each_layer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_unet.gui.evaluate import overlay as module

    read: list[str] = []

    def counted(layer: Labels) -> np.ndarray:
        read.append(layer.name)
        return layer.data

    monkeypatch.setattr(module, "layer_data", counted)
    comparison = prepare_comparison(values())
    assert sorted(read) == ["prediction", "truth"]
    assert comparison.placed is not None
    assert comparison.placed.layer.name == "truth"
