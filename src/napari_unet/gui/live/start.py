"""What a live training begins with: layers to paint on, classes, a model, a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import ImageError, LabelsError, SettingsError
from napari_unet.core.live.session import LiveSession
from napari_unet.core.training.run_folder import next_run_folder
from napari_unet.gui.app.preferences import preferences
from napari_unet.gui.layers.pair_row import PairRow
from napari_unet.gui.live.controller import session_of
from napari_unet.gui.live.form import LiveForm
from napari_unet.gui.live.planes import labels_plane, plane_in_view

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels

    from napari_unet.gui.train.widget import TrainWidget

__all__ = ["live_form", "resumed_form"]

_BRUSH_PX = 5
_FEW_OBJECTS, _COMPACT, _ABOUT = 3, 0.8, 3
"""Others beside label 1, its share of its convex hull, and how alike lengths and areas are."""


def live_form(widget: TrainWidget, viewer: napari.Viewer) -> LiveForm:
    """Fill the form in where it is empty, and read it.

    Without labels, a new Labels layer is made for the selected image and made ready to paint on.
    Without a model to start from, a shipped one is chosen, as the form then shows.

    Raises
    ------
    ImageError
        When no image is open.
    """
    choice = widget.choice()
    rows = list(choice.rows)
    objects = widget.wants_objects
    if not rows:
        image = _selected_image(viewer)
        dtype = np.uint16 if objects else np.uint8
        rows = [PairRow((image,), _new_strokes(viewer, image, choice.axes, dtype), None)]
        widget.pairs.set_rows(rows)
    if not objects:
        widget.fields.meaning.value = "strokes"
    start = widget.fields.start
    if start.path is None and not widget.live_started:
        start.choose(_shipped_for(rows[0].images[0]))
    widget.live_started = True
    name = widget.form().name.strip() or "live"
    return LiveForm(
        rows=rows,
        axes=choice.axes,
        channels=choice.channels,
        classes=widget.classes.classes,
        start=start.path,
        folder=next_run_folder(preferences().data_folder / "runs", f"{name}-live"),
        name=name,
        objects=objects,
        device=widget.form().device,
        notice=_notice(rows, choice.axes, objects=objects),
    )


def _notice(rows: Sequence[PairRow], axes: str | None, *, objects: bool) -> str:
    """Say what Live takes the layers for, where a person may mean something else."""
    from napari_unet.gui.layers import check_axes
    from napari_unet.gui.layers.axes import layer_shape

    for row in rows:
        if objects and _looks_like_an_object(row.labels):
            return (
                f"Label 1 of '{row.labels.name}' looks like an object, and Live takes it for "
                "background: if it is one, fill it with another number, and paint some background "
                "with label 1."
            )
        image = row.images[0]
        letters = check_axes(image, axes)
        if axes is None and "C" in letters and not image.rgb:
            count = layer_shape(image)[letters.index("C")]
            return (
                f"'{image.name}' is taken for an image of {count} channels; if it is a stack, "
                "stop, and say so under Axes, channels, planes."
            )
    return ""


def _looks_like_an_object(layer: Labels) -> bool:
    """Whether label 1 is one compact piece, about as large as the other objects."""
    from skimage.measure import regionprops

    data = np.squeeze(np.asarray(layer.data[0] if layer.multiscale else layer.data))
    numbers, areas = np.unique(data, return_counts=True)  # numbers may be large
    others = areas[numbers > 1]
    if data.ndim != 2 or session_of(layer) is not None or len(others) < _FEW_OBJECTS:
        return False
    if 1 not in numbers or areas[numbers == 1] >= _ABOUT * np.median(others):
        return False
    (first,) = regionprops((data == 1).astype(np.uint8))
    stroke = first.axis_minor_length < first.axis_major_length / _ABOUT
    return bool(first.solidity >= _COMPACT and not stroke)


def resumed_form(widget: TrainWidget, viewer: napari.Viewer, folder: Path) -> LiveForm:
    """Find the images of a session again, put its strokes on them, and show it all in the form.

    The Labels layer that was painted on is taken as it is, where it is still open; else there is a
    new one. Strokes on images that are not open stay in the session.

    Raises
    ------
    UNetError
        When the session is damaged, or none of the images that were painted on is open.
    """
    try:
        return _resumed(widget, viewer, LiveSession(folder))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SettingsError(
            f"The session in {folder} does not fit the images that are open, or it is damaged "
            f"({type(error).__name__}: {error}). Open the images that were painted on."
        ) from error


def _resumed(widget: TrainWidget, viewer: napari.Viewer, saved: LiveSession) -> LiveForm:
    about, strokes = saved.about(), saved.labels()
    channels, start = about.get("channels"), about.get("start")
    by_layer: dict[tuple[tuple[str, ...], str, str], list[tuple[dict[str, int], Any]]] = {}
    for name, plane in about.get("planes", {}).items():
        if name in strokes and strokes[name].any():
            key = tuple(plane["images"]), plane["labels"], plane["axes"]
            by_layer.setdefault(key, []).append((plane["position"], strokes[name]))
    if not by_layer:
        raise SettingsError(
            f"{saved.path} holds no strokes, or does not say which images they belong to. Choose "
            "another session."
        )
    rows, planes = [], []
    found, missing = {}, []
    for key in by_layer:
        try:
            found[key] = tuple(_open_image(viewer, name) for name in key[0])
        except ImageError as error:
            missing.append(error)
    if not found:
        raise missing[0]
    for key, images in found.items():
        (_, labels, axes), painted = key, by_layer[key]
        layer = _strokes_again(viewer, images, labels, painted, axes, channels, saved.path)
        rows.append(PairRow(images, layer, None))
        planes += [plane_in_view(viewer, images, layer, axes, channels, at) for at, _ in painted]
    widget.pairs.set_rows(rows)
    objects = bool(about.get("objects"))
    widget.fields.meaning.value = "objects" if objects else "strokes"
    start = Path(start) if start and Path(start).is_file() else None
    widget.fields.start.choose(start)
    widget.live_started = True
    task = saved.task() if saved.began else None
    classes = task.label_classes if task is not None else ()
    if classes:  # else a change in the table would bring back what it had before
        widget.classes.set_classes(classes, {}, sparse=True)
    return LiveForm(
        rows=rows,
        axes=about.get("axes", planes[0].axes),
        channels=channels,
        classes=classes,
        start=start,
        folder=saved.path,
        name=str(about.get("name") or "live"),
        resumed=planes,
        objects=objects,
        device=widget.form().device,
        notice=" ".join(map(str, missing)),
        absent={
            name: plane
            for name, plane in about.get("planes", {}).items()
            if (tuple(plane["images"]), plane["labels"], plane["axes"]) not in found
        },
    )


def _open_image(viewer: napari.Viewer, name: str) -> Any:
    found = [x for x in viewer.layers if x._type_string == "image" and x.name == name]
    if not found:
        raise ImageError(
            f"The session was painted on the image '{name}', which is not open. Open it, and give "
            "its layer this name."
        )
    return found[0]


def _strokes_again(
    viewer: napari.Viewer,
    images: tuple[Any, ...],
    name: str,
    painted: list[tuple[dict[str, int], Any]],
    axes: str,
    channels: Any,
    folder: Path,
) -> Labels:
    """Give the layer that was painted on, with what was painted since; else a new one."""
    from napari_unet.gui.layers import check_axes, image_from_layers

    letters = check_axes(images[0], axes)
    known: list[Any] = [x for x in viewer.layers if session_of(x) == (folder, name)]
    for layer in sorted(known, key=lambda x: x.name != name):  # else renamed since; copies follow
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
                f"The strokes of the session are {labels.shape}, a plane of '{images[0].name}' is "
                f"{place.shape}: expected the same image. Open the image that was painted on."
            )
        place[...] = labels
    return _add_strokes(viewer, images[0], letters, whole, name)


def _selected_image(viewer: napari.Viewer) -> ImageLayer:
    from napari_unet.gui.layers import our_metadata

    images: list[Any] = [x for x in viewer.layers if x._type_string == "image"]
    active = viewer.layers.selection.active
    if not images:
        raise ImageError("No image is open: open one (File > Open Sample has some) to paint on.")
    if active in images:
        return active
    return next((x for x in reversed(images) if our_metadata(x) is None), images[-1])


def _new_strokes(
    viewer: napari.Viewer, image: ImageLayer, axes: str | None, dtype: type[np.unsignedinteger[Any]]
) -> Labels:
    """Add an empty Labels layer on an image, with the brush in hand."""
    from napari_unet.gui.layers import image_from_layers

    shape = image_from_layers([image], axes).label_shape
    return _add_strokes(viewer, image, axes, np.zeros(shape, dtype), f"{image.name} strokes")


def _add_strokes(
    viewer: napari.Viewer, image: ImageLayer, axes: str | None, labels: Any, name: str
) -> Labels:
    from napari_unet.gui.layers import result_geometry, to_layer_order

    placed = to_layer_order(labels, image, axes)
    layer = viewer.add_labels(placed, name=name, **result_geometry(image, axes))
    layer.mode, layer.selected_label, layer.brush_size = "paint", 1, _BRUSH_PX
    return layer


def _shipped_for(image: ImageLayer) -> Any:
    """The shipped model of images like this: in colour, or not."""
    from napari_unet.core.models.catalogue import DEFAULT_MODEL, list_models

    shipped = {e.name: e.path for e in list_models() if e.origin == "shipped" and e.info}
    wanted = ("nuclei-brightfield" if image.rgb else DEFAULT_MODEL, DEFAULT_MODEL)
    return next((shipped[name] for name in wanted if name in shipped), None)
