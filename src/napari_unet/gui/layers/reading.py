"""Conversion of layers to images and label arrays of the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.images.image import AXES, Image
from napari_unet.gui.layers.axes import check_axes, layer_shape
from napari_unet.gui.layers.geometry import misalignment, pixel_size, to_data
from napari_unet.gui.layers.proxies import unwrapped

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels, Layer

__all__ = ["current_plane", "image_from_layers", "labels_from_layer", "plane_of"]


def image_from_layers(
    layers: Sequence[ImageLayer],
    axes: str | None = None,
    channels: Sequence[int | str] | None = None,
) -> Image:
    """Make an image from one layer, or from several layers that are its channels.

    Parameters
    ----------
    layers
        Aligned image layers of one shape. Any data type; numpy, dask, zarr; of a multiscale layer
        the finest level. Lazy data stays lazy.
    axes
        One letter of ``"TZCYX"`` per dimension of a layer, in its order; None: `propose_axes`.
    channels
        Channels to keep, by name or by index from 0. None: all.

    Returns
    -------
    Image
        Axes in the order TZCYX; with a pixel size in µm if layer or file define it; named after
        the first layer. Channels are named after their layers. Colours of a single RGB or RGBA
        layer stay colours (``rgb``), without alpha.

    Raises
    ------
    ImageError
        If there is no layer, the layers differ in shape or position, or the axes do not fit.
    """
    if not layers:
        raise ImageError("No image layer is chosen. Open an image and choose its layer.")
    layers = [unwrapped(layer) for layer in layers]
    images = [_image(layer, axes) for layer in layers]
    for layer, image in zip(layers[1:], images[1:], strict=True):
        _check_fits(layers[0], images[0], layer, image)
    image = images[0] if len(images) == 1 else _stack_channels(images)
    return image if channels is None else image.select_channels(tuple(channels))


def labels_from_layer(
    labels_layer: Labels,
    image_layer: Layer,
    axes: str | None = None,
    position: Mapping[str, int] | None = None,
) -> NDArray[Any]:
    """Copy the labels that belong to an image, in the core's order of axes.

    Parameters
    ----------
    labels_layer
        Labels layer of the image's shape, with or without its channel axis: a label painted on one
        channel counts for the pixel.
    image_layer, axes
        The image layer and its axes, as in `image_from_layers`.
    position
        Index along T and Z of the part to read; None: everything.

    Returns
    -------
    NDArray
        A copy, axes TZYX (those of the image without C and those of `position`). Later strokes do
        not change it.

    Raises
    ------
    LabelsError
        If the shapes do not fit, or different labels were painted on the channels of one pixel.
    """
    labels_layer, image_layer = unwrapped(labels_layer), unwrapped(image_layer)
    axes = check_axes(image_layer, axes)
    sizes = dict(zip(axes, layer_shape(image_layer), strict=True))
    data: Any = labels_layer.data[0] if labels_layer.multiscale else labels_layer.data
    shape = data.shape
    spatial = axes.replace("C", "")
    fits = {axes: tuple(sizes[a] for a in axes), spatial: tuple(sizes[a] for a in spatial)}
    if "C" in axes:
        fits[axes.replace("C", "1")] = tuple(1 if a == "C" else sizes[a] for a in axes)
    while data.ndim > len(axes) and data.shape[0] == 1:
        data = data[0]
    letters = next((name for name, fit in fits.items() if tuple(data.shape) == fit), None)
    if letters is None:
        expected = " x ".join(str(n) for n in fits[spatial])
        raise LabelsError(
            f"The labels '{labels_layer.name}' have shape {shape}, but the image "
            f"'{image_layer.name}' needs {expected} ({spatial}). Choose labels of this image, or "
            "select the image and create labels with napari's button 'New labels layer'."
        )
    letters, at = letters.replace("1", "C"), position or {}
    labels = np.asarray(data[tuple(at.get(a, slice(None)) for a in letters)])
    letters = "".join(a for a in letters if a not in at)
    if "C" in letters:
        labels = _merge_channels(labels, letters.index("C"), labels_layer.name)
        letters = letters.replace("C", "")
    order = [letters.index(a) for a in AXES if a in letters]
    return np.array(labels.transpose(order), order="C")


def current_plane(
    viewer: napari.Viewer, image: Image, layer: Layer, axes: str | None = None
) -> tuple[Image, dict[str, int]]:
    """Return the plane of an image that is in view.

    Parameters
    ----------
    viewer
        Viewer whose sliders define the plane.
    image
        Image made from `layer`, axes TZCYX.
    layer, axes
        The layer and its axes, as in `image_from_layers`.

    Returns
    -------
    plane
        Image with axes YX or CYX; the same image if it has only one plane.
    position
        Index along each axis that was removed, for example ``{"T": 3}``.
    """
    viewer, layer = unwrapped(viewer), unwrapped(layer)
    axes = check_axes(layer, axes)
    point = np.asarray(viewer.dims.point, float)
    point = np.concatenate([np.zeros(max(0, layer.ndim - point.size)), point])[-layer.ndim :]
    indices = np.round(to_data(layer, point[None])[0]).astype(int)
    position = {
        a: int(np.clip(indices[axes.index(a)], 0, n - 1))
        for a, n in image.sizes.items()
        if a in "TZ"
    }
    return plane_of(image, position), position


def plane_of(image: Image, position: Mapping[str, int]) -> Image:
    """Return one plane of an image, axes YX or CYX, at a position as from `current_plane`."""
    data = image.data[tuple(position.get(a, slice(None)) for a in image.axes)]
    left = "".join(a for a in image.axes if a not in position)
    size = image.pixel_size
    if size is not None and "Z" in position:
        size = replace(size, spacing=size.yx)
    return replace(image, data=data, axes=left, pixel_size=size)


def _image(layer: ImageLayer, axes: str | None) -> Image:
    letters = check_axes(layer, axes)
    data: Any = layer.data[0] if layer.multiscale else layer.data
    path = getattr(getattr(layer, "source", None), "path", None)
    rgb = bool(layer.rgb)
    return Image.from_array(
        _array(data),
        letters + "S" if rgb else letters,
        name=layer.name,
        rgb=rgb,
        path=Path(path) if path else None,
        pixel_size=pixel_size(layer, letters),
    )


def _array(data: Any) -> Any:
    """Return numpy and dask arrays as they are, and others (zarr, xarray, lazy files) as dask."""
    if isinstance(data, np.ndarray) or type(data).__module__.startswith("dask."):
        return data
    import dask.array as da

    chunks = getattr(data, "chunks", None)
    return da.from_array(data, chunks=chunks or "auto")


def _check_fits(first: ImageLayer, image: Image, layer: ImageLayer, other: Image) -> None:
    if image.label_shape != other.label_shape or image.label_axes != other.label_axes:
        raise ImageError(
            f"'{layer.name}' has shape {other.label_shape} ({other.label_axes}), but "
            f"'{first.name}' has {image.label_shape} ({image.label_axes}): channels of one image "
            "must have the same shape. Choose layers of one shape."
        )
    if misalignment(first, layer):
        raise ImageError(
            f"'{layer.name}' is not aligned with '{first.name}' (scale, position or rotation "
            "differ): channels of one image must be aligned. Set both layers to the same scale "
            "and position."
        )


def _stack_channels(images: list[Image]) -> Image:
    names: list[str] = []
    arrays = []
    for image in images:
        names += _channel_names(image)
        axes = image.axes if "C" in image.axes else image.axes.replace("Y", "CY")
        arrays.append(image.data if "C" in image.axes else image.data[..., None, :, :])
    axis = axes.index("C")
    if all(isinstance(array, np.ndarray) for array in arrays):
        data: Any = np.concatenate(arrays, axis)
    else:
        import dask.array as da

        data = da.concatenate([da.asarray(array) for array in arrays], axis)
    unique = tuple(names) if len(set(names)) == len(names) else None
    return replace(images[0], data=data, axes=axes, channel_names=unique, rgb=False)


def _channel_names(image: Image) -> list[str]:
    if "C" not in image.axes:
        return [image.name]
    inner = ("red", "green", "blue") if image.rgb else range(image.channels)
    return [f"{image.name} {channel}" for channel in inner]


def _merge_channels(labels: NDArray[Any], axis: int, name: str) -> NDArray[Any]:
    """Merge labels of all channels; raise `LabelsError` if they contradict each other."""
    merged: NDArray[Any] = labels.max(axis)
    if ((labels != 0) & (labels != np.expand_dims(merged, axis))).any():
        raise LabelsError(
            f"In '{name}' some pixels have different labels on different channels: expected one "
            "label per pixel. Erase the labels on all channels but one."
        )
    return merged
