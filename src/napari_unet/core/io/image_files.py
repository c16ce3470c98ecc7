"""Reading and writing of images and labels in any format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.labels import as_labels
from napari_unet.core.io.format import ReadOptions
from napari_unet.core.io.formats import bare_name, format_of_name
from napari_unet.core.io.raw_files import read_raw, write_array
from napari_unet.core.io.raw_image import RawImage, name_axes

__all__ = [
    "labels_of_array",
    "read_image",
    "read_label_array",
    "read_labels",
    "write_image",
    "write_labels",
]


def read_image(
    path: str | os.PathLike[str],
    channels: Sequence[str | int] | None = None,
    *,
    axes: str | None = None,
    lazy: bool = False,
) -> Image:
    """Read an image.

    Parameters
    ----------
    path
        File of a format in `napari_unet.core.io.formats`: TIFF, PNG, JPEG, BMP, NPY, or the folder
        of a Zarr array or OME-NGFF image.
    channels
        Channels to keep, by name or by index from 0, in that order. None: all.
    axes
        One letter of ``"TZCYX"`` per axis (``S`` for colour samples), in the order of the file.
        None: as stored in the file; required for stacks whose files do not name their axes.
    lazy
        Leave the pixels on disk: memory-mapped if possible, otherwise a dask array.

    Returns
    -------
    Image
        Grey or colour image with axes in the order TZCYX. Its pixel size in µm and channel names
        come from OME, OME-NGFF or ImageJ metadata. Plain resolution tags are ignored if they are a
        print resolution. Transparency is dropped.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated or of an unknown format, if its axes are unknown,
        or if a channel does not exist.

    Examples
    --------
    >>> from napari_unet import Image, read_image, synthetic_nuclei, write_image
    >>> write_image("a.tif", Image(synthetic_nuclei((64, 64), 6)[0], "YX"))
    >>> image = read_image("a.tif")
    >>> image.axes, image.shape
    ('YX', (64, 64))
    """
    path = Path(path)
    raw = read_raw(path, ReadOptions(lazy=lazy))
    data, letters = name_axes(raw, axes, path.name)
    image = Image.from_array(data, letters, name=bare_name(path), path=path, rgb="S" in letters)
    names = raw.channel_names
    image = replace(
        image,
        pixel_size=_pixel_size(raw, image.axes),
        channel_names=names if names and not image.rgb and len(names) == image.channels else None,
    )
    return image if channels is None else image.select_channels(tuple(channels))


def read_label_array(
    path: str | os.PathLike[str], *, axes: str | None = None, axes_if_unnamed: str | None = None
) -> tuple[NDArray[Any], bool]:
    """Read labels as stored in a file, without any checks.

    Parameters
    ----------
    path
        File of any format that `read_image` reads; of a palette PNG, the indices are read.
    axes
        As in `read_image`.
    axes_if_unnamed
        Axes to use if the file does not name them, or names some that labels cannot have.

    Returns
    -------
    labels
        Axes of the file in the order TZYX, any data type; with a last axis of length 3 if the
        labels were saved as colours.
    is_colour
        Whether there is such a last axis.

    Raises
    ------
    LabelsError
        If the file cannot be read or has channels.
    """
    path = Path(path)
    raw = _read_raw_labels(path)
    try:
        return _label_pixels(raw, axes, path.name)
    except LabelsError:
        if axes_if_unnamed is None:
            raise
        return _label_pixels(raw, axes_if_unnamed, path.name)


def read_labels(path: str | os.PathLike[str], *, axes: str | None = None) -> NDArray[Any]:
    """Read labels: one whole number per pixel.

    Parameters
    ----------
    path
        File of any format that `read_image` reads; of a palette PNG, the indices are read.
    axes
        As in `read_image`.

    Returns
    -------
    NDArray
        Integers from 0 in the file's integer type, axes of the file in the order TZYX. A grey mask
        that was saved as colour (three equal channels) is read as grey.

    Raises
    ------
    LabelsError
        If the file cannot be read, or its pixels are colours, fractions or negative numbers.

    Examples
    --------
    >>> from napari_unet import read_labels, synthetic_nuclei, write_labels
    >>> write_labels("a.png", synthetic_nuclei((64, 64), 6)[1])
    >>> read_labels("a.png").max()
    np.uint16(6)
    """
    return labels_of_array(*read_label_array(path, axes=axes), Path(path).name)


def labels_of_array(labels: NDArray[Any], is_colour: bool, name: str) -> NDArray[Any]:
    """Check the output of `read_label_array`, and return labels as `read_labels` does.

    Parameters
    ----------
    labels, is_colour
        From `read_label_array`.
    name
        File name for messages.

    Raises
    ------
    LabelsError
        If the pixels are colours, fractions or negative numbers.
    """
    if is_colour:
        if not (labels == labels[..., :1]).all():
            raise LabelsError(
                f"'{name}' holds colours {labels.shape}: expected one number per pixel. Read it "
                "with the repair 'colours', which assigns a number to each colour, or save the "
                "labels as a 16-bit TIFF."
            )
        labels = labels[..., 0]
    return as_labels(labels, name)


def write_labels(
    path: str | os.PathLike[str],
    labels: NDArray[Any],
    axes: str = "YX",
    pixel_size: PixelSize | None = None,
) -> None:
    """Write labels atomically.

    Parameters
    ----------
    path
        ``.tif`` (uint16 as ImageJ hyperstack; uint32 as OME-TIFF if an id is above 65,535),
        ``.png`` (one plane, up to 65,535), ``.npy`` or ``.zarr`` (OME-NGFF).
    labels
        Integers from 0.
    axes
        One letter of ``"TZYX"`` per axis, in that order.
    pixel_size
        Pixel size, stored in TIFF and Zarr.

    Raises
    ------
    LabelsError
        If the labels are invalid or the format cannot hold them.
    StorageError
        If the file cannot be written or its suffix is unknown.

    Examples
    --------
    >>> from napari_unet import PixelSize, synthetic_nuclei, write_labels
    >>> _, labels = synthetic_nuclei((64, 64), 6)
    >>> write_labels("labels.tif", labels, pixel_size=PixelSize((0.5, 0.5), "µm"))
    """
    path = Path(path)
    labels = as_labels(labels, path.name)
    largest = int(labels.max(initial=0))
    _check_labels_fit(path, labels, axes, largest)
    data = labels.astype(np.uint32 if largest > 65_535 else np.uint16)
    write_array(path, data, axes, pixel_size)


def _check_labels_fit(path: Path, labels: NDArray[Any], axes: str, largest: int) -> None:
    if labels.ndim != len(axes):
        raise LabelsError(
            f"'{path.name}': labels of shape {labels.shape} do not match the axes {axes!r}: "
            "expected one letter per axis."
        )
    if largest >= 2**32:
        raise LabelsError(
            f"'{path.name}': ids go up to {largest}, but a file holds ids up to {2**32 - 1}. "
            "Renumber the objects from 1."
        )
    found = format_of_name(path.name)
    if found is None:  # `write_array` reports it
        return
    too_many_planes = found.planes_only and labels.ndim != 2
    if too_many_planes or largest > found.largest_label:
        raise LabelsError(
            f"'{path.name}': a {found.name} holds {'one plane with ' * found.planes_only}ids up to "
            f"{found.largest_label:,}, but these labels have shape {labels.shape} and ids up to "
            f"{largest}. Write them as '.tif'."
        )


def write_image(path: str | os.PathLike[str], image: Image) -> None:
    """Write an image atomically, with its axes, pixel size and channel names.

    Parameters
    ----------
    path
        ``.tif``, ``.npy``, ``.zarr`` or (one uint8 or uint16 plane) ``.png``.
    image
        The image; floats are written as float32, integers of 64 bits as the smallest type that
        holds them.

    Raises
    ------
    StorageError
        If the file cannot be written, or the format cannot hold such an image.

    Examples
    --------
    >>> from napari_unet import Image, synthetic_nuclei, write_image
    >>> pixels, _ = synthetic_nuclei((64, 64), 6)
    >>> write_image("image.tif", Image(pixels, "YX"))
    """
    path = Path(path)
    data = np.asarray(image.data)
    if data.dtype.kind == "f":
        data = data.astype(np.float32)
    elif data.dtype.kind == "b":
        data = data.astype(np.uint8)
    elif data.dtype.itemsize == 8:
        data = _narrowed(data)
    write_array(path, data, image.axes, image.pixel_size, image.channel_names, rgb=image.rgb)


def _narrowed(data: NDArray[Any]) -> NDArray[Any]:
    """Convert 64-bit integers, which few programs read, to the smallest type that holds them."""
    ends = [int(data.min()), int(data.max())] if data.size else [0]
    narrow = np.result_type(*map(np.min_scalar_type, ends))
    return data.astype(np.float64 if narrow.itemsize == 8 else narrow)


def _read_raw_labels(path: Path) -> RawImage:
    if path.name.lower().endswith("_seg.npy"):
        raise LabelsError(
            f"'{path.name}' is Cellpose's own file, a pickled Python object that can run code "
            "when loaded: expected an image of labels. In Cellpose choose 'Save masks as PNG/tif' "
            "(or run it with --save_tif) and use that '_cp_masks' file."
        )
    try:
        return read_raw(path, ReadOptions(indices=True))
    except ImageError as error:
        raise LabelsError(str(error)) from error


def _label_pixels(raw: RawImage, axes: str | None, name: str) -> tuple[NDArray[Any], bool]:
    """Order the axes of labels; also return whether the last axis holds colours."""
    try:
        data, letters = name_axes(raw, axes, name)
        image = Image.from_array(data, letters, name=name, rgb="S" in letters)
    except ImageError as error:
        raise LabelsError(str(error)) from error
    if "C" not in image.axes:
        return np.asarray(image.data), False
    pixels = np.moveaxis(np.asarray(image.data), image.axes.index("C"), -1)
    if image.channels == 1:
        return pixels[..., 0], False
    if not image.rgb:
        raise LabelsError(
            f"'{name}' has {image.channels} channels: labels must have none. Save only the labels, "
            "one number per pixel."
        )
    return pixels, True


def _pixel_size(raw: RawImage, axes: str) -> PixelSize | None:
    if not {"Y", "X"} <= set(raw.spacing_um):
        return None
    return PixelSize(tuple(raw.spacing_um[a] for a in "ZYX" if a in axes and a in raw.spacing_um))
