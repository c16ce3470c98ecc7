"""Colours of the widgets, and colours of classes for `add_labels`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_unet.core.images.palette import BLUE, CLEAR, GREEN, ORANGE, SKY, VERMILION, rgb_hex

if TYPE_CHECKING:
    from napari_unet.core.tasks.base import Task

__all__ = ["CURVES", "MESSAGES", "OUTLINES", "class_colours"]

MESSAGES = {"info": "#7f8fa3", "good": GREEN, "warning": ORANGE, "error": VERMILION}
"""Colour of the bar beside a message by its kind; visible on dark and light themes."""

CURVES = {
    "blue": (BLUE, SKY),
    "orange": ("#c04d00", "#f0a04b"),
    "green": ("#00795a", "#3fc79a"),
    "grey": ("#707070", "#b0b0b0"),
}
"""Colours of curves on a light and on a dark background."""

OUTLINES = {"truth": "#4df3ff", "prediction": "#ff4fa3"}
"""Colours of outlines, bright on grey images and different from the colours of errors."""


def class_colours(task: Task) -> dict[int, str] | None:
    """Return class colours by id, with a clear background; None for objects or without colours.

    If only some classes have a colour, the others get their default colour in napari.
    """
    classes = [c for c in task.label_classes if not c.background]
    if all(c.color is None for c in classes):
        return None
    colours = {c.id: c.color or _usual_colour(c.id) for c in classes}
    return colours | {task.background_id: CLEAR}


def _usual_colour(number: int) -> str:
    import numpy as np
    from napari.layers import Labels

    return rgb_hex(Labels(np.zeros((1, 1), np.int32)).get_color(number))
