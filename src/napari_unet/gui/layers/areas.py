"""Conversion of a Shapes or Labels layer to a mask of the annotated area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.image import AXES
from napari_unet.gui.layers.axes import check_axes, layer_shape
from napari_unet.gui.layers.geometry import to_data, to_world
from napari_unet.gui.layers.proxies import unwrapped

if TYPE_CHECKING:
    from napari.layers import Layer, Shapes

__all__ = ["annotated_area"]

_OUTLINES = ("rectangle", "polygon", "ellipse")
_ELLIPSE_POINTS = 128


def annotated_area(area: Layer, layer: Layer, axes: str | None = None) -> NDArray[np.bool_]:
    """Convert the annotated area to a mask on the grid of an image.

    Parameters
    ----------
    area
        Shapes layer: pixels whose centre is inside a rectangle, polygon or ellipse in world
        coordinates. A shape drawn in a stack counts for the plane it was drawn on, a 2-D shape for
        all planes. Or a Labels layer of the image's shape: pixels that are not 0.
    layer, axes
        The image layer and its axes.

    Returns
    -------
    NDArray
        Bool, axes TZYX (those of the image without C).

    Raises
    ------
    LabelsError
        If the area covers no pixel of the image.
    """
    from napari.layers import Labels

    area, layer = unwrapped(area), unwrapped(layer)
    axes = check_axes(layer, axes)
    if isinstance(area, Labels):
        from napari_unet.gui.layers.reading import labels_from_layer

        mask: NDArray[np.bool_] = labels_from_layer(area, layer, axes) != 0
    else:
        mask = _mask_of_shapes(area, layer, axes)
    if not mask.any():
        raise LabelsError(
            f"The annotated area '{area.name}' covers no pixel of '{layer.name}': expected "
            "rectangles, polygons or ellipses around the annotated regions. Draw one, or choose no "
            "area to use the whole image."
        )
    return mask


def _mask_of_shapes(shapes: Shapes, layer: Layer, axes: str) -> NDArray[np.bool_]:
    from skimage.draw import polygon2mask

    sizes = dict(zip(axes, layer_shape(layer), strict=True))
    letters = [a for a in AXES if a in axes and a != "C"]
    mask = np.zeros([sizes[a] for a in letters], bool)
    for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True):
        if kind not in _OUTLINES:
            continue
        points, known = _in_data(shapes, layer, _outline(np.asarray(vertices, float), kind))
        index: list[Any] = []
        for letter in letters[:-2]:
            axis = axes.index(letter)
            place = round(float(points[:, axis].mean()))
            index.append(place if axis in known else slice(None))
            if axis in known and not 0 <= place < sizes[letter]:
                break
        else:
            yx = points[:, [axes.index("Y"), axes.index("X")]]
            mask[tuple(index)] |= polygon2mask((sizes["Y"], sizes["X"]), yx)
    return mask


def _outline(vertices: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Return the vertices of an outline; napari stores an ellipse as the corners around it."""
    if kind != "ellipse":
        return vertices
    centre = vertices.mean(0)
    a, b = (vertices[1] - vertices[0]) / 2, (vertices[3] - vertices[0]) / 2
    turn = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)[:, None]
    return np.asarray(centre + np.cos(turn) * a + np.sin(turn) * b)


def _in_data(
    shapes: Shapes, layer: Layer, vertices: NDArray[np.float64]
) -> tuple[NDArray[np.float64], set[int]]:
    """Return vertices in the layer's data coordinates, and the axes on which they are defined."""
    world = to_world(shapes, vertices)[:, -layer.ndim :]
    missing = layer.ndim - world.shape[1]
    world = np.pad(world, ((0, 0), (missing, 0)))
    return to_data(layer, world), set(range(missing, layer.ndim))
