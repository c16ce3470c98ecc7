"""Preview of the current prediction for the image in view: one layer, updated in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_unet.core.images.image import Image
    from napari_unet.core.images.normalization import IntensityRange, Normalization
    from napari_unet.core.tasks.base import Task

__all__ = ["PreviewLayer", "PreviewSource", "preview_source"]

_LARGEST_SIDE_PX = 1024
"""Larger planes are cropped around the middle of the view, as a preview must be cheap."""


@dataclass(frozen=True, eq=False)
class PreviewSource:
    """The plane to preview.

    Parameters
    ----------
    image
        Image with axes YX or CYX; lazy data stays lazy.
    layer, axes, position
        Place of the result, as in `napari_unet.gui.layers.add_labels`.
    scope
        Pixels for the normalisation, see `napari_unet.core.images.image.Image.scope`.
    """

    image: Image
    layer: Any
    axes: str | None
    position: dict[str, int]
    scope: Any

    def loaded(self) -> Image:
        """Read the image into memory; call it on another thread, as reading may take time."""
        return replace(self.image, data=np.ascontiguousarray(self.image.data))

    def ranges(self, normalization: Normalization) -> tuple[IntensityRange, ...]:
        """Compute the intensity ranges over the scope of the plane; call it on another thread.

        Raises
        ------
        ImageError
            If there are NaN or infinite values.
        """
        image = self.image
        return tuple(normalization.ranges(self.scope, image.rgb, image.name))


def preview_source(
    viewer: napari.Viewer,
    layers: Sequence[Any],
    axes: str | None,
    channels: Sequence[str | int] | None,
    *,
    separate: bool = False,
) -> PreviewSource:
    """Return the plane in view, or of a large plane the part around the middle of the view.

    Parameters
    ----------
    viewer
        The viewer.
    layers
        Image layers that make up one image.
    axes, channels
        As in `napari_unet.gui.layers.image_from_layers`.
    separate
        Whether planes are separate images, each normalised on its own.
    """
    from napari_unet.gui.layers import check_axes, current_plane, image_from_layers

    letters = check_axes(layers[0], axes)
    image = image_from_layers(layers, letters, channels)
    plane, position = current_plane(viewer, image, layers[0], letters)
    scope = plane.scope({}) if separate else image.scope(position)
    if max(plane.label_shape) <= _LARGEST_SIDE_PX or letters[-2:] != "YX":
        return PreviewSource(plane, layers[0], letters, position, scope)
    part = _part_in_view(viewer, plane, layers[0], letters, position)
    return replace(part, scope=scope)


class PreviewLayer:
    """The layer with the preview.

    Parameters
    ----------
    viewer
        Viewer of the preview.
    source
        Plane to preview.
    task
        Task, for the colours of classes.
    metadata
        Metadata of the preview.
    visible
        Whether the layer is visible at first.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        source: PreviewSource,
        task: Task,
        metadata: Mapping[str, Any],
        *,
        visible: bool = True,
    ) -> None:
        from napari_unet.gui.layers.colours import class_colours

        self._viewer = viewer
        self._source = source
        self._colours = class_colours(task)
        self._metadata = {"kind": "preview", **metadata}
        self._visible, self._moved = visible, False
        self.layer: Labels | None = None

    def move(self, source: PreviewSource) -> None:
        """Show another plane of the same image, starting with the next labels."""
        self._source, self._moved = source, True

    def show(self, labels: Any, step: int) -> None:
        """Show new labels.

        A layer that the user removed is not added again. A layer that the user painted on is left
        as it is, and the preview continues in a new layer.
        """
        from napari_unet.gui.layers import lay_on, update_labels

        if self.unwanted:
            return
        metadata = self._metadata | {"image": self._source.image.name, "step": step}
        metadata["colours"] = self._colours
        place: dict[str, Any] = {
            "source_layer": self._source.layer,
            "axes": self._source.axes,
            "position": self._source.position,
            "metadata": metadata,
        }
        if self.layer is None:
            self.layer = self._earlier(labels)
        if self.layer is None or not update_labels(self.layer, labels, **place):
            self.layer = self._add(labels, place)
        elif self._moved:
            lay_on(self.layer, self._source.layer, self._source.axes, self._source.position)
        self._moved = False

    def _earlier(self, labels: Any) -> Labels | None:
        """Find an existing preview to reuse; remove or hide others, but not the user's work.

        One of this run is removed, as the colours of its classes have changed.
        """
        from napari_unet.gui.layers import lay_on, our_metadata, to_layer_order, was_edited

        source = self._source
        where = source.layer, source.axes, source.position
        shape = to_layer_order(labels, *where).shape
        found = None
        for layer in list(self._viewer.layers):
            about = our_metadata(layer) or {}
            if about.get("kind") != "preview" or about.get("image") != source.image.name:
                continue
            if was_edited(layer):  # or a copy made by the user
                continue
            named = layer.name.partition(" [")[0] == self._name  # renamed: the user keeps it
            same = layer.data.shape == shape and about.get("colours") == self._colours
            if found is None and named and same:
                found = layer
            elif named and about.get("run") == self._metadata.get("run"):
                self._viewer.layers.remove(layer)
            else:
                layer.visible = False
        if found is not None:
            lay_on(found, *where)
            found.visible = self._visible
        return found

    @property
    def unwanted(self) -> bool:
        """Whether the user removed the layer."""
        return self.layer is not None and self.layer not in self._viewer.layers

    @property
    def visible(self) -> bool:
        """Whether the layer is visible."""
        return self._visible if self.layer is None else bool(self.layer.visible)

    @property
    def _name(self) -> str:
        return f"{self._source.image.name} preview"

    def _add(self, labels: Any, place: Mapping[str, Any]) -> Labels:
        """Add the layer without changing the selection, as the user may be painting."""
        from napari_unet.gui.layers import add_labels

        selected = set(self._viewer.layers.selection)
        active = self._viewer.layers.selection.active
        layer = add_labels(
            self._viewer, labels=labels, name=self._name, colours=self._colours, **place
        )
        layer.opacity, layer.visible = 0.5, self._visible  # strokes and image stay visible
        layers = self._viewer.layers
        layers.move(layers.index(layer), self._below_strokes())
        self._viewer.layers.selection = selected
        self._viewer.layers.selection.active = active
        return layer

    def _below_strokes(self) -> int:
        """Return the index for the new, topmost layer: below painted labels, above every image."""
        from napari_unet.gui.layers import was_edited

        layers = list(self._viewer.layers)[:-1]
        found = len(layers)
        for index in range(len(layers) - 1, -1, -1):
            if layers[index]._type_string == "image":
                break
            if layers[index]._type_string == "labels" and was_edited(layers[index], thorough=False):
                found = index
        return found


