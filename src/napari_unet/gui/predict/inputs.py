"""Inputs of a prediction from layers, and training data from corrected labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.gui.predict.form import PredictForm, channel_layers
from napari_unet.gui.predict.results import Result
from napari_unet.gui.predict.sections import Correction

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer

    from napari_unet.core.images.image import Image

__all__ = ["chosen_layers", "correction", "is_picture", "read_input"]

_NO_LABELS = ("errors", "preview", "proposal", "uncertainty")
"""Kinds of our layers that are never corrected labels."""


def is_picture(layer: Any) -> bool:
    """Return whether an image layer is the user's, not one of our probability layers."""
    from napari_unet.gui.layers import our_metadata

    return our_metadata(layer) is None


def chosen_layers(viewer: napari.Viewer, scope: str, chosen: ImageLayer | None) -> list[ImageLayer]:
    """Return the layers to predict: the chosen one, or all selected in the layer list."""
    if scope == "folder":
        return []
    if scope != "selected":
        return [] if chosen is None else [chosen]
    selected = viewer.layers.selection
    return [layer for layer in viewer.layers if layer in selected and _is_image(layer)]


def read_input(viewer: napari.Viewer, form: PredictForm, layer: ImageLayer) -> Result:
    """Read the image to predict from a layer and those with its other channels.

    Raises
    ------
    UNetError
        If layers and settings do not fit together.
    """
    from napari_unet.gui.layers import current_plane

    axes, layers, channels, whole = _picture(viewer, form, layer)
    image = whole
    position: dict[str, int] = {}
    if form.scope == "plane":
        image, position = current_plane(viewer, whole, layer, axes)
    record = form.record(
        layer.name,
        "",
        layers=tuple(x.name for x in layers),
        axes=axes + "S" * bool(layer.rgb),
        channels=channels,
        path=str(whole.path) if whole.path else None,
        position=position,
    )
    return Result(layer, axes, image, position, record, whole)


def _picture(
    viewer: napari.Viewer, form: PredictForm, layer: ImageLayer
) -> tuple[str, list[ImageLayer], tuple[str | int, ...] | None, Image]:
    """Return the axes of a layer, the layers of its channels, the channels used, and the image."""
    from napari_unet.gui.layers import check_axes, image_from_layers

    axes = check_axes(layer, form.axes if form.scope in ("stack", "plane") else None)
    layers, channels = [layer], form.channels
    if "C" not in axes and not layer.rgb:
        same = {x.name: x for x in viewer.layers if _is_image(x)}
        names = channel_layers(layer.name, list(same), form.info, form.channels)
        layers = [same[name] for name in names]
        if layers != [layer] or form.channels == (layer.name,):
            channels = None
    return axes, layers, channels, image_from_layers(layers, axes, channels)


def correction(
    viewer: napari.Viewer,
    form: PredictForm,
    results: Sequence[Result],
    chosen: ImageLayer | None,
) -> Correction:
    """Copy the labels to add to a training set: the selected ones, or those of the last result.

    Parameters
    ----------
    viewer, form
        As in `read_input`.
    results
        Known results in the viewer, the latest last.
    chosen
        Image of the labels, if they are not our result.

    Raises
    ------
    UNetError
        If there are no labels, or they do not fit the image.
    """
    from napari.layers import Labels

    from napari_unet.gui.layers import labels_from_layer, our_metadata

    active = viewer.layers.selection.active
    known = {r.layer: r for r in results if r.layer is not None and r.layer in viewer.layers}
    usable = type(active) is Labels and (our_metadata(active) or {}).get("kind") not in _NO_LABELS
    labels = active if usable else next(reversed(known), None)
    if labels is None:
        raise LabelsError("There are no labels: select a corrected Labels layer, or predict first.")
    if labels not in known:
        if chosen is None:
            raise ImageError(f"Choose the image that '{labels.name}' belongs to.")
        axes, _, _, image = _picture(viewer, form, chosen)
        return Correction(image, labels_from_layer(labels, chosen, axes), image.name)
    result = known[labels]
    image = result.image
    if not result.position:
        return Correction(image, labels_from_layer(labels, result.source, result.axes), image.name)
    plane = np.array(labels.data).reshape(image.label_shape)
    where = "_".join(f"{axis}{index}" for axis, index in result.position.items())
    return Correction(image, plane, f"{image.name}_{where}", image.name)


def _is_image(layer: Any) -> bool:
    return bool(layer._type_string == "image")
