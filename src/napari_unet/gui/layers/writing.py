"""Display of results as layers placed on their image, without overwriting the user's work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.palette import CLEAR, GREY
from napari_unet.gui.layers.geometry import result_geometry, to_layer_order
from napari_unet.gui.layers.proxies import unwrapped
from napari_unet.gui.layers.seals import is_ours, reseal, seal, was_edited

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels, Layer

    from napari_unet.core.evaluation.error_map import ErrorMap

__all__ = [
    "METADATA_KEY",
    "add_errors",
    "add_labels",
    "add_probability",
    "feature_columns",
    "our_metadata",
    "set_features",
    "update_labels",
]

METADATA_KEY = "napari-unet"
"""Key of our entry in a layer's metadata, which describes how a result was made."""

_ROOM_TO_PAINT = 0.9
"""Largest share of a data type's range for result ids; the rest is for objects painted later."""


def add_labels(
    viewer: napari.Viewer,
    source_layer: Layer,
    labels: Any,
    *,
    name: str,
    metadata: Mapping[str, Any],
    features: Any = None,
    position: Mapping[str, int] | None = None,
    colours: Mapping[int, str] | None = None,
    axes: str | None = None,
) -> Labels:
    """Show labels as a new layer placed exactly on the layer they were made from.

    Parameters
    ----------
    viewer
        Viewer of the new layer.
    source_layer
        The image layer.
    labels
        Integers or bool in the core's order of axes: those of the image without C and `position`.
        Numpy arrays are converted to uint8 (from 8 bits only), uint16 or int32, with room to paint
        more objects, and are used without a copy if they have that type; dask and zarr arrays stay
        as they are.
    name
        Name of the layer; napari appends a number if it is taken.
    metadata
        Description of how the labels were made, stored as ``layer.metadata["napari-unet"]``.
    features
        Rows (dictionaries with ``id``), or columns, for the layer's features table.
    position
        Index along each axis that `labels` lacks, if it is one plane of a stack.
    colours
        Colour of each id; None: napari's colours.
    axes
        One letter per dimension of `source_layer`; None: `propose_axes`.

    Returns
    -------
    Labels
    """
    from napari.layers import Labels

    viewer, source_layer = unwrapped(viewer), unwrapped(source_layer)
    data = _compact(to_layer_order(labels, source_layer, axes, position))
    layer = Labels(
        data,
        name=name,
        metadata={METADATA_KEY: dict(metadata)},
        **result_geometry(source_layer, axes, position),
    )
    if colours is not None:
        layer.colormap = _colormap(colours)
    if features is not None:
        set_features(layer, features)
    seal(layer)  # before it is added: widgets then check whose layer it is
    viewer.add_layer(layer)
    return layer


def update_labels(
    layer: Labels,
    labels: Any,
    *,
    source_layer: Layer | None = None,
    axes: str | None = None,
    position: Mapping[str, int] | None = None,
    metadata: Mapping[str, Any] | None = None,
    features: Any = None,
) -> bool:
    """Write new labels to our result in place, unless the user has edited it.

    Parameters
    ----------
    layer
        Layer made by `add_labels`.
    labels
        As in `add_labels`.
    source_layer, axes, position
        As in `add_labels`; without them `labels` must have the layer's own shape.
    metadata, features
        New values; None: unchanged.

    Returns
    -------
    bool
        False, with nothing written, if the layer is not ours or was edited; add a new layer then.

    Raises
    ------
    LabelsError
        If the shape does not fit the layer.
    """
    layer = unwrapped(layer)
    if not is_ours(layer) or was_edited(layer):
        return False
    if source_layer is not None:
        source_layer = unwrapped(source_layer)
        labels = to_layer_order(labels, source_layer, axes, position)
    if tuple(labels.shape) != tuple(layer.data.shape):
        raise LabelsError(
            f"New labels of shape {tuple(labels.shape)} do not fit into '{layer.name}' "
            f"{tuple(layer.data.shape)}. Add them as a new layer."
        )
    old = layer.data
    if not np.can_cast(labels.dtype, old.dtype):
        labels = _compact(labels)
    fits = isinstance(old, np.ndarray) and np.can_cast(labels.dtype, old.dtype)
    if fits and old.flags.writeable:
        old[...] = labels  # setting `data` would take five times longer
        layer.refresh(thumbnail=False, highlight=False, extent=False)
    else:
        layer.data = labels
    reseal(layer)
    if metadata is not None:
        layer.metadata[METADATA_KEY] = dict(metadata)
    if features is not None:
        set_features(layer, features)
    return True


