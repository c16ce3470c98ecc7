"""What the evaluation's form says, as a request; tested without any widget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_unet.core.errors import LabelsError, SettingsError, UNetError
from napari_unet.core.images import AXES

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer

    from napari_unet.compute.requests import EvaluateFilesRequest, EvaluateRequest

__all__ = [
    "EvaluateValues",
    "Overlay",
    "made_by",
    "notes_on_layers",
    "overlay",
    "parse_classes",
    "problem",
    "request_from",
]


@dataclass(frozen=True)
class EvaluateValues:
    """What is chosen in the form.

    Parameters
    ----------
    from_folders
        Compare two folders of files rather than two layers.
    prediction, truth
        The layers.
    image
        The image behind both, to tell whether a model was trained on it.
    annotated
        Shapes or Labels layer: what is scored.
    prediction_folder, truth_folder
        The folders.
    kind
        What labels are: ``"instances"`` or ``"semantic"``.
    iou_threshold
        Least intersection over union of a hit.
    volumes
        Score whole volumes, not each plane.
    empty_planes
        What a plane without labels in the truth means; as for `evaluate_many`.
    sparse
        0 in the truth means "not painted".
    background
        Id of the background in the truth.
    classes
        Names of the classes, such as ``"1=cell, 2=border"``.
    """

    from_folders: bool = False
    prediction: Labels | None = None
    truth: Labels | None = None
    image: Image | None = None
    annotated: Layer | None = None
    prediction_folder: Path | None = None
    truth_folder: Path | None = None
    kind: Literal["instances", "semantic"] = "instances"
    iou_threshold: float = 0.5
    volumes: bool = False
    empty_planes: Literal["ignore", "background"] = "ignore"
    sparse: bool = False
    background: int = 0
    classes: str = ""


@dataclass(frozen=True)
class Overlay:
    """Prediction and truth brought to one shape, and the layer on which they lie.

    Parameters
    ----------
    prediction, truth
        Arrays of one shape; axes TZYX, those that there are.
    layer
        Layer of the same shape and place, on which an error layer goes.
    axes
        One letter per dimension of `layer`, in its order.
    """

    prediction: Any
    truth: Any
    layer: Labels
    axes: str

    def position(self, plane: str) -> dict[str, int]:
        """Read a plane's position, bare numbers as in ``"3 1"``, as an index by axis."""
        leading = [a for a in AXES if a in self.axes]
        return dict(zip(leading, map(int, plane.split()), strict=False))


def problem(values: EvaluateValues) -> str:
    """Say in a sentence why this cannot be evaluated and how to mend it; empty if it can."""
    try:
        _check(values)
    except UNetError as error:
        return str(error)
    return ""


def request_from(values: EvaluateValues) -> EvaluateRequest | EvaluateFilesRequest:
    """Make the request that a worker gets.

    Raises
    ------
    UNetError
        With the sentence of `problem`.
    """
    from napari_unet.compute.requests import EvaluateFilesRequest, EvaluateRequest

    _check(values)
    if values.from_folders:
        assert values.prediction_folder is not None
        assert values.truth_folder is not None
        return EvaluateFilesRequest(
            values.prediction_folder, values.truth_folder, settings=_settings(values)
        )
    assert values.prediction is not None
    assert values.truth is not None
    placed = overlay(values.prediction, values.truth)
    return EvaluateRequest(
        prediction=_snapshot(placed.prediction),
        truth=_snapshot(placed.truth),
        annotated=_annotated(values, placed),
        name=values.prediction.name,
        iou_threshold=values.iou_threshold,
        **_settings(values),
    )


def parse_classes(text: str) -> dict[int, str]:
    """Read names of classes by id from a text such as ``"1=cell, 2=border"``.

    Raises
    ------
    SettingsError
        When a part of it is no id and name.
    """
    names: dict[int, str] = {}
    for part in filter(None, (p.strip() for p in text.replace(";", ",").split(","))):
        number, _, name = (p.strip() for p in part.partition("="))
        if not number.isdecimal() or not name:
            raise SettingsError(
                f"The class names hold '{part}': expected an id and its name, such as 1=cell, "
                "2=border."
            )
        if int(number) in names:
            raise SettingsError(f"The class names hold the id {number} twice: name each once.")
        names[int(number)] = name
    return names


