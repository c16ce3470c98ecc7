"""What the evaluation's form says, as a request; tested without any widget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_unet.core.errors import LabelsError, SettingsError, UNetError
from napari_unet.gui.evaluate.overlay import Overlay, layer_data, overlay

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer

    from napari_unet.compute.requests import EvaluateFilesRequest, EvaluateRequest
    from napari_unet.core.images.image import Image as CoreImage

__all__ = [
    "Comparison",
    "EvaluateValues",
    "made_by",
    "notes_on_layers",
    "parse_classes",
    "prepare_comparison",
    "problem",
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
    model
        Model that predicted the files; a layer of ours says itself which it was.
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
    model: Path | None = None
    kind: Literal["instances", "semantic"] = "instances"
    iou_threshold: float = 0.5
    volumes: bool = False
    empty_planes: Literal["ignore", "background"] = "ignore"
    sparse: bool = False
    background: int = 0
    classes: str = ""


def problem(values: EvaluateValues) -> str:
    """Say in a sentence why this cannot be evaluated and how to mend it; empty if it can."""
    try:
        _check(values)
    except UNetError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class Comparison:
    """A comparison that can be made.

    Parameters
    ----------
    request
        What the worker gets.
    placed
        The layers, brought to one shape; None: folders are compared.
    """

    request: EvaluateRequest | EvaluateFilesRequest
    placed: Overlay | None = None


def prepare_comparison(values: EvaluateValues) -> Comparison:
    """Check what is chosen, and make the request of it; each layer is read once.

    Raises
    ------
    UNetError
        With the sentence of `problem`.
    """
    from napari_unet.compute.requests import EvaluateFilesRequest

    placed = _check(values)
    if values.from_folders:
        assert values.prediction_folder is not None
        assert values.truth_folder is not None
        return Comparison(
            EvaluateFilesRequest(
                values.prediction_folder,
                values.truth_folder,
                settings=_settings(values),
                model=values.model,
            )
        )
    assert placed is not None
    return Comparison(_layers_request(values, placed), placed)


def _layers_request(values: EvaluateValues, placed: Overlay) -> EvaluateRequest:
    from napari_unet.compute.requests import EvaluateRequest

    assert values.prediction is not None
    return EvaluateRequest(
        prediction=_snapshot(placed.prediction),
        truth=_snapshot(placed.truth),
        annotated=_annotated(values, placed),
        name=values.prediction.name,
        iou_threshold=values.iou_threshold,
        image=_image(values),
        model=_model_of(values.prediction),
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


def _check(values: EvaluateValues) -> Overlay | None:
    """Raise what keeps the comparison from being made; return the layers on each other."""
    names = parse_classes(values.classes) if values.kind == "semantic" else {}
    placed = None
    if values.from_folders:
        _check_folders(values)
    else:
        placed = _check_layers(values)
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
    return placed


def _check_layers(values: EvaluateValues) -> Overlay:
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
    return placed


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


def _model_of(layer: Labels) -> Path | None:
    """File of the model that made a prediction of ours."""
    model = made_by(layer).get("model")
    return Path(model) if isinstance(model, str) and model else None


def _image(values: EvaluateValues) -> CoreImage | None:
    """The image, where somebody will ask whether the model has seen it."""
    if values.image is None or values.prediction is None or _model_of(values.prediction) is None:
        return None
    from napari_unet.gui.layers import image_from_layers

    names = made_by(values.prediction).get("axes")
    fits = isinstance(names, str) and len(names.replace("S", "")) == values.image.ndim
    return image_from_layers([values.image], names.replace("S", "") if fits and names else None)


def _annotated(values: EvaluateValues, placed: Overlay) -> Any:
    """Mask of the annotated area in the shape of what is scored."""
    if values.annotated is None:
        return None
    from napari_unet.gui.layers import annotated_area

    return annotated_area(values.annotated, placed.layer, placed.axes)


def _snapshot(data: Any) -> Any:
    """Copy what a person may go on drawing in; what is on disk is read by the worker."""
    return data.copy() if isinstance(data, np.ndarray) else data


def _lateral(image: Image) -> tuple[int, ...]:
    shape = layer_data(image).shape
    return tuple(int(n) for n in (shape[:-1] if image.rgb else shape)[-2:])
