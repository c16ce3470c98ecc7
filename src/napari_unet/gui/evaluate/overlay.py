"""Alignment of a prediction with its ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.image import AXES

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

__all__ = ["Overlay", "layer_data", "overlay"]


@dataclass(frozen=True)
class Overlay:
    """Prediction and ground truth of one shape, and the layer that they share a grid with.

    Parameters
    ----------
    prediction, truth
        Arrays of one shape with the axes TZYX, those of them that exist.
    layer
        Layer of the same shape and position, from which an error layer is made.
    axes
        One letter per dimension of `layer`, in its order.
    """

    prediction: Any
    truth: Any
    layer: Labels
    axes: str

    def position(self, plane: str) -> dict[str, int]:
        """Convert a plane's position, such as ``"3 1"``, to an index per axis."""
        leading = [a for a in AXES if a in self.axes and a != "C"]
        return dict(zip(leading, map(int, plane.split()), strict=False))


def overlay(prediction: Labels, truth: Labels) -> Overlay:
    """Align prediction and ground truth and return them in one shape.

    A prediction of one plane is compared with the plane of the ground truth at its position. Axes
    of length 1 that the ground truth does not have are dropped.

    Raises
    ------
    LabelsError
        If their shapes do not match.
    """
    from napari_unet.gui.layers import propose_axes

    p, t = layer_data(prediction), layer_data(truth)
    layer = truth
    if p.shape != t.shape:
        if _without_single(p.shape) == _without_single(t.shape):
            p = (p if hasattr(p, "reshape") else _lazy(p)).reshape(t.shape)
        elif (plane := _plane_of(prediction, truth)) is not None:
            t, layer = t[tuple(slice(i, i + 1) for i in plane)], prediction
    if p.shape == t.shape:
        axes = propose_axes(layer)
        return Overlay(_in_order(p, axes), _in_order(t, axes), layer, axes)
    raise LabelsError(
        f"The prediction '{prediction.name}' has shape {tuple(p.shape)} and the ground truth "
        f"'{truth.name}' {tuple(t.shape)}: expected the same shape. Choose two layers of one image."
    )


def layer_data(layer: Layer) -> Any:
    """Return the array of a layer, or the finest level of a multiscale layer."""
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data


def _in_order(data: Any, axes: str) -> Any:
    """Transpose an array to the axis order TCZYX and drop a C of length 1."""
    order = [axes.index(a) for a in AXES if a in axes]
    if order != sorted(order):
        data = (data if hasattr(data, "transpose") else _lazy(data)).transpose(order)
    kept = zip(sorted(axes, key=AXES.index), data.shape, strict=True)
    shape = tuple(n for a, n in kept if (a, n) != ("C", 1))
    if shape != tuple(data.shape):
        data = (data if hasattr(data, "reshape") else _lazy(data)).reshape(shape)
    return data


def _lazy(data: Any) -> Any:
    """Wrap a zarr array in a dask array, which can be reshaped."""
    import dask.array as da

    return da.from_array(data)


def _without_single(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _plane_of(prediction: Labels, truth: Labels) -> tuple[int, ...] | None:
    """Return the index of the ground-truth plane at the position of a one-plane prediction."""
    from napari_unet.gui.layers.geometry import to_data, to_world

    p, t = layer_data(prediction).shape, layer_data(truth).shape
    leading = len(t) - 2
    if len(p) != len(t) or p[-2:] != t[-2:] or any(n != 1 for n in p[:-2]):
        return None
    corner = to_data(truth, to_world(prediction, np.zeros((1, len(p)))))[0]
    index = tuple(round(float(i)) for i in corner[:leading])
    inside = all(0 <= i < n for i, n in zip(index, t[:-2], strict=True))
    return index if inside else None