def overlay(prediction: Labels, truth: Labels) -> Overlay:
    """Bring prediction and truth to one shape.

    A prediction of one plane is compared with the plane of the truth on which it lies; axes of
    length 1 that the truth does not have are dropped.

    Raises
    ------
    LabelsError
        When they do not fit.
    """
    from napari_unet.gui.layers import propose_axes

    p, t = _data(prediction), _data(truth)
    layer = truth
    if p.shape != t.shape:
        if _without_single(p.shape) == _without_single(t.shape):
            p = np.asarray(p).reshape(t.shape)
        elif (plane := _plane_of(prediction, truth)) is not None:
            t, layer = t[tuple(slice(i, i + 1) for i in plane)], prediction
    if p.shape == t.shape:
        axes = propose_axes(layer)
        return Overlay(_in_order(p, axes), _in_order(t, axes), layer, axes)
    raise LabelsError(
        f"The prediction '{prediction.name}' has shape {tuple(p.shape)} and the truth "
        f"'{truth.name}' {tuple(t.shape)}: expected the same. Choose the two that belong to one "
        "image."
    )


def made_by(layer: Layer | None) -> Mapping[str, Any]:
    """Give the record of how a layer was made, which predictions of ours carry; else nothing."""
    from napari_unet.gui.layers import our_metadata

    return (None if layer is None else our_metadata(layer)) or {}


def notes_on_layers(values: EvaluateValues) -> list[str]:
    """Say what a reader of the scores should know about the layers."""
    from napari_unet.gui.layers import misalignment

    if values.from_folders or values.prediction is None or values.truth is None:
        return []
    notes = []
    if values.prediction.data.shape == values.truth.data.shape and (
        apart := misalignment(values.truth, values.prediction)
    ):
        notes.append(apart)
    if made_by(values.truth).get("model"):
        model = made_by(values.truth).get("model_name", "a model")
        notes.append(
            f"The truth '{values.truth.name}' began as a prediction of '{model}': scores against "
            "labels that a person only corrected are kinder than against labels drawn freely."
        )
    return notes


def _check(values: EvaluateValues) -> None:
    names = parse_classes(values.classes) if values.kind == "semantic" else {}
    if values.from_folders:
        _check_folders(values)
    else:
        _check_layers(values)
    if values.kind == "semantic" and values.sparse and values.background == 0:
        raise SettingsError(
            "0 in the truth means 'not painted', so it is not the background, too: set the id "
            "under which the background was painted" + (f" ({sorted(names)})." if names else ".")
        )
    if names and values.background and values.background not in names:
        raise SettingsError(
            f"The background is {values.background}, which has no name among {sorted(names)}: add "
            f"it, for example {values.background}=background."
        )


def _check_layers(values: EvaluateValues) -> None:
    if values.prediction is None or values.truth is None:
        which = "prediction" if values.prediction is None else "truth"
        raise LabelsError(
            f"There is no {which}: open or draw a Labels layer, and choose it as the {which}."
        )
    if values.prediction is values.truth:
        raise LabelsError(
            f"Prediction and truth are both '{values.truth.name}': choose two Labels layers."
        )
    placed = overlay(values.prediction, values.truth)
    for what, array in (("prediction", placed.prediction), ("truth", placed.truth)):
        if array.dtype.kind not in "biu":
            raise LabelsError(f"The {what} holds {array.dtype}: expected integers.")
    if values.volumes and "Z" not in placed.axes:
        raise SettingsError(
            f"'{placed.layer.name}' has axes {placed.axes}, without depth (Z): score planes, not "
            "volumes."
        )
    if values.sparse and values.kind == "instances" and values.annotated is None:
        raise SettingsError(
            "Objects that are only partly labelled cannot be scored without knowing where "
            "somebody looked: choose the annotated area, and untick '0 is not painted'."
        )
    if values.image is not None and _lateral(values.image) != tuple(placed.truth.shape[-2:]):
        raise LabelsError(
            f"The image '{values.image.name}' is {_lateral(values.image)} and the labels "
            f"{tuple(placed.truth.shape[-2:])} pixels: choose the image that belongs to them, or "
            "none."
        )


