"""Images: arrays with named axes and a pixel size, validated once, on creation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.core.errors import ImageError

__all__ = ["AXES", "Image", "PixelSize"]

AXES = "TZCYX"
"""Every axis an image can have, in the order used throughout the package."""

_AXIS_WORDS = {"T": "time", "Z": "depth", "C": "channel", "Y": "height", "X": "width"}


@dataclass(frozen=True)
class PixelSize:
    """Physical size of one pixel.

    Parameters
    ----------
    spacing
        Size along the spatial axes of the image, in the order Z (if present), Y, X.
    unit
        Name of the unit, for example ``"µm"``.

    Examples
    --------
    >>> from napari_unet import PixelSize
    >>> PixelSize((2.0, 0.5, 0.5)).yx
    (0.5, 0.5)
    """

    spacing: tuple[float, ...]
    unit: str = "µm"

    def __post_init__(self) -> None:
        if not 2 <= len(self.spacing) <= 3 or not all(0 < s < np.inf for s in self.spacing):
            raise ImageError(
                f"Pixel size {self.spacing} {self.unit} is not usable: expected two or three "
                "positive numbers, in the order (Z,) Y, X."
            )

    @property
    def yx(self) -> tuple[float, float]:
        """Size along Y and X."""
        return self.spacing[-2], self.spacing[-1]

    def __str__(self) -> str:
        return f"{' x '.join(f'{s:.4g}' for s in self.spacing)} {self.unit}"


@dataclass(frozen=True)
class Image:
    """An image with named axes.

    Parameters
    ----------
    data
        Array (numpy, dask or zarr-backed dask) of bool, integers or floats.
    axes
        One letter per axis of `data`: a subset of ``"TZCYX"`` in that order, with Y and X.
        Use `Image.from_array` for arrays in another order.
    name
        Name of the image in messages and files.
    pixel_size
        Physical pixel size; None if unknown.
    channel_names
        One name per channel, or None.
    rgb
        Whether the channels are red, green and blue (normalised with one common range).
    path
        Path of the image's file, if there is one.

    Raises
    ------
    ImageError
        If the axes do not match the array.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import Image, PixelSize
    >>> stack = Image(np.zeros((5, 64, 64), np.uint8), "ZYX", pixel_size=PixelSize((2.0, 0.5, 0.5)))
    >>> stack.label_shape, str(stack.pixel_size)
    ((5, 64, 64), '2 x 0.5 x 0.5 µm')
    """

    data: Any
    axes: str
    name: str = "image"
    pixel_size: PixelSize | None = None
    channel_names: tuple[str, ...] | None = None
    rgb: bool = False
    path: Path | None = None

    def __post_init__(self) -> None:
        _check_axes(self.axes, self.shape, self.name)
        if "".join(a for a in AXES if a in self.axes) != self.axes:
            raise ImageError(
                f"'{self.name}' has axes {self.axes}: expected the order {AXES}. "
                "Use Image.from_array, which reorders axes."
            )
        if self.data.dtype.kind not in "buif":
            raise ImageError(
                f"'{self.name}' has data type {self.data.dtype}: expected bool, integers or "
                "floats. Convert it, for example with .real or .astype(float)."
            )
        if 0 in self.shape:
            raise ImageError(
                f"'{self.name}' has shape {self.shape}: it has no pixels. Choose another image."
            )
        if self.channel_names is not None and len(self.channel_names) != self.channels:
            raise ImageError(
                f"'{self.name}' has {self.channels} channel(s) and {len(self.channel_names)} "
                f"channel name(s) {self.channel_names}: expected one name per channel."
            )

    @classmethod
    def from_array(cls, data: Any, axes: str | None = None, **kwargs: Any) -> Image:
        """Create an image from an array whose axes are in any order.

        Parameters
        ----------
        data
            Array. A trailing alpha channel of an RGBA image is dropped.
        axes
            One letter of ``"TZCYX"`` per axis, in any order (``S``, samples, means RGB channels).
            None: YX, or YXS if there are three dimensions and the last has length 3 or 4.
        **kwargs
            The other fields of `Image`.

        Returns
        -------
        Image
            Image with its axes in the order ``TZCYX``.
        """
        if not hasattr(data, "dtype") or not hasattr(data, "ndim"):
            data = np.asarray(data)
        if not hasattr(data, "transpose"):  # zarr: dask reads its blocks on demand
            import dask.array as da

            data = da.from_array(data)
        name = kwargs.get("name", "image")
        if axes is None:
            axes = _guess_axes(data.shape, name)
        axes = axes.upper()
        if "S" in axes and "C" not in axes:
            axes = axes.replace("S", "C")
            kwargs.setdefault("rgb", data.ndim == len(axes) and data.shape[axes.index("C")] >= 3)
        _check_axes(axes, data.shape, name)
        order = [axes.index(a) for a in AXES if a in axes]
        data = data.transpose(order)
        axes = "".join(axes[i] for i in order)
        if kwargs.get("rgb") and data.shape[axes.index("C")] == 4:
            data = data[tuple(slice(3) if a == "C" else slice(None) for a in axes)]
        return cls(data, axes, **kwargs)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis, in the order of `axes`."""
        return tuple(int(n) for n in self.data.shape)

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis by its letter."""
        return dict(zip(self.axes, self.shape, strict=True))

    @property
    def channels(self) -> int:
        """Number of channels; 1 without a channel axis."""
        return self.sizes.get("C", 1)

    @property
    def label_axes(self) -> str:
        """Axes of labels of this image: all but C."""
        return self.axes.replace("C", "")

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of labels of this image."""
        return tuple(n for a, n in self.sizes.items() if a != "C")

    def select_channels(self, channels: tuple[str | int, ...]) -> Image:
        """Return an image with only these channels, by name or by index from 0, in this order.

        Raises
        ------
        ImageError
            If a channel does not exist.
        """
        names = self.channel_names or ()
        indices: list[int] = []
        for channel in channels:
            if isinstance(channel, str) and channel in names:
                indices.append(names.index(channel))
            elif isinstance(channel, int) and 0 <= channel < self.channels:
                indices.append(channel)
            else:
                known = ", ".join(names or (str(i) for i in range(self.channels)))
                raise ImageError(
                    f"'{self.name}' has no channel {channel!r}. It has "
                    f"{self.channels} channel(s): {known}. Choose one of these."
                )
        if "C" not in self.axes:
            if len(indices) == 1:
                return self
            axes = self.axes.replace("Y", "CY")
            return replace(self, data=self.data[..., None, :, :], axes=axes).select_channels(
                channels
            )
        # A slice if possible: a list would read a memory-mapped file completely.
        first, count = indices[0], len(indices)
        in_a_row = indices == list(range(first, first + count))
        chosen = slice(first, first + count) if in_a_row else indices
        index = tuple(chosen if a == "C" else slice(None) for a in self.axes)
        return replace(
            self,
            data=self.data[index],
            channel_names=tuple(names[i] for i in indices) if names else None,
            rgb=self.rgb and len(indices) == 3,
        )

    def as_rgb(self) -> Image:
        """Return a grey image as RGB with three equal channels, without copying its values."""
        grey = self.select_channels((0,)) if "C" in self.axes else self
        data = grey.data if "C" in grey.axes else grey.data[..., None, :, :]
        axes = grey.axes if "C" in grey.axes else grey.axes.replace("Y", "CY")
        shape = tuple(3 if a == "C" else n for a, n in zip(axes, data.shape, strict=True))
        data = np.broadcast_to(data, shape)
        return replace(self, data=data, axes=axes, channel_names=None, rgb=True)

    def planes(self, ndim: int = 2) -> Iterator[tuple[dict[str, int], Any]]:
        """Yield the planes (or volumes) that a network of `ndim` spatial dimensions processes.

        Yields
        ------
        position
            Index along each leading axis, for example ``{"T": 3}``.
        data
            Array with axes CYX (`ndim` 2) or CZYX (`ndim` 3).
        """
        spatial = "ZYX"[3 - ndim :]
        if any(a not in self.axes for a in spatial):
            raise ImageError(
                f"'{self.name}' has axes {self.axes}, the model needs {spatial}. "
                "Choose a 2-D model, or an image with depth."
            )
        leading = [a for a in self.axes if a not in spatial and a != "C"]
        for index in np.ndindex(*(self.sizes[a] for a in leading)):
            position = dict(zip(leading, index, strict=True))
            yield position, self._at(position)

    def scope(self, position: Mapping[str, int]) -> Any:
        """Return the data that a plane is normalised with: the whole image at its time point.

        Parameters
        ----------
        position
            Position as yielded by `planes`.

        Returns
        -------
        array
            Axes CYX, or CZYX if the image has depth, regardless of the network's dimensions.
        """
        return self._at({a: i for a, i in position.items() if a == "T"})

    def _at(self, position: Mapping[str, int]) -> Any:
        """Return the data at a position along some axes, with the channels first."""
        data = self.data[tuple(position.get(a, slice(None)) for a in self.axes)]
        inside = "".join(a for a in self.axes if a not in position)
        if "C" not in inside:
            return data[None]
        return data if inside.index("C") == 0 else data.swapaxes(0, 1)

    def describe(self) -> str:
        """Describe the image, for example ``"cells: TYX 5 x 512 x 512 uint16, 0.65 µm"``."""
        size = " x ".join(str(n) for n in self.shape)
        scale = f", {self.pixel_size}" if self.pixel_size else ", pixel size unknown"
        colour = " RGB" if self.rgb else ""
        return f"{self.name}: {self.axes} {size} {self.data.dtype}{colour}{scale}"


def _check_axes(axes: str, shape: tuple[int, ...], name: str) -> None:
    unknown = [a for a in axes if a not in AXES]
    if unknown or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        words = ", ".join(f"{a} ({w})" for a, w in _AXIS_WORDS.items())
        raise ImageError(
            f"'{name}' has axes {axes!r}: expected each of {words} at most once, and Y and X "
            "present. Name the axes, for example axes='TYX'."
        )
    if len(axes) != len(shape):
        raise ImageError(
            f"'{name}' has {len(shape)} dimension(s) {tuple(shape)} and axes {axes!r}: expected "
            "one letter per dimension."
        )


def _guess_axes(shape: tuple[int, ...], name: str) -> str:
    if len(shape) == 2:
        return "YX"
    if len(shape) == 3 and shape[-1] in (3, 4):
        return "YXS"
    raise ImageError(
        f"'{name}' has {len(shape)} dimension(s) {tuple(shape)} and no axis names: expected a "
        "plane (YX) or a colour image (YXS). Name the axes, for example axes='TYX'."
    )