def _part_in_view(
    viewer: napari.Viewer, plane: Image, layer: Any, letters: str, position: dict[str, int]
) -> PreviewSource:
    """Crop a plane to the middle of the view; its layer is a stand-in that holds the position."""
    from napari.layers import Image as ImageLayer

    from napari_unet.gui.layers import result_geometry

    centre = layer.world_to_data(_centre_of_view(viewer))[-2:]
    shape = plane.label_shape
    start = [
        int(np.clip(c - _LARGEST_SIDE_PX // 2, 0, max(0, n - _LARGEST_SIDE_PX)))
        for c, n in zip(centre, shape, strict=True)
    ]
    window = tuple(slice(s, s + _LARGEST_SIDE_PX) for s in start)
    data = plane.data[(..., *window)]
    geometry = result_geometry(layer, letters, position)
    scale = np.asarray(geometry["scale"], float)
    offset = np.zeros(len(scale))
    offset[-2:] = start
    turned = np.asarray(geometry["rotate"]) @ np.asarray(geometry["shear"])
    geometry["translate"] = geometry["translate"] + turned @ (scale * offset)
    size = (1,) * (len(scale) - 2) + tuple(data.shape[-2:])
    place = ImageLayer(np.zeros(size, np.uint8), name=plane.name, **geometry)
    axes = letters if len(scale) == len(letters) else letters.replace("C", "")
    where = dict.fromkeys(position, 0)
    return PreviewSource(replace(plane, data=data), place, axes, where, scope=data)


def _centre_of_view(viewer: napari.Viewer) -> Any:
    """Return the world coordinates of the middle of the canvas."""
    point = np.array(viewer.dims.point, float)
    displayed = list(viewer.dims.displayed)
    camera = getattr(viewer, "scene", viewer).camera  # of the viewer itself before napari 0.9
    point[displayed] = camera.center[-len(displayed) :]
    return point