def _check_folders(values: EvaluateValues) -> None:
    for what, folder in (
        ("predictions", values.prediction_folder),
        ("truth", values.truth_folder),
    ):
        if folder is None or not folder.is_dir():
            came = "none is chosen" if folder is None else f"there is no folder '{folder}'"
            raise LabelsError(f"The folder of the {what}: {came}. Choose one with label files.")
    if values.prediction_folder == values.truth_folder:
        raise LabelsError(
            f"Predictions and truth are the same folder '{values.truth_folder}': choose two."
        )
    if values.sparse and values.kind == "instances":
        raise SettingsError(
            "Objects that are only partly labelled need an annotated area, which folders do not "
            "have: compare layers."
        )


def _settings(values: EvaluateValues) -> dict[str, Any]:
    """Keywords of `evaluate_many`."""
    common = {
        "kind": values.kind,
        "ndim": 3 if values.volumes else 2,
        "empty_planes": values.empty_planes,
    }
    if values.kind == "instances":
        return common
    names = parse_classes(values.classes)
    if names:
        names.setdefault(values.background, "background")
    predicted = _predicted_classes(values.prediction) if names else None
    return common | {
        "classes": names or None,
        "prediction_classes": predicted,
        "background": values.background,
        "sparse": values.sparse,
    }


def _predicted_classes(layer: Labels | None) -> dict[int, str] | None:
    """Names of the classes of a prediction of ours; None where nobody knows them."""
    task = made_by(layer).get("task", {})
    classes = task.get("classes", ()) if isinstance(task, Mapping) else ()
    return {int(c["id"]): str(c["name"]) for c in classes} or None


def _annotated(values: EvaluateValues, placed: Overlay) -> Any:
    """Mask of the annotated area in the shape of what is scored."""
    if values.annotated is None:
        return None
    from napari_unet.gui.layers import annotated_area

    return annotated_area(values.annotated, placed.layer, placed.axes)


def _data(layer: Layer) -> Any:
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data


def _in_order(data: Any, axes: str) -> Any:
    """Bring an array with these axes into the core's order."""
    order = [axes.index(a) for a in AXES if a in axes]
    if order == sorted(order):
        return data
    if not hasattr(data, "transpose"):  # zarr
        import dask.array as da

        data = da.from_array(data)
    return data.transpose(order)


def _snapshot(data: Any) -> Any:
    """Copy what a person may go on drawing in; what is on disk is read by the worker."""
    return data.copy() if isinstance(data, np.ndarray) else data


def _without_single(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _lateral(image: Image) -> tuple[int, ...]:
    shape = _data(image).shape
    return tuple(int(n) for n in (shape[:-1] if image.rgb else shape)[-2:])


def _plane_of(prediction: Labels, truth: Labels) -> tuple[int, ...] | None:
    """Index of the truth's plane on which a prediction of one plane lies."""
    from napari_unet.gui.layers.geometry import to_data, to_world

    p, t = _data(prediction).shape, _data(truth).shape
    leading = len(t) - 2
    if len(p) != len(t) or p[-2:] != t[-2:] or any(n != 1 for n in p[:-2]):
        return None
    corner = to_data(truth, to_world(prediction, np.zeros((1, len(p)))))[0]
    index = tuple(round(float(i)) for i in corner[:leading])
    inside = all(0 <= i < n for i, n in zip(index, t[:-2], strict=True))
    return index if inside else None
