"""What a live training begins with: layers to paint on, classes, a model, a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import ImageError
from napari_unet.gui.preferences import preferences
from napari_unet.gui.train_data import next_run_folder
from napari_unet.gui.train_live import LiveForm
from napari_unet.gui.train_pairs import PairRow

if TYPE_CHECKING:
    import napari
    from napari.layers import Image as ImageLayer
    from napari.layers import Labels

    from napari_unet.gui.train import TrainWidget

__all__ = ["live_form"]

_BRUSH_PX = 5


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
    if not rows:
        image = _selected_image(viewer)
        rows = [PairRow((image,), _new_strokes(viewer, image, choice.axes), None)]
        widget.pairs.set_rows(rows)
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
    )


def _selected_image(viewer: napari.Viewer) -> ImageLayer:
    images: list[Any] = [x for x in viewer.layers if x._type_string == "image"]
    active = viewer.layers.selection.active
    if not images:
        raise ImageError("No image is open: open one (File > Open Sample has some) to paint on.")
    return active if active in images else images[-1]


def _new_strokes(viewer: napari.Viewer, image: ImageLayer, axes: str | None) -> Labels:
    """Add an empty Labels layer on an image, with the brush in hand."""
    from napari_unet.gui.layers import image_from_layers, result_geometry, to_layer_order

    shape = image_from_layers([image], axes).label_shape
    empty = np.zeros(shape, np.uint8)
    layer = viewer.add_labels(
        to_layer_order(empty, image, axes),
        name=f"{image.name} strokes",
        **result_geometry(image, axes),
    )
    layer.mode, layer.selected_label, layer.brush_size = "paint", 1, _BRUSH_PX
    return layer


def _shipped_for(image: ImageLayer) -> Any:
    """The shipped model of images like this: in colour, or not."""
    from napari_unet.core.catalogue import DEFAULT_MODEL, list_models

    shipped = {e.name: e.path for e in list_models() if e.origin == "shipped" and e.info}
    wanted = ("nuclei-brightfield" if image.rgb else DEFAULT_MODEL, DEFAULT_MODEL)
    return next((shipped[name] for name in wanted if name in shipped), None)
