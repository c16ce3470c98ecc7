"""The TIFF format: OME, ImageJ and plain files."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import ImageError
from napari_unet.core.images.units import to_um
from napari_unet.core.io.format import Format, ReadOptions
from napari_unet.core.io.raw_image import RawImage
from napari_unet.core.system.atomic_files import checked_file

if TYPE_CHECKING:
    import tifffile

__all__ = ["TIFF"]

_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
_PRINT_RESOLUTION_UM = 20.0
"""Coarser pixels than this in a plain TIFF are a print resolution (300 dpi is 85 µm)."""

_IMAGEJ_DTYPES = ("uint8", "uint16", "float32")
_CLASSIC_TIFF_BYTES = 2**32 - 2**25
_TRUNCATED = ("invalid page offset", "corrupted", "failed to reshape")


def _read(path: Path, options: ReadOptions) -> RawImage:
    """Read the first image of a TIFF at full resolution; if lazy, by memory map or by dask.

    Raises
    ------
    ImageError
        If the file is truncated or holds several images of one size.
    """
    import tifffile

    with _complaints() as complaints, tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        twins = sum(s.shape == series.shape for s in tif.series)
        spacing, names = _metadata(tif)
        photometric = getattr(tif.pages.first, "photometric", None)
        if any(word in text for text in complaints for word in _TRUNCATED):
            raise ImageError(
                f"'{path.name}' is truncated or damaged: parts of it are missing. Copy it again "
                "from its source, or save it again."
            )
        if twins > 1:
            raise ImageError(
                f"'{path.name}' holds {twins} images of the same size (positions or series): "
                "expected one. Save each as a separate file."
            )
        data = _lazy_data(path, tif) if options.lazy else series.asarray()
    if data.shape != series.shape:
        data = data.reshape(series.shape)
    return RawImage(
        data=data,
        axes=series.axes,
        spacing_um=spacing,
        channel_names=names,
        rgb=photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR),
    )


def _write(path: Path, image: RawImage) -> None:
    """Write an image as a TIFF that Fiji opens with its axes and pixel size.

    The file is an ImageJ TIFF if that can hold the data (uint8, uint16, float32 under 4 GB), else
    OME-TIFF.
    """
    import tifffile

    data, axes = np.asarray(image.data), image.axes or ""
    spacing_um, rgb = image.spacing_um, image.rgb
    if rgb:
        data, axes = np.moveaxis(data, axes.index("C"), -1), axes.replace("C", "") + "S"
    imagej = data.dtype.name in _IMAGEJ_DTYPES and data.nbytes < _CLASSIC_TIFF_BYTES
    imagej = imagej and not (rgb and data.dtype != np.uint8)
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {"photometric": "rgb" if rgb else "minisblack"}
    if imagej:
        metadata |= _imagej_metadata(axes, data.shape, spacing_um, image.channel_names)
        if {"X", "Y"} <= set(spacing_um):
            options["resolution"] = (1 / spacing_um["X"], 1 / spacing_um["Y"])
    else:
        metadata |= _ome_metadata(axes, spacing_um, image.channel_names)
        options["bigtiff"] = data.nbytes >= _CLASSIC_TIFF_BYTES
    with checked_file(path) as file:
        tifffile.imwrite(file, data, imagej=imagej, ome=not imagej, metadata=metadata, **options)


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect tifffile's log messages, where it reports a truncated file and continues to read."""
    texts: list[str] = []
    thread = threading.get_ident()

    def collect(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        texts.append(record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(collect)
    try:
        yield texts
    finally:
        logger.removeFilter(collect)


def _lazy_data(path: Path, tif: tifffile.TiffFile) -> Any:
    import tifffile

    _check_extent(path, tif)
    try:
        return tifffile.memmap(path, mode="r")
    except ValueError:  # compressed, tiled or not contiguous
        return _lazy_dask(path)


def _lazy_dask(path: Path) -> Any:
    """Wrap the pages in dask; the file stays open for as long as something refers to them."""
    import dask.array as da
    import tifffile
    import zarr

    file = path.open("rb")
    store = tifffile.TiffFile(file).aszarr(level=0)
    weakref.finalize(store, file.close)
    array = zarr.open_array(store, mode="r")
    return da.from_array(array)


def _check_extent(path: Path, tif: tifffile.TiffFile) -> None:
    """Raise if a file ends before its pixels do; `asarray` alone would notice."""
    size = path.stat().st_size
    for page in (tif.series[0].pages[0], tif.series[0].pages[-1]):
        if page is None:
            continue
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if max(ends, default=0) > size:
            raise ImageError(
                f"'{path.name}' is truncated: it has {size} bytes, but its pixels need "
                f"{max(ends)}. Copy it again from its source, or save it again."
            )


def _metadata(tif: tifffile.TiffFile) -> tuple[dict[str, float], tuple[str, ...] | None]:
    if tif.ome_metadata:
        return _from_ome(tif.ome_metadata)
    if tif.imagej_metadata is not None:
        return _from_imagej(tif)
    tags = tif.pages.first.tags
    unit = _RESOLUTION_UNITS.get(int(tags.valueof("ResolutionUnit", default=1)))
    spacing = _from_tags(tif, unit)
    if any(size > _PRINT_RESOLUTION_UM for size in spacing.values()):
        return {}, None
    return spacing, None


def _from_ome(xml: str) -> tuple[dict[str, float], tuple[str, ...] | None]:
    import tifffile

    image = tifffile.xml2dict(xml).get("OME", {}).get("Image", {})
    image = image[0] if isinstance(image, list) else image
    pixels = image.get("Pixels", {}) or {}
    spacing = {}
    for axis in "ZYX":
        value = pixels.get(f"PhysicalSize{axis}")
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        size = to_um(float(value), unit) if value is not None else None
        if size is not None:
            spacing[axis] = size
    channels = pixels.get("Channel", []) or []
    channels = channels if isinstance(channels, list) else [channels]
    names = tuple(str(channel.get("Name") or "") for channel in channels)
    return spacing, names if names and all(names) else None


def _from_imagej(tif: tifffile.TiffFile) -> tuple[dict[str, float], tuple[str, ...] | None]:
    metadata = tif.imagej_metadata or {}
    unit = metadata.get("unit")
    spacing = _from_tags(tif, str(unit) if unit is not None else None)
    depth = to_um(float(metadata.get("spacing") or 0), unit) if spacing else None
    if depth is not None:
        spacing["Z"] = depth
    channels = int(metadata.get("channels", 1))
    names = tuple(str(label).strip() for label in metadata.get("Labels", [])[:channels])
    usable = channels > 1 and len(set(names)) == channels and all(names)
    return spacing, names if usable else None


def _from_tags(tif: tifffile.TiffFile, unit: str | None) -> dict[str, float]:
    """Read the pixel size from the resolution tags, which count pixels per `unit`."""
    spacing = {}
    for axis in "YX":
        value = tif.pages.first.tags.valueof(f"{axis}Resolution", default=None)
        if value is None or not value[0] or not value[1]:
            return {}
        size = to_um(value[1] / value[0], unit)
        if size is None:
            return {}
        spacing[axis] = size
    return spacing


def _imagej_metadata(
    axes: str,
    shape: tuple[int, ...],
    spacing_um: Mapping[str, float],
    channel_names: Sequence[str] | None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if spacing_um:
        metadata["unit"] = "um"
    if "Z" in axes and "Z" in spacing_um:
        metadata["spacing"] = spacing_um["Z"]
    if channel_names and "C" in axes:
        sizes = dict(zip(axes, shape, strict=True))
        metadata["Labels"] = list(channel_names) * (sizes.get("T", 1) * sizes.get("Z", 1))
    return metadata


def _ome_metadata(
    axes: str, spacing_um: Mapping[str, float], channel_names: Sequence[str] | None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for axis, size in spacing_um.items():
        if axis in axes:
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = "µm"
    if channel_names and "C" in axes:
        metadata["Channel"] = {"Name": list(channel_names)}
    return metadata


TIFF = Format(
    name="TIFF",
    suffixes=(".tif", ".tiff", ".btf", ".tf8"),
    read=_read,
    write=_write,
    names_axes=True,
)