def add_probability(
    viewer: napari.Viewer,
    source_layer: Layer,
    probability: Any,
    *,
    name: str,
    metadata: Mapping[str, Any],
    class_names: Sequence[str] | None = None,
    position: Mapping[str, int] | None = None,
    axes: str | None = None,
) -> list[ImageLayer]:
    """Show probabilities as new Image layers, one per class, placed on their source layer.

    Parameters
    ----------
    viewer, source_layer, name, metadata, position, axes
        As in `add_labels`.
    probability
        Floats 0 to 1 with the axes of the labels, or also a class axis C before Y and X.
    class_names
        Name of each class, appended to `name`.

    Returns
    -------
    list of Image layers
        Layers with contrast limits 0 and 1, blended on top of the image.
    """
    from napari.layers import Image as ImageLayer

    viewer, source_layer = unwrapped(viewer), unwrapped(source_layer)
    geometry = result_geometry(source_layer, axes, position)
    classes: list[tuple[str, Any]] = [(name, probability)]
    if probability.ndim > _result_ndim(source_layer, axes, position):
        count = probability.shape[-3]
        names = class_names or [f"class {i + 1}" for i in range(count)]
        classes = [(f"{name}: {names[i]}", probability[..., i, :, :]) for i in range(count)]
    made = []
    for title, values in classes:
        layer = ImageLayer(
            to_layer_order(values, source_layer, axes, position),
            name=title,
            metadata={METADATA_KEY: dict(metadata)},
            contrast_limits=(0, 1),
            colormap="magma",
            blending="additive",
            rgb=False,
            **geometry,
        )
        viewer.add_layer(layer)
        made.append(layer)
    return made


def add_errors(
    viewer: napari.Viewer,
    source_layer: Layer,
    errors: ErrorMap,
    *,
    name: str = "errors",
    metadata: Mapping[str, Any] | None = None,
    position: Mapping[str, int] | None = None,
    axes: str | None = None,
) -> Labels:
    """Show an error map as a Labels layer in its own colours, placed on the scored layer.

    Parameters
    ----------
    viewer, source_layer, name, position, axes
        As in `add_labels`; `source_layer` may be a Labels layer.
    errors
        Error map whose labels have axes TZYX.
    metadata
        Description of the comparison.
    """
    from napari_unet.core.evaluation.error_map import ERROR_CATEGORIES

    layer = add_labels(
        viewer,
        source_layer,
        errors.labels,
        name=name,
        metadata={"kind": "errors", **(metadata or {})},
        features={"index": list(range(1, len(ERROR_CATEGORIES))), "error": ERROR_CATEGORIES[1:]},
        position=position,
        colours=errors.colours,
        axes=axes,
    )
    layer.opacity = 0.8
    return layer


def set_features(layer: Labels, features: Any) -> None:
    """Fill the features table of a Labels layer: the row with ``index`` i belongs to label i.

    Parameters
    ----------
    layer
        The layer.
    features
        Rows (as from `measure_objects`) or columns, with the label's number in ``index`` or
        ``id``.
    """
    columns = feature_columns(features) if isinstance(features, Sequence) else dict(features)
    if "index" not in columns and "id" in columns:
        columns["index"] = columns.pop("id")
    if "index" in columns:
        columns = {"index": columns.pop("index"), **columns}
    layer.features = columns


def our_metadata(layer: Layer) -> dict[str, Any] | None:
    """Return our entry in the metadata of a layer; None if there is none."""
    found = layer.metadata.get(METADATA_KEY)
    return found if isinstance(found, dict) else None


def feature_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Convert the rows of a features table to columns; use another thread for thousands of rows.

    Parameters
    ----------
    rows
        Rows as from `measure_objects`.

    Returns
    -------
    dict
        Columns (pandas) by name for `set_features`, with None for missing values.
    """
    import pandas  # type: ignore[import-untyped, unused-ignore]

    names = dict.fromkeys(name for row in rows for name in row)
    return {name: pandas.Series([row.get(name) for row in rows]) for name in names}


def _compact(labels: Any) -> Any:
    """Convert numpy labels to a small type with room to paint more; return others as they are.

    Classes come in 8 bits and keep them. Objects get at least 16 bits: with 8, a user who corrects
    them would soon run out of ids.
    """
    if not isinstance(labels, np.ndarray):
        return labels
    # Copying a large plane causes a noticeable pause; only read-only arrays need it for painting.
    return labels.astype(_type_with_room(labels), copy=not labels.flags.writeable)


def _type_with_room(labels: NDArray[Any]) -> np.dtype[Any]:
    largest = int(labels.max(initial=0))
    for small in (np.dtype(np.uint8), np.dtype(np.uint16)):
        smaller = small.itemsize == 1 < labels.dtype.itemsize
        if not smaller and largest <= _ROOM_TO_PAINT * np.iinfo(small).max:
            return small
    return np.dtype(np.int32 if largest < 2**31 else np.int64)


def _colormap(colours: Mapping[int, str]) -> Any:
    from napari.utils.colormaps import DirectLabelColormap

    table: dict[int | None, str] = {None: GREY, 0: CLEAR}
    table.update({int(i): colour for i, colour in colours.items()})
    return DirectLabelColormap(color_dict=table)


def _result_ndim(layer: Layer, axes: str | None, position: Mapping[str, int] | None) -> int:
    from napari_unet.gui.layers.axes import check_axes

    letters = check_axes(layer, axes)
    return sum(a != "C" and a not in (position or {}) for a in letters)
