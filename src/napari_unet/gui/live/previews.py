"""Preview layers of a live training, with optional maps of uncertainty and probability."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_unet.gui.layers.preview import PreviewLayer

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Layer

    from napari_unet.core.live.events import LivePreview
    from napari_unet.core.tasks.base import Task
    from napari_unet.gui.live.planes import LivePlane

__all__ = ["LivePreviews", "MapKind", "is_live_map"]

_OPACITY = 0.7
_LOOK = ("visible", "opacity", "blending", "colormap", "contrast_limits", "gamma")
"""Attributes of a map layer that the user may have changed; its successor takes them over."""

_LIVE = "shown by Live as"
MapKind = Literal["uncertainty", "probability"]


@dataclass
class _Seen:
    """Results of one plane: labels, axes YX, and maps from 0 to 1, axes YX, by their keys."""

    labels: NDArray[np.integer[Any]]
    maps: dict[tuple[MapKind, str], NDArray[np.float32]] = field(default_factory=dict)


class LivePreviews:
    """The preview layers of all planes, optionally with uncertainty and probabilities.

    The planes of a stack share their layers, which move to the plane in view.

    Parameters
    ----------
    viewer
        The viewer that shows the layers.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._seen: dict[str, _Seen] = {}
        self._previews: dict[object, PreviewLayer] = {}
        self._hidden: set[object] = set()
        self._maps: dict[tuple[MapKind, str], ImageLayer] = {}
        self._looks: dict[tuple[MapKind, str], dict[str, Any]] = {}
        self._wanted: set[MapKind] = set()
        self._last: LivePlane | None = None

    def show(
        self,
        plane: LivePlane,
        preview: LivePreview,
        task: Task,
        about: Mapping[str, Any],
    ) -> None:
        """Show a new part of a preview.

        Parameters
        ----------
        plane
            The plane that the part belongs to.
        preview
            The new part.
        task
            Task of the training; its classes have colours.
        about
            Metadata of the layers.
        """
        seen = self._seen.get(plane.name)
        shape = plane.sent.shape
        if seen is not None and seen.labels.shape != shape:  # the image was replaced
            seen = None
            self._previews.pop(plane.key, None)
        if seen is None:
            seen = self._seen[plane.name] = _Seen(np.zeros(shape, preview.labels.dtype))
        if plane.key not in self._previews:
            visible = plane.key not in self._hidden
            layer = PreviewLayer(self._viewer, plane.source(), task, about, visible=visible)
            self._previews[plane.key] = layer
        elif self._last is not plane:
            self._previews[plane.key].move(plane.source())
        if self._last is None or self._last.key != plane.key:
            self._hide()
        moved, self._last = self._last is not plane, plane
        y, x = preview.origin
        height, width = preview.labels.shape
        part = (slice(y, y + height), slice(x, x + width))
        if task.labels_are_objects:  # object numbers of different parts are unrelated
            seen.labels.fill(0)
        seen.labels[part] = preview.labels
        self._previews[plane.key].show(seen.labels.copy(), preview.step)
        came: dict[tuple[MapKind, str], NDArray[np.uint8]] = {
            ("uncertainty", ""): preview.uncertainty
        }
        if preview.probability is not None:
            names = _classes_with_probability(task)
            for name, values in zip(names, preview.probability, strict=True):
                came["probability", f": {name}"] = values
        for key, values in came.items():
            whole = seen.maps.setdefault(key, np.zeros(shape, np.float32))
            whole[part] = values / np.float32(255)
        self._show_wanted(moved=moved)

    @property
    def wanted(self) -> frozenset[MapKind]:
        """The kinds of maps to show."""
        return frozenset(self._wanted)

    def forget_colours(self) -> None:
        """Use the current colours of the classes from the next preview on."""
        self._hide()
        self._seen.clear()
        hidden = {key for key, layer in self._previews.items() if not layer.visible}
        self._hidden = hidden | (self._hidden - self._previews.keys())
        self._previews = {key: layer for key, layer in self._previews.items() if layer.unwanted}

    def forget(self, plane: LivePlane, *, image: bool) -> None:
        """Stop showing a plane, or its whole image; its preview layer stays unchanged."""
        self._seen.pop(plane.name, None)
        if image:
            self._previews.pop(plane.key, None)
            self._hidden.discard(plane.key)
            if self._last is not None and self._last.key == plane.key:
                self._hide()
                self._last = None

    def want(self, wanted: Collection[MapKind]) -> None:
        """Show these kinds of maps for the plane shown last, and hide all others."""
        self._wanted = set(wanted)
        self._hide(self._wanted)
        self._show_wanted()

    def find_removed(self) -> set[MapKind]:
        """Return the kinds of maps whose layers the user has all removed."""
        layers: dict[MapKind, list[ImageLayer]] = {}
        for (kind, _), layer in self._maps.items():
            layers.setdefault(kind, []).append(layer)
        return {k for k, some in layers.items() if not any(x in self._viewer.layers for x in some)}

    def _show_wanted(self, *, moved: bool = False) -> None:
        from napari_unet.gui.layers import lay_on, to_layer_order

        plane = self._last
        if plane is None or plane.name not in self._seen:
            return
        where = plane.image_layer, plane.axes, plane.position
        for key, values in self._seen[plane.name].maps.items():
            if key[0] not in self._wanted:
                continue
            if key not in self._maps:
                self._maps[key] = self._add_map(plane, key, values)
                continue
            layer = self._maps[key]
            if layer in self._viewer.layers:  # else the user removed it
                layer.data = to_layer_order(values.copy(), *where)
                if moved:
                    lay_on(layer, *where)

    def _add_map(
        self, plane: LivePlane, key: tuple[MapKind, str], values: NDArray[np.float32]
    ) -> ImageLayer:
        """Add a map layer, and keep the selection because the user may be painting."""
        from napari_unet.gui.layers import add_probability

        layers, (kind, name) = self._viewer.layers, key
        selected, active = set(layers.selection), layers.selection.active
        title = f"{plane.image.name} {kind}{name}"
        (layer,) = add_probability(
            self._viewer,
            plane.image_layer,
            values.copy(),
            name=title,
            metadata={"kind": kind, "image": plane.image.name, _LIVE: title},
            position=plane.position,
            axes=plane.axes,
        )
        layer.opacity, layer.blending = _OPACITY, "translucent"
        for attribute, value in self._looks.get(key, {}).items():
            setattr(layer, attribute, value)
        images = [i for i, x in enumerate(layers) if x._type_string == "image"]
        others = [i for i in images if layers[i] is not layer]
        layers.move(layers.index(layer), others[-1] + 1 if others else 0)
        layers.selection = selected
        layers.selection.active = active
        return layer

    def _hide(self, but: Collection[MapKind] = ()) -> None:
        """Remove the map layers, except those of some kinds."""
        for key in [key for key in self._maps if key[0] not in but]:
            layer = self._maps.pop(key)
            if layer in self._viewer.layers:
                self._looks[key] = {name: getattr(layer, name) for name in _LOOK}
                self._viewer.layers.remove(layer)


def is_live_map(layer: Layer) -> bool:
    """Return whether a layer is a map shown by Live, and not a copy made by the user."""
    from napari_unet.gui.layers import our_metadata

    title = (our_metadata(layer) or {}).get(_LIVE)  # napari may have appended a number to the name
    return title is not None and (layer.name == title or layer.name.startswith(f"{title} ["))


def _classes_with_probability(task: Task) -> list[str]:
    """Return the names of the classes whose probabilities a preview has, in their order."""
    names = [c.name for c in task.label_classes if not c.background]
    return names or [task.words.object_name]
