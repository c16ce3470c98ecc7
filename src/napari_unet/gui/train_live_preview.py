"""What a live training makes of the planes that are painted on, and how sure it is of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.gui.train_preview import PreviewLayer

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer

    from napari_unet.compute import LivePreview
    from napari_unet.core.tasks import Instances, Semantic
    from napari_unet.gui.train_live_planes import LivePlane

__all__ = ["LivePreviews"]

_OPACITY = 0.7


@dataclass
class _Shown:
    """The layers of one plane, and what they show."""

    labels_layer: PreviewLayer
    labels: NDArray[np.integer[Any]]
    doubt: NDArray[np.float32]
    doubt_layer: ImageLayer | None = None


class LivePreviews:
    """The preview layers of all planes, and their uncertainty on wish.

    Parameters
    ----------
    viewer
        Where they are shown.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._shown: dict[str, _Shown] = {}
        self._doubt = False
        self._last = ""

    def show(
        self,
        plane: LivePlane,
        preview: LivePreview,
        task: Semantic | Instances,
        about: Mapping[str, Any],
    ) -> None:
        """Show a part that has come.

        Parameters
        ----------
        plane
            Which it is of.
        preview
            The part.
        task
            For the colours of classes.
        about
            What the layers are of.
        """
        shown = self._shown.get(plane.name)
        shape = plane.sent.shape
        if shown is None or shown.labels.shape != shape:
            layer = PreviewLayer(self._viewer, plane.source(), task, about)
            labels = np.zeros(shape, preview.labels.dtype)
            shown = _Shown(layer, labels, np.zeros(shape, np.float32))
            self._shown[plane.name] = shown
        elif self._last != plane.name:  # planes of a stack share a layer: it moves back here
            shown.labels_layer = PreviewLayer(self._viewer, plane.source(), task, about)
        if self._last != plane.name:
            self._hide_doubt()
            self._last = plane.name
        y, x = preview.origin
        height, width = preview.labels.shape
        part = (slice(y, y + height), slice(x, x + width))
        if task.kind == "instances":  # objects of another part are not those of this one
            shown.labels.fill(0)
        shown.labels[part] = preview.labels
        shown.doubt[part] = preview.uncertainty / np.float32(255)
        shown.labels_layer.show(shown.labels.copy(), preview.step)
        if self._doubt:
            self._show_doubt(plane, shown)

    def forget_colours(self) -> None:
        """Take the colours of the classes as they are now from the next preview on."""
        self._hide_doubt()
        self._shown.clear()

    def forget(self, name: str) -> None:
        """Show nothing more of a plane; its preview stays as it is."""
        if name == self._last:
            self._hide_doubt()
        self._shown.pop(name, None)

    def show_uncertainty(self, wanted: bool, planes: Mapping[str, LivePlane]) -> None:
        """Add a layer with the uncertainty of the plane shown last, or take it away."""
        self._doubt = wanted
        if not wanted:
            self._hide_doubt()
        elif self._last in planes and self._last in self._shown:
            self._show_doubt(planes[self._last], self._shown[self._last])

    def _show_doubt(self, plane: LivePlane, shown: _Shown) -> None:
        from napari_unet.gui.layers import add_probability, to_layer_order

        place = plane.image_layer, plane.axes, plane.position
        values = shown.doubt.copy()
        layer = shown.doubt_layer
        if layer is not None and layer in self._viewer.layers:
            layer.data = to_layer_order(values, *place)
            return
        if layer is not None:  # a person took it away
            return
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        source, axes, position = place
        (layer,) = add_probability(
            self._viewer,
            source,
            values,
            name=f"{plane.image.name} uncertainty",
            metadata={"kind": "uncertainty", "image": plane.image.name},
            position=position,
            axes=axes,
        )
        shown.doubt_layer = layer
        layer.opacity, layer.blending = _OPACITY, "translucent"
        images = [i for i, x in enumerate(layers) if x._type_string == "image" and x is not layer]
        layers.move(layers.index(layer), images[-1] + 1 if images else 0)
        layers.selection = selected
        layers.selection.active = active

    def _hide_doubt(self) -> None:
        for shown in self._shown.values():
            if shown.doubt_layer is not None and shown.doubt_layer in self._viewer.layers:
                self._viewer.layers.remove(shown.doubt_layer)
            shown.doubt_layer = None
