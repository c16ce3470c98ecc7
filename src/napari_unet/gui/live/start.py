"""Start of a new live training: layers to paint on, and a model to start from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import ImageError
from napari_unet.gui.layers.pair_row import PairRow
from napari_unet.gui.live.session_layers import session_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels

__all__ = ["add_strokes", "notice_about", "rows_to_paint", "shipped_model_for"]

_BRUSH_PX = 5
_FEW_OBJECTS, _COMPACT, _ABOUT = 3, 0.8, 3
"""Limits for label 1 to look like an object: other objects, solidity, ratio of sizes."""


def rows_to_paint(
    viewer: napari.Viewer, rows: Sequence[PairRow], axes: str | None, *, objects: bool
) -> list[PairRow]:
    """Return the pairs to train on; if there are none, add a Labels layer to the selected image.

    Parameters
    ----------
    viewer
        The viewer that gets the new layer, with the brush selected.
    rows
        Chosen pairs of layers.
    axes
        As in `napari_unet.gui.layers.image_from_layers`.
    objects
        Whether labels are objects, which may be many.

    Raises
    ------
    ImageError
        If no image is open.
    """
    if rows:
        return list(rows)
    image = _selected_image(viewer)
    dtype = np.uint16 if objects else np.uint8
    return [PairRow((image,), _new_strokes(viewer, image, axes, dtype), None)]


def notice_about(rows: Sequence[PairRow], axes: str | None, *, objects: bool) -> str:
    """Describe how Live interprets the layers if the user may expect otherwise; else empty."""
    from napari_unet.gui.layers import check_axes
    from napari_unet.gui.layers.axes import layer_shape

    for row in rows:
        if objects and _looks_like_an_object(row.labels):
            return (
                f"Label 1 of '{row.labels.name}' looks like an object, but Live treats label 1 as "
                "background. If it is an object, fill it with another number and paint some "
                "background with label 1."
            )
        image = row.images[0]
        letters = check_axes(image, axes)
        if axes is None and "C" in letters and not image.rgb:
            count = layer_shape(image)[letters.index("C")]
            return (
                f"'{image.name}' is interpreted as an image with {count} channels. If it is a "
                "stack, stop and set the axes under 'Axes, channels, planes'."
            )
    return ""


def shipped_model_for(image: ImageLayer) -> Path | None:
    """Return the shipped model for this kind of image, in colour or not."""
    from napari_unet.core.models.catalogue import DEFAULT_MODEL, list_models

    shipped = {e.name: e.path for e in list_models() if e.origin == "shipped" and e.info}
    wanted = ("nuclei-brightfield" if image.rgb else DEFAULT_MODEL, DEFAULT_MODEL)
    return next((shipped[name] for name in wanted if name in shipped), None)


def add_strokes(
    viewer: napari.Viewer, image: ImageLayer, axes: str | None, labels: Any, name: str
) -> Labels:
    """Add a Labels layer to an image, with the brush selected.

    Parameters
    ----------
    viewer
        The viewer that gets the layer.
    image, axes
        The image layer and its axes.
    labels
        Initial labels, with those of the axes TZYX that the image has.
    name
        Name of the layer.
    """
    from napari_unet.gui.layers import result_geometry, to_layer_order

    placed = to_layer_order(labels, image, axes)
    layer = viewer.add_labels(placed, name=name, **result_geometry(image, axes))
    layer.mode, layer.selected_label, layer.brush_size = "paint", 1, _BRUSH_PX
    return layer


def _looks_like_an_object(layer: Labels) -> bool:
    """Return whether label 1 is one compact piece, about as large as the other objects."""
    from skimage.measure import regionprops

    data = np.squeeze(np.asarray(layer.data[0] if layer.multiscale else layer.data))
    numbers, areas = np.unique(data, return_counts=True)  # labels may be too large for bincount
    others = areas[numbers > 1]
    if data.ndim != 2 or session_of(layer) is not None or len(others) < _FEW_OBJECTS:
        return False
    if 1 not in numbers or areas[numbers == 1] >= _ABOUT * np.median(others):
        return False
    (first,) = regionprops((data == 1).astype(np.uint8))
    stroke = first.axis_minor_length < first.axis_major_length / _ABOUT
    return bool(first.solidity >= _COMPACT and not stroke)


def _selected_image(viewer: napari.Viewer) -> ImageLayer:
    from napari_unet.gui.layers import our_metadata

    images: list[Any] = [x for x in viewer.layers if x._type_string == "image"]
    active = viewer.layers.selection.active
    if not images:
        raise ImageError(
            "No image is open. Open one to paint on, for example from File > Open Sample."
        )
    if active in images:
        return active
    return next((x for x in reversed(images) if our_metadata(x) is None), images[-1])


def _new_strokes(
    viewer: napari.Viewer, image: ImageLayer, axes: str | None, dtype: type[np.unsignedinteger[Any]]
) -> Labels:
    """Add an empty Labels layer to an image, with the brush selected."""
    from napari_unet.gui.layers import image_from_layers

    shape = image_from_layers([image], axes).label_shape
    return add_strokes(viewer, image, axes, np.zeros(shape, dtype), f"{image.name} strokes")
