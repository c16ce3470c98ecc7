"""Resuming a live session: finds its images and restores its strokes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import ImageError, LabelsError, SettingsError
from napari_unet.core.live.session import LiveSession
from napari_unet.core.tasks.semantic import ClassInfo
from napari_unet.gui.layers.pair_row import PairRow
from napari_unet.gui.live.form import LiveForm
from napari_unet.gui.live.planes import LivePlane, labels_plane, plane_in_view
from napari_unet.gui.live.session_layers import session_of
from napari_unet.gui.live.start import add_strokes

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

__all__ = ["resumed_form"]

_Key = tuple[tuple[str, ...], str, str]
"""Names of the image layers and of the Labels layer, and the axes."""

_Strokes = list[tuple[dict[str, int], Any]]
"""Positions of planes, each with its painted labels, axes YX."""


def resumed_form(viewer: napari.Viewer, folder: Path, device: str) -> LiveForm:
    """Find the images of a session and restore its strokes.

    The Labels layer that was painted on is used unchanged if it is still open; otherwise a new
    layer is added. Strokes on images that are not open stay in the session.

    Parameters
    ----------
    viewer
        The viewer whose layers are searched; new layers are added to it.
    folder
        Folder of the session.
    device
        Device to compute on.

    Raises
    ------
    UNetError
        If the session is damaged, or none of its images is open.
    """
    try:
        return _make_form(viewer, LiveSession(folder), device)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"The session in {folder} is damaged or does not match the open images "
            f"({type(error).__name__}: {error}). Open the images that were painted on."
        ) from error


def _make_form(viewer: napari.Viewer, saved: LiveSession, device: str) -> LiveForm:
    about = saved.about()
    strokes = _strokes_by_layer(saved, about)
    found, missing = _open_images(viewer, strokes)
    rows, planes = _put_on_layers(viewer, found, strokes, about.get("channels"), saved.path)
    start = about.get("start")
    return LiveForm(
        rows=rows,
        axes=about.get("axes", planes[0].axes),
        channels=about.get("channels"),
        classes=_classes(saved),
        start=Path(start) if start and Path(start).is_file() else None,
        folder=saved.path,
        name=str(about.get("name") or "live"),
        resumed=planes,
        objects=bool(about.get("objects")),
        device=device,
        notice=" ".join(map(str, missing)),
        absent={
            name: plane
            for name, plane in about.get("planes", {}).items()
            if _key_of(plane) not in found
        },
    )


def _key_of(plane: Mapping[str, Any]) -> _Key:
    return tuple(plane["images"]), plane["labels"], plane["axes"]


def _strokes_by_layer(saved: LiveSession, about: Mapping[str, Any]) -> dict[_Key, _Strokes]:
    """Group the painted labels by their layers."""
    strokes = saved.labels()
    by_layer: dict[_Key, _Strokes] = {}
    for name, plane in about.get("planes", {}).items():
        if name in strokes and strokes[name].any():
            by_layer.setdefault(_key_of(plane), []).append((plane["position"], strokes[name]))
    if not by_layer:
        raise SettingsError(
            f"The session in {saved.path} contains no strokes, or does not record which images "
            "they belong to. Choose another session."
        )
    return by_layer


def _open_images(
    viewer: napari.Viewer, keys: Mapping[_Key, Any]
) -> tuple[dict[_Key, tuple[Any, ...]], list[ImageError]]:
    """Find the image layers; raise an error only if none of them is open."""
    found, missing = {}, []
    for key in keys:
        try:
            found[key] = tuple(_open_image(viewer, name) for name in key[0])
        except ImageError as error:
            missing.append(error)
    if not found:
        raise missing[0]
    return found, missing


def _put_on_layers(
    viewer: napari.Viewer,
    found: Mapping[_Key, tuple[Any, ...]],
    strokes: Mapping[_Key, _Strokes],
    channels: Sequence[str | int] | None,
    folder: Path,
) -> tuple[list[PairRow], list[LivePlane]]:
    rows: list[PairRow] = []
    planes: list[LivePlane] = []
    for key, images in found.items():
        (_, labels, axes), painted = key, strokes[key]
        layer = _restore_strokes(viewer, images, labels, painted, axes, channels, folder)
        rows.append(PairRow(images, layer, None))
        planes += [plane_in_view(viewer, images, layer, axes, channels, at) for at, _ in painted]
    return rows, planes


def _classes(saved: LiveSession) -> Sequence[ClassInfo]:
    """Return the last classes of the session; empty for objects or an untrained session."""
    task = saved.task() if saved.began else None
    return task.label_classes if task is not None else ()


def _open_image(viewer: napari.Viewer, name: str) -> Any:
    found = [x for x in viewer.layers if x._type_string == "image" and x.name == name]
    if not found:
        raise ImageError(
            f"The session was painted on the image '{name}', which is not open. Open it, and check "
            "that its layer has this name."
        )
    return found[0]


def _restore_strokes(
    viewer: napari.Viewer,
    images: tuple[Any, ...],
    name: str,
    painted: list[tuple[dict[str, int], Any]],
    axes: str,
    channels: Any,
    folder: Path,
) -> Labels:
    """Return the open layer that was painted on, with all later strokes; else add a new one."""
    from napari_unet.gui.layers import check_axes, image_from_layers

    letters = check_axes(images[0], axes)
    known: list[Any] = [x for x in viewer.layers if session_of(x) == (folder, name)]
    for layer in sorted(known, key=lambda x: x.name != name):  # else renamed; copies come last
        if layer._type_string == "labels":
            now = [labels_plane(layer, images[0], letters, position) for position, _ in painted]
            if all(a.shape == b.shape for a, (_, b) in zip(now, painted, strict=True)):
                return layer
    image = image_from_layers(images, letters, channels)
    whole = np.zeros(image.label_shape, np.result_type(*(labels for _, labels in painted)))
    for position, labels in painted:
        place = whole[tuple(position.get(a, slice(None)) for a in image.label_axes)]
        if place.shape != labels.shape:
            raise LabelsError(
                f"The strokes of the session have the shape {labels.shape}, but a plane of "
                f"'{images[0].name}' has {place.shape}: expected the same image. Open the image "
                "that was painted on."
            )
        place[...] = labels
    return add_strokes(viewer, images[0], letters, whole, name)
