"""Planes that are painted on: their changes since the last message, and the part in view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.live.commands import LiveImage
from napari_unet.gui.layers.preview import PreviewSource

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels

    from napari_unet.core.images.image import Image

__all__ = [
    "LivePlane",
    "is_turned",
    "key_of",
    "labels_plane",
    "painted_positions",
    "plane_in_view",
    "region_in_view",
    "view_state",
]

_MOST_SCOPE_PX = 1 << 24
_MOST_SIDE_PX = 1024
"""Largest part that is previewed at once, so that a preview stays cheap."""


@dataclass(eq=False)
class LivePlane:
    """A plane of an image and of the Labels layer that is painted on.

    Parameters
    ----------
    name
        Unique name, made of layer and position.
    image
        The plane, axes YX or CYX; lazy data stays lazy.
    layer
        The Labels layer.
    images, axes
        Image layers, one per channel if several, and the axes of the first (one letter each).
    position
        Index along each of the other axes.
    scope
        Pixels that determine its normalisation.
    sent
        Labels that were sent last, axes YX.
    drawing
        Whether the labels had changed at the last check.
    """

    name: str
    image: Image
    layer: Labels
    images: tuple[ImageLayer, ...]
    axes: str
    position: dict[str, int]
    scope: Any
    sent: NDArray[np.integer[Any]]
    drawing: bool = False

    @property
    def image_layer(self) -> ImageLayer:
        """The first image layer; results have its geometry."""
        return self.images[0]

    @property
    def key(self) -> tuple[int, tuple[int, ...]]:
        """Identity of its layers, see `key_of`."""
        return key_of(self.images, self.layer)

    def pixels(self) -> NDArray[Any]:
        """Return the raw values, axes CYX."""
        data = np.asarray(self.image.data)
        return np.ascontiguousarray(data if "C" in self.image.axes else data[None])

    def live_image(self, known_scopes: set[str]) -> LiveImage:
        """Return the plane as it is sent to a live training.

        Parameters
        ----------
        known_scopes
            Names of the depth stacks that were sent already; the stack of this plane is added.

        Raises
        ------
        ImageError
            If its pixels cannot be read.
        """
        try:
            scope, name = self._depth(known_scopes)
            return LiveImage(self.pixels(), self.sent, self.image.rgb, scope, name)
        except OSError as error:
            raise ImageError(
                f"'{self.image.name}' cannot be read: {error}. Open it again, then start Live."
            ) from None

    def _depth(self, known_scopes: set[str]) -> tuple[NDArray[Any] | None, str]:
        """Return its depth stack, axes CZYX (None if sent already), and the name of the stack."""
        if self.scope.ndim < 4:
            return None, ""
        name = f"{self.key} {self.position.get('T', 0)}"
        if name in known_scopes:
            return None, name
        known_scopes.add(name)
        planes = self.scope.shape[1]
        most = max(1, _MOST_SCOPE_PX // (self.scope.size // planes))
        chosen = np.unique(np.linspace(0, planes - 1, min(planes, most)).round().astype(int))
        return np.asarray(self.scope[:, chosen]), name

    def change(self) -> tuple[tuple[int, int], NDArray[np.integer[Any]]] | None:
        """Return the smallest block that changed since the last call, None if nothing changed."""
        now = labels_plane(self.layer, self.image_layer, self.axes, self.position)
        if now.shape != self.sent.shape:
            return None
        rows = np.flatnonzero((now != self.sent).any(axis=1))
        if not rows.size:
            return None
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = np.flatnonzero((now[top:bottom] != self.sent[top:bottom]).any(axis=0))
        left, right = int(columns[0]), int(columns[-1]) + 1
        block = now[top:bottom, left:right].copy()
        self.sent = self.sent.astype(now.dtype, copy=False)  # the layer may have been converted
        self.sent[top:bottom, left:right] = block
        return (top, left), block

    def write(self, window: tuple[slice, slice], labels: NDArray[np.integer[Any]]) -> None:
        """Paint labels where nothing is painted yet; can be undone like a stroke.

        Raises
        ------
        LabelsError
            If the data type of the layer is too small for the labels.
        """
        most = int(np.iinfo(self.layer.data.dtype).max)
        if labels.max(initial=0) > most:
            raise LabelsError(
                f"'{self.layer.name}' holds numbers up to {most}, but the proposal goes up to "
                f"{labels.max()}. Convert the layer to uint16 or larger (right-click it in the "
                "layer list, Convert data type), then press Accept again."
            )
        axes = self.axes.replace("C", "") if self.layer.ndim < len(self.axes) else self.axes
        free = (self.sent[window] == 0) & (labels > 0)
        y, x = np.nonzero(free)
        where = {"Y": y + window[0].start, "X": x + window[1].start}
        index = tuple(where.get(a, np.full(y.size, self.position.get(a, 0))) for a in axes)
        if y.size:
            self.layer.data_setitem(index, labels[free].astype(self.layer.data.dtype))

    def source(self) -> PreviewSource:
        """Return the source of a preview of this plane."""
        return PreviewSource(self.image, self.image_layer, self.axes, self.position, self.scope)


def key_of(images: Sequence[Any], labels: Any) -> tuple[int, tuple[int, ...]]:
    """Return a key that identifies layers regardless of their names."""
    return id(labels), tuple(id(image) for image in images)


def painted_positions(
    images: Sequence[ImageLayer], labels: Labels, axes: str | None
) -> list[dict[str, int]]:
    """Return the positions of the painted planes of a stack; empty for a single plane."""
    from napari_unet.gui.layers import check_axes, labels_from_layer

    letters = check_axes(images[0], axes)
    leading = [a for a in "TZ" if a in letters]
    if not leading:
        return []
    stack = np.asarray(labels_from_layer(labels, images[0], letters))
    painted = np.argwhere(stack.any(axis=(-2, -1)))
    return [dict(zip(leading, map(int, index), strict=True)) for index in painted]


def labels_plane(
    layer: Labels, image_layer: ImageLayer, axes: str, position: dict[str, int]
) -> NDArray[np.integer[Any]]:
    """Read the labels of a plane, axes YX; without a copy if the layer allows it."""
    from napari_unet.gui.layers import labels_from_layer
    from napari_unet.gui.layers.axes import layer_shape

    spatial = axes.replace("C", "")
    data: Any = layer.data[0] if layer.multiscale else layer.data
    if "C" not in axes and tuple(data.shape) == tuple(layer_shape(image_layer)):
        plane = np.asarray(data[tuple(position.get(a, slice(None)) for a in spatial)])
        return plane.T if spatial.index("Y") > spatial.index("X") else plane
    return labels_from_layer(layer, image_layer, axes, position)


def plane_in_view(
    viewer: napari.Viewer,
    images: Sequence[ImageLayer],
    labels: Labels,
    axes: str | None,
    channels: Sequence[str | int] | None,
    position: Mapping[str, int] | None = None,
) -> LivePlane:
    """Return the plane of image and labels in view, or the one at `position`.

    Raises
    ------
    UNetError
        If image and labels do not match.
    """
    from napari_unet.gui.layers import check_axes, current_plane, image_from_layers, plane_of

    letters = check_axes(images[0], axes)
    image = image_from_layers(images, letters, channels)
    if position is None:
        plane, where = current_plane(viewer, image, images[0], letters)
    else:
        plane, where = plane_of(image, position), dict(position)
    painted = labels_plane(labels, images[0], letters, where)
    return LivePlane(
        name=f"{labels.name}{''.join(f' {axis}={index}' for axis, index in where.items())}",
        image=plane,
        layer=labels,
        images=tuple(images),
        axes=letters,
        position=where,
        scope=image.scope(where),
        sent=np.array(painted),
    )


def is_turned(viewer: napari.Viewer, plane: LivePlane) -> bool:
    """Return whether a stack is viewed from the side or in 3D, where strokes cross planes."""
    first = viewer.dims.ndim - plane.image_layer.ndim
    shown = {axis - first for axis in viewer.dims.displayed}
    return bool(plane.position) and shown != {plane.axes.index(a) for a in "YX"}


def view_state(viewer: napari.Viewer) -> tuple[Any, ...]:
    """Return what determines the part in view, for comparison; cheap to call often."""
    from napari_unet.gui.layers.view import camera_of, canvas_size

    camera = camera_of(viewer)
    active = viewer.layers.selection.active
    where = tuple(viewer.dims.current_step), tuple(camera.center), camera.zoom
    return *where, canvas_size(viewer), id(active), len(viewer.layers)


def region_in_view(viewer: napari.Viewer, plane: LivePlane) -> tuple[int, int, int, int]:
    """Return the visible part of a plane, or its middle if large: (y, x, height, width)."""
    from napari_unet.gui.layers.geometry import to_data
    from napari_unet.gui.layers.view import camera_of, canvas_size

    camera = camera_of(viewer)
    half = np.array(canvas_size(viewer)) / (2 * max(float(camera.zoom), 1e-9))
    point = np.array(viewer.dims.point, float)
    shown = list(viewer.dims.displayed)[-2:]
    corners = []
    for sign in (-1, 1):
        corner = point.copy()
        corner[shown] = np.array(camera.center[-2:]) + sign * half
        corners.append(corner[-plane.image_layer.ndim :])
    data = np.sort(to_data(plane.image_layer, corners), axis=0)
    axes = plane.axes
    region = []
    for axis, length in zip("YX", plane.sent.shape, strict=True):
        low, high = data[:, axes.index(axis)]
        low, high = int(np.clip(np.floor(low), 0, length)), int(np.clip(np.ceil(high), 0, length))
        if high - low < 1:
            low, high = 0, length
        if high - low > _MOST_SIDE_PX:
            low = (low + high - _MOST_SIDE_PX) // 2
            high = low + _MOST_SIDE_PX
        region.append((low, high - low))
    (y, height), (x, width) = region
    return y, x, height, width
