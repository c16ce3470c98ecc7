"""What a live training makes of the planes that are painted on, and how sure it is of that."""

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
"""What a person may have chosen for a layer of values, and finds again in the one after it."""

_LIVE = "shown by Live as"
MapKind = Literal["uncertainty", "probability"]


@dataclass
class _Seen:
    """What came of one plane: labels, axes YX, and values from 0 to 1, axes YX, by their names."""

    labels: NDArray[np.integer[Any]]
    maps: dict[tuple[MapKind, str], NDArray[np.float32]] = field(default_factory=dict)


class LivePreviews:
    """The preview layers of all planes, on wish with uncertainty and probabilities.

    The planes of a stack share their layers, which move to the plane that is in view.

    Parameters
    ----------
    viewer
        Where they are shown.
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
        seen = self._seen.get(plane.name)
        shape = plane.sent.shape
        if seen is not None and seen.labels.shape != shape:  # the image was replaced by another
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
        if task.labels_are_objects:  # objects of another part are not those of this one
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
        """The kinds of maps that are shown."""
        return frozenset(self._wanted)

    def forget_colours(self) -> None:
        """Take the colours of the classes as they are now from the next preview on."""
        self._hide()
        self._seen.clear()
        hidden = {key for key, layer in self._previews.items() if not layer.visible}
        self._hidden = hidden | (self._hidden - self._previews.keys())
        self._previews = {key: layer for key, layer in self._previews.items() if layer.unwanted}

    def forget(self, plane: LivePlane, *, image: bool) -> None:
        """Show nothing more of a plane, or of its whole image; its preview stays as it is."""
        self._seen.pop(plane.name, None)
        if image:
            self._previews.pop(plane.key, None)
            self._hidden.discard(plane.key)
            if self._last is not None and self._last.key == plane.key:
                self._hide()
                self._last = None

    def want(self, wanted: Collection[MapKind]) -> None:
        """Add layers with the uncertainty, the probabilities, of the plane shown last, or not."""
        self._wanted = set(wanted)
        self._hide(self._wanted)
        self._show_wanted()

    def taken_away(self) -> set[MapKind]:
        """Which maps are wanted, and a person removed every layer of them."""
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
            if layer in self._viewer.layers:  # else a person took it away
                layer.data = to_layer_order(values.copy(), *where)
                if moved:
                    lay_on(layer, *where)

    def _add_map(
        self, plane: LivePlane, key: tuple[MapKind, str], values: NDArray[np.float32]
    ) -> ImageLayer:
        """Add a layer with values, and leave the selection as it is: a person may be painting."""
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
        """Take the layers of values away, but those of some kinds."""
        for key in [key for key in self._maps if key[0] not in but]:
            layer = self._maps.pop(key)
            if layer in self._viewer.layers:
                self._looks[key] = {name: getattr(layer, name) for name in _LOOK}
                self._viewer.layers.remove(layer)


def is_live_map(layer: Layer) -> bool:
    """Whether a layer shows what is seen while it learns: not a copy that a person made of it."""
    from napari_unet.gui.layers import our_metadata

    title = (our_metadata(layer) or {}).get(_LIVE)  # napari may have added a number to it
    return title is not None and (layer.name == title or layer.name.startswith(f"{title} ["))


def _classes_with_probability(task: Task) -> list[str]:
    """Name the classes that a preview has probabilities of, in its order."""
    names = [c.name for c in task.label_classes if not c.background]
    return names or [task.words.object_name]
