"""Position of layers in the world, and the placement of results exactly on their image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.image import AXES, PixelSize
from napari_unet.gui.layers.axes import FileFacts, check_axes, file_facts, layer_shape

if TYPE_CHECKING:
    from napari.layers import Layer

__all__ = [
    "lay_on",
    "misalignment",
    "pixel_size",
    "result_geometry",
    "to_data",
    "to_layer_order",
    "to_world",
    "world_matrix",
]

Floats = NDArray[np.float64]

_PARALLEL = 1e-9


def world_matrix(layer: Layer) -> Floats:
    """Return the affine matrix (n + 1, n + 1) from data to world coordinates of an n-D layer."""
    physical = np.eye(layer.ndim + 1)
    physical[:-1, :-1] = _linear(layer)
    physical[:-1, -1] = layer.translate
    return np.asarray(_extra_affine(layer) @ physical, np.float64)


def to_world(layer: Layer, points: Any) -> Floats:
    """Map data coordinates (points, n) of a layer to world coordinates."""
    matrix = world_matrix(layer)
    return np.asarray(np.asarray(points, float) @ matrix[:-1, :-1].T + matrix[:-1, -1])


def to_data(layer: Layer, points: Any) -> Floats:
    """Map world coordinates (points, n) to the data coordinates of a layer."""
    matrix = np.linalg.inv(world_matrix(layer))
    return np.asarray(np.asarray(points, float) @ matrix[:-1, :-1].T + matrix[:-1, -1])


def pixel_size(layer: Layer, axes: str) -> PixelSize | None:
    """Return the physical size of a layer's pixels along Z (if present), Y and X.

    The size is taken from scale (with rotation, shear and affine) and units, or from the layer's
    file if the layer has no unit of length. None if it is unknown; a scale other than 1 without a
    unit is kept with the unit ``"pixel"``, which is not a length.

    Parameters
    ----------
    layer
        Image or Labels layer.
    axes
        One letter per dimension of the layer.
    """
    letters = [a for a in "ZYX" if a in axes]
    spacing = dict(zip(axes, np.linalg.norm(world_matrix(layer)[:-1, :-1], axis=0), strict=True))
    units = dict(zip(axes, getattr(layer, "units", ()) or (), strict=False))
    lengths = {a: _in_um(units[a]) for a in letters if a in units}
    if lengths.get("Y") and lengths.get("X"):
        known = [a for a in letters if lengths[a]]
        return PixelSize(tuple(float(spacing[a]) * float(lengths[a] or 1) for a in known), "µm")
    facts = file_facts(layer)
    if facts is not None and _knows_plane(facts, layer, axes):
        known = [a for a in letters if a in facts.spacing_um]
        return PixelSize(tuple(float(facts.spacing_um[a]) for a in known), "µm")
    sizes = tuple(float(spacing[a]) for a in letters)
    return None if np.allclose(sizes, 1) else PixelSize(sizes, "pixel")


def result_geometry(
    layer: Layer, axes: str | None = None, position: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Compute the arguments that place a result exactly on the layer it was made from.

    Parameters
    ----------
    layer
        Image (or Labels) layer.
    axes
        One letter per dimension of the layer; None: `propose_axes`.
    position
        Index along each axis that the result lacks, if it is a single plane.

    Returns
    -------
    dict
        ``scale, translate, rotate, shear, affine, units, axis_labels`` for ``add_labels`` or
        ``add_image`` (the last two only if this napari version supports them). A leading channel
        axis is dropped. One further back is kept as a single pixel as wide as all channels
        together: napari aligns dimensions from the last one, so a result without it would be on
        other axes than the image. `to_layer_order` reshapes arrays accordingly.
    """
    axes = check_axes(layer, axes)
    keep, scale, offset = _kept_axes(layer, axes, position or {})
    linear = _linear(layer)
    translate = np.asarray(layer.translate, float) + (linear @ offset if offset.any() else 0.0)
    index = np.ix_(keep, keep)
    affine = _extra_affine(layer)
    ends = [*keep, layer.ndim]
    geometry: dict[str, Any] = {
        "scale": scale[keep],
        "translate": translate[keep],
        "rotate": np.asarray(layer.rotate, float)[index],
        "shear": _shear(layer)[index],
        "affine": affine[np.ix_(ends, ends)],
    }
    for name in ("units", "axis_labels"):
        if (values := getattr(layer, name, None)) is not None:
            geometry[name] = tuple(values[i] for i in keep)
    return geometry


def lay_on(
    layer: Layer, source: Layer, axes: str | None, position: Mapping[str, int] | None
) -> None:
    """Move a displayed result to the position of this plane, see `result_geometry`."""
    for name, value in result_geometry(source, axes, position).items():
        setattr(layer, name, value)


