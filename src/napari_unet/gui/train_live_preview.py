"""What a live training makes of the planes that are painted on, and how sure it is of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_unet.gui.train_preview import PreviewLayer

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer

    from napari_unet.compute import LivePreview
    from napari_unet.core.tasks import Instances, Semantic
    from napari_unet.gui.train_live_planes import LivePlane

__all__ = ["LivePreviews", "MapKind"]

_OPACITY = 0.7


MapKind = Literal["uncertainty", "probability"]


@dataclass
class _Map:
    """Values from 0 to 1 that are shown on wish: axes CYX, and the name of each layer."""

    values: NDArray[np.float32]
    names: list[str]
    layers: list[ImageLayer] = field(default_factory=list)


@dataclass
class _Shown:
    """The layers of one plane, and what they show."""

    labels_layer: PreviewLayer
    labels: NDArray[np.integer[Any]]
    maps: dict[MapKind, _Map] = field(default_factory=dict)


class LivePreviews:
    """The preview layers of all planes, on wish with uncertainty and probabilities.

    Parameters
    ----------
    viewer
        Where they are shown.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._shown: dict[str, _Shown] = {}
        self._wanted: set[MapKind] = set()
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
            shown = _Shown(layer, np.zeros(shape, preview.labels.dtype))
            self._shown[plane.name] = shown
        elif self._last != plane.name:  # planes of a stack share a layer: it moves back here
            shown.labels_layer = PreviewLayer(self._viewer, plane.source(), task, about)
        if self._last != plane.name:
            self._hide()
            self._last = plane.name
        y, x = preview.origin
        height, width = preview.labels.shape
        part = (slice(y, y + height), slice(x, x + width))
        if task.kind == "instances":  # objects of another part are not those of this one
            shown.labels.fill(0)
        shown.labels[part] = preview.labels
        shown.labels_layer.show(shown.labels.copy(), preview.step)
        came: dict[MapKind, tuple[list[str], NDArray[np.uint8]]] = {
            "uncertainty": ([""], preview.uncertainty[None])
        }
        if preview.probability is not None:
            names = [f": {name}" for name in _classes_with_probability(task)]
            came["probability"] = names, preview.probability
        for kind, (names, values) in came.items():
            if kind not in shown.maps:
                shown.maps[kind] = _Map(np.zeros((len(names), *shape), np.float32), names)
            shown.maps[kind].values[:, *part] = values / np.float32(255)
        self._show_wanted(plane)

    def forget_colours(self) -> None:
        """Take the colours of the classes as they are now from the next preview on."""
        self._hide()
        self._shown.clear()

    def forget(self, name: str) -> None:
        """Show nothing more of a plane; its preview stays as it is."""
        if name == self._last:
            self._hide()
        self._shown.pop(name, None)

    def want(self, wanted: Collection[MapKind], planes: Mapping[str, LivePlane]) -> None:
        """Add layers with the uncertainty, the probabilities, of the plane shown last, or not."""
        self._wanted = set(wanted)
        self._hide(self._wanted)
        if self._last in planes:
            self._show_wanted(planes[self._last])

    def _show_wanted(self, plane: LivePlane) -> None:
        shown = self._shown.get(plane.name)
        for kind, found in shown.maps.items() if shown is not None else ():
            if kind in self._wanted:
                self._show_map(plane, kind, found)

    def _show_map(self, plane: LivePlane, kind: MapKind, found: _Map) -> None:
        from napari_unet.gui.layers import add_probability, to_layer_order

        source, axes, position = plane.image_layer, plane.axes, plane.position
        layers = self._viewer.layers
        for layer, values in zip(found.layers, found.values, strict=False):
            if layer in layers:  # else a person took it away
                layer.data = to_layer_order(values.copy(), source, axes, position)
        if found.layers:
            return
        selected, active = set(layers.selection), layers.selection.active
        for name, values in zip(found.names, found.values, strict=True):
            (layer,) = add_probability(
                self._viewer,
                source,
                values.copy(),
                name=f"{plane.image.name} {kind}{name}",
                metadata={"kind": kind, "image": plane.image.name},
                position=position,
                axes=axes,
            )
            found.layers.append(layer)
            layer.opacity, layer.blending = _OPACITY, "translucent"
            images = [i for i, x in enumerate(layers) if x._type_string == "image"]
            others = [i for i in images if layers[i] is not layer]
            layers.move(layers.index(layer), others[-1] + 1 if others else 0)
        layers.selection = selected
        layers.selection.active = active

    def _hide(self, but: Collection[MapKind] = ()) -> None:
        """Take the layers of values away, but those of some kinds."""
        for shown in self._shown.values():
            for kind, found in shown.maps.items():
                if kind not in but:
                    for layer in found.layers:
                        if layer in self._viewer.layers:
                            self._viewer.layers.remove(layer)
                    found.layers.clear()


def _classes_with_probability(task: Semantic | Instances) -> list[str]:
    """Name the classes that a preview has probabilities of, in its order."""
    if task.kind == "instances":
        return [task.object_name]
    return [c.name for c in task.classes if not c.background]
