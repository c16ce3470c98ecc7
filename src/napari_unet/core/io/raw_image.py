"""Contents of a file as its format stores them, before conversion to an `Image`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_unet.core.errors import ImageError
from napari_unet.core.images.image import AXES

__all__ = ["RawImage", "name_axes"]


@dataclass(frozen=True)
class RawImage:
    """Array and metadata as they are stored in a file.

    Parameters
    ----------
    data
        Array: numpy, memory-mapped, zarr or dask.
    axes
        One letter per axis: ``T``, ``Z``, ``C``, ``Y``, ``X``, ``S`` for colour samples, anything
        else for an axis that the file does not name. None: the file names none of them.
    spacing_um
        Pixel size in micrometres by axis letter, if known.
    channel_names
        Names of the channels, or None.
    rgb
        Whether the samples are colours.
    name
        Name of the image, for formats that store one.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet.core.io import RawImage
    >>> RawImage(np.zeros((5, 64, 64)), axes="ZYX", spacing_um={"Y": 0.5, "X": 0.5}).axes
    'ZYX'
    """

    data: Any
    axes: str | None = None
    spacing_um: Mapping[str, float] = field(default_factory=dict)
    channel_names: tuple[str, ...] | None = None
    rgb: bool = False
    name: str = ""


def name_axes(raw: RawImage, axes: str | None, filename: str) -> tuple[Any, str]:
    """Determine the axes of an array.

    Parameters
    ----------
    raw
        Contents of the file.
    axes
        Axes named by the user: one letter per axis of the file, with or without axes of length 1
        and the colour samples. None: as stored in the file.
    filename
        File name for messages.

    Returns
    -------
    data
        The array, without unnamed axes of length 1.
    letters
        One letter of ``"TZCYXS"`` per axis, in the order of `data`; ``S`` only for colours.

    Raises
    ------
    ImageError
        If neither the file nor the user names the axes, or the user names too many or too few.
    """
    if raw.data.ndim < 2:
        raise ImageError(
            f"'{filename}' holds an array of shape {tuple(raw.data.shape)}: expected an image, "
            "with height and width. Choose another file."
        )
    data, letters = raw.data, raw.axes or _plain_axes(raw.data.shape)
    if axes is None or len(axes) != data.ndim:
        data, letters = _squeeze(data, letters)
    samples = letters.find("S")
    is_colour = samples >= 0 and (raw.rgb or raw.axes is None) and data.shape[samples] in (3, 4)
    if axes is not None:
        return data, _given_axes(axes.upper(), letters, is_colour, data.shape, filename)
    if not is_colour:
        letters = letters.replace("S", "C")
    if set(letters) - set(AXES + "S") or len(set(letters)) < data.ndim:
        raise ImageError(
            f"'{filename}' has {data.ndim} axes {tuple(data.shape)} and does not name them. "
            "Name them in this order, for example axes='TYX' (time), 'ZYX' (depth) or 'CYX' "
            "(channels)."
        )
    return data, letters


def _given_axes(
    axes: str, letters: str, is_colour: bool, shape: tuple[int, ...], filename: str
) -> str:
    samples = letters.find("S") if is_colour else -1
    if is_colour and len(axes) == len(letters) - 1:  # colours are in addition to the named axes
        return axes[:samples] + "S" + axes[samples:]
    if len(axes) != len(letters):
        raise ImageError(
            f"'{filename}' has {len(shape)} axes {tuple(shape)}, but axes={axes!r} names "
            f"{len(axes)}. Use one letter per axis, or none if the file names them."
        )
    if is_colour and axes[samples] == "C":
        return axes[:samples] + "S" + axes[samples + 1 :]
    return axes


def _squeeze(data: Any, letters: str) -> tuple[Any, str]:
    """Drop axes of length 1 other than Y and X."""
    keep = [i for i, a in enumerate(letters) if a in "YX" or data.shape[i] > 1]
    data = data[tuple(slice(None) if i in keep else 0 for i in range(data.ndim))]
    return data, "".join(letters[i] for i in keep)


def _plain_axes(shape: tuple[int, ...]) -> str:
    """Guess the axes of an array: a plane, a colour plane, or unknown (?) leading axes."""
    inner = (
        "YXS"
        if len(shape) > 2 and shape[-1] in (3, 4) and max(shape[:-3], default=1) == 1
        else "YX"
    )
    return inner.rjust(len(shape), "?") if len(shape) >= 2 else "?" * len(shape)
