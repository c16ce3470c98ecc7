"""Values of the evaluation form, their checks and the request made from them."""

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
    """Values of the evaluation form.

    Parameters
    ----------
    from_folders
        Whether two folders of files are compared instead of two layers.
    prediction, truth
        Labels layers to compare.
    image
        Image behind both, used to check whether the model was trained on it.
    annotated
        Shapes or Labels layer that marks the scored area.
    prediction_folder, truth_folder
        Folders of label files to compare.
    model
        Model that predicted the files. Layers predicted by this plugin record theirs.
    kind
        Meaning of the labels: ``"instances"`` or ``"semantic"``.
    iou_threshold
        Smallest intersection over union of a hit.
    volumes
        Whether whole volumes are scored instead of single planes.
    empty_planes
        Meaning of planes without ground-truth labels, as in `evaluate_many`.
    sparse
        Whether 0 in the ground truth means "not painted".
    background
        Id of the background in the ground truth.
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
    """Return a sentence on why this cannot be evaluated and what to do, or an empty string."""
    try:
        _check(values)
    except UNetError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class Comparison:
    """A valid comparison.

    Parameters
    ----------
    request
        Request for the worker.
    placed
        The layers, brought to one shape. None if folders are compared.
    """

    request: EvaluateRequest | EvaluateFilesRequest
    placed: Overlay | None = None


def prepare_comparison(values: EvaluateValues) -> Comparison:
    """Check the values and build the request, reading each layer once.

    Raises
    ------
    UNetError
        If the comparison is impossible, with the message of `problem`.
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
    """Read class names by id from text such as ``"1=cell, 2=border"``.

    Raises
    ------
    SettingsError
        If a part is not an id with a name, or an id occurs twice.
    """
    names: dict[int, str] = {}
    for part in filter(None, (p.strip() for p in text.replace(";", ",").split(","))):
        number, _, name = (p.strip() for p in part.partition("="))
        if not number.isdecimal() or not name:
            raise SettingsError(
                f"The class names contain '{part}': expected an id and a name, such as 1=cell, "
                "2=border."
            )
        if int(number) in names:
            raise SettingsError(f"The class names list the id {number} twice: name each id once.")
        names[int(number)] = name
    return names


def made_by(layer: Layer | None) -> Mapping[str, Any]:
    """Return how this plugin made a layer, as recorded in its metadata, or an empty mapping."""
    from napari_unet.gui.layers import our_metadata

    return (None if layer is None else our_metadata(layer)) or {}


def notes_on_layers(values: EvaluateValues) -> list[str]:
    """Return sentences about the layers that a reader of the scores should know."""
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
            f"The ground truth '{values.truth.name}' started as a prediction of '{model}': scores "
            "against corrected predictions tend to be higher than against labels drawn by hand."
        )
    return notes


def _check(values: EvaluateValues) -> Overlay | None:
    """Return the aligned layers, or raise an error if they cannot be compared."""
    names = parse_classes(values.classes) if values.kind == "semantic" else {}
    placed = None
    if values.from_folders:
        _check_folders(values)
    else:
        placed = _check_layers(values)
    if values.kind == "semantic" and values.sparse and values.background == 0:
        raise SettingsError(
            "0 in the ground truth means 'not painted' and cannot be the background as well: set "
            "the id of the painted background" + (f" ({sorted(names)})." if names else ".")
        )
    if names and values.background and values.background not in names:
        raise SettingsError(
            f"The background is {values.background}, but only {sorted(names)} have names: add a "
            f"name, for example {values.background}=background."
        )
    return placed


def _check_layers(values: EvaluateValues) -> Overlay:
    if values.prediction is None or values.truth is None:
        which = "prediction" if values.prediction is None else "ground truth"
        raise LabelsError(
            f"There is no {which}: open or draw a Labels layer and choose it as the {which}."
        )
    if values.prediction is values.truth:
        raise LabelsError(
            f"Prediction and ground truth are both '{values.truth.name}': choose two Labels layers."
        )
    placed = overlay(values.prediction, values.truth)
    for what, array in (("prediction", placed.prediction), ("ground truth", placed.truth)):
        if array.dtype.kind not in "biu":
            raise LabelsError(f"The {what} has the type {array.dtype}: expected integers.")
    if values.volumes and "Z" not in placed.axes:
        raise SettingsError(
            f"'{placed.layer.name}' has axes {placed.axes}, without depth (Z): score each plane "
            "instead of whole volumes."
        )
    if values.sparse and values.kind == "instances" and values.annotated is None:
        raise SettingsError(
            "Partly labelled objects can only be scored inside an annotated area: choose one under "
            "More settings."
        )
    if values.image is not None and _lateral(values.image) != tuple(placed.truth.shape[-2:]):
        raise LabelsError(
            f"The image '{values.image.name}' has {_lateral(values.image)} pixels and the labels "
            f"have {tuple(placed.truth.shape[-2:])}: choose the image that belongs to them, or "
            "none."
        )
    return placed


def _check_folders(values: EvaluateValues) -> None:
    for what, folder in (
        ("predictions", values.prediction_folder),
        ("ground truth", values.truth_folder),
    ):
        if folder is None or not folder.is_dir():
            found = f"'{folder}' does not exist" if folder else "none is chosen"
            raise LabelsError(f"Folder of the {what}: {found}. Choose a folder of label files.")
    if values.prediction_folder == values.truth_folder:
        raise LabelsError(
            f"Predictions and ground truth are the same folder '{values.truth_folder}': choose two "
            "folders."
        )
    if values.sparse and values.kind == "instances":
        raise SettingsError(
            "Partly labelled objects need an annotated area, which folders do not have: compare "
            "layers instead."
        )


def _settings(values: EvaluateValues) -> dict[str, Any]:
    """Return the keyword arguments of `evaluate_many`."""
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
    """Return the class names of a prediction by this plugin, or None if they are unknown."""
    task = made_by(layer).get("task", {})
    classes = task.get("classes", ()) if isinstance(task, Mapping) else ()
    return {int(c["id"]): str(c["name"]) for c in classes} or None


def _model_of(layer: Labels) -> Path | None:
    """Return the file of the model behind a prediction by this plugin."""
    model = made_by(layer).get("model")
    return Path(model) if isinstance(model, str) and model else None


def _image(values: EvaluateValues) -> CoreImage | None:
    """Return the image if the model is known, to check whether it was trained on it."""
    if values.image is None or values.prediction is None or _model_of(values.prediction) is None:
        return None
    from napari_unet.gui.layers import image_from_layers

    names = made_by(values.prediction).get("axes")
    fits = isinstance(names, str) and len(names.replace("S", "")) == values.image.ndim
    return image_from_layers([values.image], names.replace("S", "") if fits and names else None)


def _annotated(values: EvaluateValues, placed: Overlay) -> Any:
    """Return the mask of the annotated area in the shape of the scored labels."""
    if values.annotated is None:
        return None
    from napari_unet.gui.layers import annotated_area

    return annotated_area(values.annotated, placed.layer, placed.axes)


def _snapshot(data: Any) -> Any:
    """Copy arrays in memory, which the user may keep editing; the worker reads those on disk."""
    return data.copy() if isinstance(data, np.ndarray) else data


def _lateral(image: Image) -> tuple[int, ...]:
    shape = layer_data(image).shape
    return tuple(int(n) for n in (shape[:-1] if image.rgb else shape)[-2:])
