"""The Zarr format: plain arrays and OME-NGFF images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_unet.core.errors import ImageError
from napari_unet.core.images.units import to_um
from napari_unet.core.io.format import Format, ReadOptions
from napari_unet.core.io.raw_image import RawImage

__all__ = ["ZARR"]

_CHUNK_PX = 1024


def _read(path: Path, options: ReadOptions) -> RawImage:
    """Read a Zarr array, or the full resolution of an OME-NGFF group; if lazy, by dask.

    Raises
    ------
    ImageError
        If the group does not hold a single image.

    References
    ----------
    OME-NGFF, https://ngff.openmicroscopy.org (versions 0.1 to 0.5).
    """
    import zarr

    lazy = options.lazy
    node = zarr.open(str(path), mode="r")
    if isinstance(node, zarr.Array):
        return RawImage(_pixels(node, lazy), axes=_array_axes(node))
    attributes = dict(node.attrs)
    ngff: Any = attributes.get("ome", attributes)
    if "multiscales" in ngff:
        return _read_multiscales(node, ngff, lazy)
    arrays = [name for name, _ in node.arrays()]
    if len(arrays) == 1:
        array: Any = node[arrays[0]]
        return RawImage(_pixels(array, lazy), axes=_array_axes(array))
    inside = ", ".join(sorted(str(key) for key in node)[:5])
    if not inside:
        raise ImageError(f"'{path.name}' is an empty Zarr group. Copy or save it again.")
    raise ImageError(
        f"'{path.name}' is a Zarr group that holds no single image, but {inside}. Choose the "
        f"image inside, for example '{path.name}/0'."
    )


def _write(path: Path, image: RawImage) -> None:
    """Write an image as OME-NGFF 0.4 with one resolution; zarr and dask arrays chunk by chunk."""
    import zarr

    data, axes, spacing_um = image.data, image.axes or "", image.spacing_um
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    chunks = tuple(
        min(n, _CHUNK_PX) if a in "YX" else 1 for a, n in zip(axes, data.shape, strict=True)
    )
    array = group.create_array(
        "0",
        shape=data.shape,
        dtype=data.dtype,
        chunks=chunks,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )
    _store(data, array, chunks)
    scale: Any = {"type": "scale", "scale": [spacing_um.get(a, 1.0) for a in axes]}
    multiscales: Any = [
        {
            "version": "0.4",
            "name": image.name,
            "axes": [_ngff_axis(a, spacing_um) for a in axes],
            "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
        }
    ]
    group.attrs["multiscales"] = multiscales
    if image.channel_names:
        group.attrs["omero"] = {"channels": [{"label": name} for name in image.channel_names]}


def _store(data: Any, array: Any, chunks: tuple[int, ...]) -> None:
    if isinstance(data, np.ndarray):
        array[...] = data
        return
    import dask.array as da

    lazy: Any = da.asarray(data)  # type: ignore[no-untyped-call, unused-ignore]
    lazy.rechunk(chunks).store(array, lock=False, scheduler="synchronous")


def _ngff_axis(axis: str, spacing_um: Mapping[str, float]) -> dict[str, str]:
    kind = {"T": "time", "C": "channel"}.get(axis, "space")
    unit = {"unit": "micrometer"} if axis in spacing_um else {}
    return {"name": axis.lower(), "type": kind} | unit


def _read_multiscales(group: Any, ngff: Mapping[str, Any], lazy: bool) -> RawImage:
    multiscale = ngff["multiscales"][0]
    level = multiscale["datasets"][0]
    array = group[level["path"]]
    axes = [a if isinstance(a, dict) else {"name": a} for a in multiscale.get("axes", "tczyx")]
    letters = "".join(str(a["name"]).upper()[:1] for a in axes)
    scales = [
        t["scale"]
        for part in (level, multiscale)
        for t in part.get("coordinateTransformations", ())
        if t.get("type") == "scale"
    ]
    spacing = {}
    for i, (letter, axis) in enumerate(zip(letters, axes, strict=True)):
        value = 1.0 if scales else None
        for scale in scales:
            value = float(value or 1.0) * float(scale[i])
        size = to_um(value, axis.get("unit"))
        if letter in "ZYX" and size is not None:
            spacing[letter] = size
    labels = [c.get("label") for c in ngff.get("omero", {}).get("channels", ())]
    names = tuple(str(label) for label in labels) if labels and all(labels) else None
    return RawImage(_pixels(array, lazy), letters, spacing, names)


def _array_axes(array: Any) -> str | None:
    """Return the axis letters of a plain array if each dimension is named by a known letter."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    letters = "".join(str(name or "?").upper() for name in names or ())
    return letters if len(letters) == array.ndim and set(letters) <= set("TZCYXS") else None


def _pixels(array: Any, lazy: bool) -> Any:
    if lazy:
        import dask.array as da

        return da.from_array(array)
    return array[...]


ZARR = Format(
    name="Zarr",
    suffixes=(".zarr",),
    read=_read,
    write=_write,
    folder_markers=("zarr.json", ".zarray", ".zgroup"),
    names_axes=True,
)
