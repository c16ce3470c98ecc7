"""Display of predictions as layers, updates in place, and measurements of objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.tasks.base import Task

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels

    from napari_unet.core.images.image import Image
    from napari_unet.core.prediction.prediction import Prediction
    from napari_unet.core.records.prediction_record import PredictionRecord

__all__ = ["Result", "features_of", "hash_of", "show", "show_again"]


@dataclass
class Result:
    """A prediction of one image, and the layer that shows it.

    Parameters
    ----------
    source, axes
        The predicted image layer, and its axes.
    image, position
        The predicted image: the whole one, or the plane at this position.
    record
        Record of the prediction.
    whole
        The whole image.
    job
        Id of the prediction, whose outputs can be decoded again.
    layer
        Layer of the labels, once it exists.
    decodable
        Whether the outputs are kept.
    objects
        Number of objects; None for classes.
    notes
        Decisions on scale and contrast, in sentences.
    round
        Number of updates of the labels, so that measurements of old ones are dropped.
    probability
        Layers of the probabilities.
    """

    source: ImageLayer
    axes: str
    image: Image
    position: dict[str, int]
    record: PredictionRecord
    whole: Image
    job: str = ""
    layer: Labels | None = None
    decodable: bool = True
    round: int = 0
    notes: tuple[str, ...] = ()
    objects: int | None = None
    probability: list[ImageLayer] = field(default_factory=list)

    def located(self) -> PredictionRecord:
        """Return the record with the model's hash and, if it is found, the file of the image."""
        from napari_unet.core.records.prediction_record import find_file_source

        record = self.record
        file = find_file_source(self.whole, record.path, self.axes)
        sha256 = record.model_sha256 or hash_of(Path(record.model))
        return record.model_copy(update={"file": file, "model_sha256": sha256})


def show(viewer: napari.Viewer, result: Result, prediction: Prediction) -> None:
    """Add the labels, and the probabilities if there are any, as new layers."""
    from napari_unet.gui.layers import add_labels, add_probability
    from napari_unet.gui.layers.colours import class_colours

    place: dict[str, Any] = {"position": result.position, "axes": result.axes}
    sha256 = hash_of(Path(result.record.model))
    found = {"model_sha256": sha256} | _fitted(prediction)
    result.record = result.record.model_copy(update=found)
    result.notes = prediction.notes
    metadata = _metadata(result.record)
    name = result.source.name
    if prediction.probabilities is not None:
        task = prediction.model.task
        names = [c.name for c in task.label_classes] or None
        result.probability = add_probability(
            viewer,
            result.source,
            prediction.probabilities,
            name=f"{name} probability",
            metadata=metadata | {"kind": "probability"},
            class_names=names,
            **place,
        )
    result.layer = add_labels(
        viewer,
        result.source,
        prediction.labels,
        name=f"{name} {result.record.task.words.results}",
        metadata=metadata,
        colours=class_colours(result.record.task),
        **place,
    )
    _count(result, prediction)


def show_again(viewer: napari.Viewer, result: Result, prediction: Prediction) -> bool:
    """Show new labels of a prediction in its layer, or in a new layer if the user edited it.

    Returns
    -------
    bool
        Whether the labels were written to the existing layer.
    """
    from napari_unet.gui.layers import update_labels

    written = result.layer is not None and update_labels(
        result.layer,
        prediction.labels,
        source_layer=result.source,
        axes=result.axes,
        position=result.position,
        metadata=_metadata(result.record),
    )
    if written:
        _count(result, prediction)
    else:
        result.layer = None
        show(viewer, result, _without_probabilities(prediction))
    return written


def features_of(prediction: Prediction, image: Image) -> list[dict[str, Any]]:
    """Measure every object or class for the rows of the layer's features table.

    This is slow for large images: do not call it on the main thread.

    Returns
    -------
    list of dict
        For objects as from `napari_unet.core.evaluation.measure.measure_objects`; for classes with
        ``index, class, area_px, share``.
    """
    from napari_unet.core.evaluation.measure import measure_objects

    labels: Any = prediction.labels
    if not isinstance(labels, np.ndarray):
        import dask.array as da

        labels = da.asarray(labels)  # type: ignore[no-untyped-call, unused-ignore]
    info = prediction.model
    if not info.task.labels_are_objects:
        return _class_features(labels, info.task)
    rows = measure_objects(labels, image, confidence=prediction.confidence, ndim=info.unet.ndim)
    stack = bool(image.label_shape[: -info.unet.ndim])
    unwanted = {"file"} if stack else {"file", "plane"}
    return [{k: v for k, v in row.items() if k not in unwanted} for row in rows]


@lru_cache(maxsize=8)
def _hash(path: Path, _changed_ns: int, _size: int) -> str:
    from napari_unet.core.models.model_file import model_hash

    return model_hash(path)


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a model file, cached until it changes; empty if it is missing."""
    try:
        stat = path.stat()
        return _hash(path, stat.st_mtime_ns, stat.st_size)
    except OSError:
        return ""


def _fitted(prediction: Prediction) -> dict[str, Any]:
    """Return the scale and contrast of a prediction as fields of the record."""
    found: dict[str, Any] = {"scale": prediction.scale, "diameter_px": prediction.diameter_px}
    return found | ({"contrast": "inverted"} if prediction.inverted else {})


def _count(result: Result, prediction: Prediction) -> None:
    result.round += 1
    objects = prediction.model.task.labels_are_objects
    result.objects = len(prediction.confidence) - 1 if objects else None


def _metadata(record: PredictionRecord) -> dict[str, Any]:
    values: Mapping[str, Any] = record.model_dump(mode="json")
    return {"kind": "prediction", **values}


def _without_probabilities(prediction: Prediction) -> Prediction:
    from dataclasses import replace

    return replace(prediction, probabilities=None)


def _class_features(labels: Any, task: Task) -> list[dict[str, Any]]:
    counts = dict.fromkeys((c.id for c in task.label_classes), 0)
    for plane in labels if labels.ndim > 2 else [labels]:
        ids, numbers = np.unique(np.asarray(plane), return_counts=True)
        for class_id, number in zip(ids.tolist(), numbers.tolist(), strict=True):
            counts[class_id] = counts.get(class_id, 0) + number
    total = max(1, sum(counts.values()))
    names = {c.id: c.name for c in task.label_classes}
    return [
        {"index": i, "class": names.get(i, ""), "area_px": n, "share": n / total}
        for i, n in counts.items()
    ]
