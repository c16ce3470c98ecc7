"""View of the viewer: jump to objects, compare layers, and restore the view."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.gui.layers.axes import check_axes
from napari_unet.gui.layers.geometry import to_world, world_matrix
from napari_unet.gui.layers.proxies import unwrapped

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

__all__ = [
    "camera_of",
    "canvas_size",
    "jump_to",
    "restore_view",
    "show_overlay",
    "show_side_by_side",
]

_FIELD_OF_VIEW = 8
"""Width of the view after a jump, in object diameters."""


def jump_to(
    viewer: napari.Viewer,
    layer: Layer,
    position: Mapping[str, int] | str,
    centroid_yx: Sequence[float],
    *,
    label: int | None = None,
    diameter_px: float = 20,
    axes: str | None = None,
) -> None:
    """Move the sliders and the camera to an object.

    Parameters
    ----------
    viewer
        Viewer whose sliders and camera are moved.
    layer
        Layer of the coordinates.
    position
        Index along each leading axis, ``{"T": 3}``, or the text used in tables, ``"T=3 Z=1"`` or
        bare numbers in the order of the core's axes, ``"3 1"``.
    centroid_yx
        Centre of the object in pixels.
    label
        Id of the object, which is selected if the layer is a Labels layer.
    diameter_px
        Diameter of the object: the camera zooms in if the object would be tiny, and out if it
        would not fit.
    axes
        One letter per dimension of `layer`; None: `propose_axes`.
    """
    viewer, layer = unwrapped(viewer), unwrapped(layer)
    axes = check_axes(layer, axes)
    where = {**parse_position(position, axes), "Y": centroid_yx[0], "X": centroid_yx[1]}
    point = to_world(layer, [[float(where.get(a, 0)) for a in axes]])[0]
    first = viewer.dims.ndim - layer.ndim
    for axis, letter in enumerate(axes):
        if letter != "C":
            viewer.dims.set_point(first + axis, float(point[axis]))
    world = np.zeros(viewer.dims.ndim)
    world[first:] = point
    shown = list(viewer.dims.displayed)
    camera_of(viewer).center = tuple(float(v) for v in world[shown])
    _zoom_to(viewer, layer, diameter_px)
    if label is not None and hasattr(layer, "selected_label"):
        layer.selected_label = int(label)


def parse_position(position: Mapping[str, int] | str, axes: str) -> dict[str, int]:
    """Read a position: a mapping, ``"T=3 Z=1"``, or bare numbers in the order T, Z."""
    if not isinstance(position, str):
        return {a: int(i) for a, i in position.items()}
    words = position.split()
    if all("=" in word for word in words):
        return {word[0].upper(): int(word.split("=")[1]) for word in words}
    leading = [a for a in "TZ" if a in axes]
    return dict(zip(leading, (int(word) for word in words), strict=False))


def show_side_by_side(viewer: napari.Viewer, layers: Sequence[Layer]) -> None:
    """Show some layers side by side and hide the others; `restore_view` undoes it.

    Parameters
    ----------
    viewer
        The viewer.
    layers
        Layers from left to right.
    """
    viewer, layers = unwrapped(viewer), [unwrapped(layer) for layer in layers]
    _remember(viewer)
    _show_only(viewer, layers)
    # the grid counts from the bottom of the list, and older napari counts hidden layers too
    _raise(viewer, [*layers, *(layer for layer in viewer.layers if layer not in layers)])
    _grid(viewer).stride = 1
    _grid(viewer).shape = (1, len(layers))
    _grid(viewer).enabled = True
    viewer.reset_view()


def show_overlay(viewer: napari.Viewer, layers: Sequence[Layer]) -> None:
    """Show some layers as an overlay, with labels as outlines; `restore_view` undoes it.

    Parameters
    ----------
    viewer
        The viewer.
    layers
        Layers from bottom to top. A single Labels layer stays filled.
    """
    viewer, layers = unwrapped(viewer), [unwrapped(layer) for layer in layers]
    _remember(viewer)
    if _grid(viewer).enabled:
        _grid(viewer).enabled = False
        _BEFORE[id(viewer)].restore_camera(viewer)  # the grid's zoom is for small pictures
    _show_only(viewer, layers)
    _raise(viewer, layers)
    outlined = [layer for layer in layers if hasattr(layer, "contour")]
    for layer in outlined if len(outlined) > 1 else ():
        layer.contour = 2
        layer.opacity = 1.0


def restore_view(viewer: napari.Viewer) -> None:
    """Restore the view from before the first `show_side_by_side` or `show_overlay`."""
    viewer = unwrapped(viewer)
    before = _BEFORE.pop(id(viewer), None)
    if before is not None:
        before.restore(viewer)


@dataclass(frozen=True)
class _Look:
    """Properties of the viewer that are changed and restored."""

    order: tuple[weakref.ref[Layer], ...]
    layers: tuple[tuple[weakref.ref[Layer], dict[str, Any]], ...]
    grid: dict[str, Any]
    camera: dict[str, Any]

    @classmethod
    def of(cls, viewer: napari.Viewer) -> _Look:
        looks = tuple(
            (weakref.ref(layer), {n: getattr(layer, n) for n in _LOOKS if hasattr(layer, n)})
            for layer in viewer.layers
        )
        grid = {n: getattr(_grid(viewer), n) for n in ("enabled", "stride", "shape")}
        camera = {n: getattr(camera_of(viewer), n) for n in ("center", "zoom", "angles")}
        return cls(tuple(ref for ref, _ in looks), looks, grid, camera)

    def restore(self, viewer: napari.Viewer) -> None:
        for ref, look in self.layers:
            if (layer := ref()) is not None and layer in viewer.layers:
                for name, value in look.items():
                    setattr(layer, name, value)
        known = [layer for ref in self.order if (layer := ref()) is not None]
        newer = [layer for layer in viewer.layers if not any(layer is k for k in known)]
        _raise(viewer, [*known, *newer])
        for name, value in self.grid.items():
            setattr(_grid(viewer), name, value)
        self.restore_camera(viewer)

    def restore_camera(self, viewer: napari.Viewer) -> None:
        for name, value in self.camera.items():
            setattr(camera_of(viewer), name, value)


_LOOKS = ("visible", "opacity", "contour")
_BEFORE: dict[int, _Look] = {}
"""Keys are ids, as viewers compare equal by all their fields."""


def _remember(viewer: napari.Viewer) -> None:
    if id(viewer) not in _BEFORE:
        _BEFORE[id(viewer)] = _Look.of(viewer)
        weakref.finalize(viewer, _BEFORE.pop, id(viewer), None)


def _show_only(viewer: napari.Viewer, layers: Sequence[Layer]) -> None:
    for layer in viewer.layers:
        layer.visible = layer in layers


def _raise(viewer: napari.Viewer, layers: Sequence[Layer]) -> None:
    """Move layers to the top of the list, the last one highest."""
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))


def _zoom_to(viewer: napari.Viewer, layer: Layer, diameter_px: float) -> None:
    matrix = world_matrix(layer)[:-1, :-1]
    diameter = max(diameter_px, 5) * float(np.linalg.norm(matrix[:, -1]))
    canvas = min(canvas_size(viewer))
    wanted = canvas / (_FIELD_OF_VIEW * diameter)
    if not wanted / 1.5 <= camera_of(viewer).zoom <= 4 * wanted:
        camera_of(viewer).zoom = wanted


def canvas_size(viewer: napari.Viewer) -> tuple[int, int]:
    """Return height and width, in screen pixels, of the part of the canvas for one layer."""
    canvas: Any = getattr(viewer, "canvas", None)
    if hasattr(canvas, "viewbox_size"):  # napari 0.9
        size: Any = canvas.viewbox_size(viewer.layers)
    else:
        size = getattr(viewer, "_canvas_size", (600, 600))
    return max(int(size[0]), 100), max(int(size[1]), 100)


def camera_of(viewer: napari.Viewer) -> Any:
    """Return the camera, which moved in napari 0.9 (the old attribute warns)."""
    scene = getattr(viewer, "scene", None)
    return viewer.camera if scene is None else scene.camera


def _grid(viewer: napari.Viewer) -> Any:
    """Return the grid, which moved in napari 0.9 (the old attribute warns)."""
    canvas: Any = getattr(viewer, "canvas", None)
    return canvas.grid if hasattr(canvas, "grid") else viewer.grid