def to_layer_order(
    array: Any, layer: Layer, axes: str | None = None, position: Mapping[str, int] | None = None
) -> Any:
    """Convert a result from the core's order of axes to the order of a layer.

    Parameters
    ----------
    array
        Axes TZYX, those of `axes` that are not in `position`. numpy, dask or zarr.
    layer, axes, position
        As in `result_geometry`, which places the array.

    Returns
    -------
    array
        A view (for zarr a dask array, if the axes have to change).

    Raises
    ------
    LabelsError
        If the shape does not fit the layer.
    """
    axes = check_axes(layer, axes)
    position = position or {}
    keep = _kept_axes(layer, axes, position)[0]
    present = [a for a in AXES if a in axes and a != "C" and a not in position]
    sizes = dict(zip(axes, layer_shape(layer), strict=True))
    if tuple(array.shape) != tuple(sizes[a] for a in present):
        expected = " x ".join(str(sizes[a]) for a in present)
        raise LabelsError(
            f"A result of shape {tuple(array.shape)} does not fit '{layer.name}': expected "
            f"{expected} ({''.join(present)}). If the layer was changed, predict again."
        )
    order = [present.index(axes[i]) for i in keep if axes[i] in present]
    single = tuple(slice(None) if axes[i] in present else None for i in keep)
    if order == sorted(order) and None not in single:
        return array
    if not hasattr(array, "transpose") or type(array).__module__.startswith("zarr"):
        import dask.array as da

        array = da.from_array(array)
    return array.transpose(order)[single]


def misalignment(layer: Layer, other: Layer) -> str:
    """Describe a difference in position of two layers of one shape; empty if there is none."""
    ndim = min(layer.ndim, other.ndim)
    ours, theirs = world_matrix(layer), world_matrix(other)
    ours, theirs = ours[-ndim - 1 :, -ndim - 1 :], theirs[-ndim - 1 :, -ndim - 1 :]
    pixel = np.linalg.norm(ours[:-1, :-1], axis=0).min()
    reach = np.array(layer_shape(layer)[-ndim:], float)
    corners = np.stack([np.zeros(ndim), reach])
    shift = corners @ (ours - theirs)[:-1, :-1].T + (ours - theirs)[:-1, -1]
    if np.abs(shift).max() < pixel / 2:
        return ""
    return (
        f"'{other.name}' is not aligned with '{layer.name}' (scale, position or rotation differ): "
        "they are compared pixel by pixel, not as displayed."
    )


def _kept_axes(
    layer: Layer, axes: str, position: Mapping[str, int]
) -> tuple[list[int], Floats, Floats]:
    """Return the axes that a result keeps, its scale, and its first pixel in the layer's data."""
    scale = np.array(layer.scale, np.float64)
    offset = np.zeros(layer.ndim)
    for letter, index in position.items():
        offset[axes.index(letter)] = index
    c = axes.find("C")
    if c < 0:
        return list(range(layer.ndim)), scale, offset
    if c == 0 and _is_apart(layer, c):
        return list(range(1, layer.ndim)), scale, offset
    channels = layer_shape(layer)[c]
    scale[c] *= channels
    offset[c] = (channels - 1) / 2
    return list(range(layer.ndim)), scale, offset


def _is_apart(layer: Layer, axis: int) -> bool:
    """Return whether no rotation, shear or affine mixes this axis with others."""
    mix = np.abs(world_matrix(layer)[:-1, :-1])
    limit = _PARALLEL * mix.max()
    return bool(
        np.delete(mix[axis], axis).max(initial=0) <= limit
        and np.delete(mix[:, axis], axis).max(initial=0) <= limit
    )


def _linear(layer: Layer) -> Floats:
    return np.asarray(np.asarray(layer.rotate, float) @ _shear(layer) * layer.scale, np.float64)


def _extra_affine(layer: Layer) -> Floats:
    return np.asarray(layer.affine.affine_matrix, np.float64)


def _shear(layer: Layer) -> Floats:
    """Return the shear as a matrix; napari stores a matrix, its upper triangle, or zeros."""
    shear = np.asarray(layer.shear, np.float64)
    if shear.ndim == 2:
        return shear
    matrix = np.eye(layer.ndim)
    upper = np.triu_indices(layer.ndim, 1)
    if shear.size == upper[0].size:
        matrix[upper] = shear
    return matrix


def _in_um(unit: Any) -> float | None:
    """Convert one of napari's (pint) units to micrometres; None for pixels."""
    try:
        return float((1 * unit).to("micrometer").magnitude)
    except Exception:  # pint has many exceptions for units that are not lengths
        return None


def _knows_plane(facts: FileFacts, layer: Layer, axes: str) -> bool:
    """Return whether a file has a pixel size, and planes of the same shape as the layer."""
    theirs = dict(zip(facts.axes, facts.shape, strict=True))
    ours = dict(zip(axes, layer_shape(layer), strict=True))
    return all(a in facts.spacing_um and theirs.get(a) == ours[a] for a in "YX")
