"""Planes that are painted on: what changed since it was told, and which part of one is in view."""

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
    "look_of",
    "painted_positions",
    "plane_in_view",
    "region_in_view",
]

_MOST_SCOPE_PX = 1 << 24
_MOST_SIDE_PX = 1024
"""No larger part is previewed at once: it must not cost much."""


@dataclass(eq=False)
class LivePlane:
    """A plane of an image, and of the Labels layer that is painted on.

    Parameters
    ----------
    name
        Of its own: layer and position.
    image
        Axes YX or CYX; lazy data is still lazy.
    layer
        The Labels layer.
    images, axes
        The image layers that are its channels, and one letter per dimension of the first.
    position
        Index along the other axes.
    scope
        What it is normalised with.
    sent
        The labels that were told last, axes YX.
    drawing
        Whether they had changed when they were last looked at.
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
        """The first of the image layers: results lie on it."""
        return self.images[0]

    @property
    def key(self) -> tuple[int, tuple[int, ...]]:
        """Which layers it is of, see `key_of`."""
        return key_of(self.images, self.layer)

    def pixels(self) -> NDArray[Any]:
        """Raw values, axes CYX."""
        data = np.asarray(self.image.data)
        return np.ascontiguousarray(data if "C" in self.image.axes else data[None])

    def told(self, known_scopes: set[str]) -> LiveImage:
        """Give what a live training is told of it.

        Parameters
        ----------
        known_scopes
            Names of the depth stacks that it was told of before; that of this plane is added.

        Raises
        ------
        ImageError
            When its pixels cannot be read.
        """
        try:
            scope, name = self._depth(known_scopes)
            return LiveImage(self.pixels(), self.sent, self.image.rgb, scope, name)
        except OSError as error:
            raise ImageError(
                f"'{self.image.name}' cannot be read: {error}. Open it again, then start Live."
            ) from None

    def _depth(self, known_scopes: set[str]) -> tuple[NDArray[Any] | None, str]:
        """Give the depth stack that it is a plane of, axes CZYX, unless it is known; its name."""
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
        """Give the smallest block that changed since the last time, and remember it; else None."""
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
        """Paint labels where nothing is painted yet; it can be undone as a stroke can.

        Raises
        ------
        LabelsError
            When the layer cannot hold numbers as large.
        """
        most = int(np.iinfo(self.layer.data.dtype).max)
        if labels.max(initial=0) > most:
            raise LabelsError(
                f"'{self.layer.name}' holds numbers up to {most}, these labels go up to "
                f"{labels.max()}. Convert it (right click in the layer list, Convert data type) "
                "to uint16 or more, and accept again."
            )
        axes = self.axes.replace("C", "") if self.layer.ndim < len(self.axes) else self.axes
        free = (self.sent[window] == 0) & (labels > 0)
        y, x = np.nonzero(free)
        where = {"Y": y + window[0].start, "X": x + window[1].start}
        index = tuple(where.get(a, np.full(y.size, self.position.get(a, 0))) for a in axes)
        if y.size:
            self.layer.data_setitem(index, labels[free].astype(self.layer.data.dtype))

    def source(self) -> PreviewSource:
        """Where a preview of it belongs."""
        return PreviewSource(self.image, self.image_layer, self.axes, self.position, self.scope)


def key_of(images: Sequence[Any], labels: Any) -> tuple[int, tuple[int, ...]]:
    """Tell layers apart whatever they are called."""
    return id(labels), tuple(id(image) for image in images)


def painted_positions(
    images: Sequence[ImageLayer], labels: Labels, axes: str | None
) -> list[dict[str, int]]:
    """Say at which positions of a stack anything is painted; of an image without, none."""
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
    """Read the labels of a plane, axes YX; without a copy where the layer allows it."""
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
    """Take the plane of image and labels that is in view, or lies at `position`.

    Raises
    ------
    UNetError
        When they do not fit together.
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
    """Whether a stack is seen from the side or in 3D: a stroke then lies in many planes."""
    first = viewer.dims.ndim - plane.image_layer.ndim
    shown = {axis - first for axis in viewer.dims.displayed}
    return bool(plane.position) and shown != {plane.axes.index(a) for a in "YX"}


def look_of(viewer: napari.Viewer) -> tuple[Any, ...]:
    """Say what decides about the part in view, to be compared: cheap enough for every moment."""
    from napari_unet.gui.layers.view import camera_of, canvas_size

    camera = camera_of(viewer)
    active = viewer.layers.selection.active
    where = tuple(viewer.dims.current_step), tuple(camera.center), camera.zoom
    return *where, canvas_size(viewer), id(active), len(viewer.layers)


def region_in_view(viewer: napari.Viewer, plane: LivePlane) -> tuple[int, int, int, int]:
    """Say which part of a plane is seen, (y, x, height, width); of a large one the middle."""
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
