"""Colours of classes, as `add_labels` takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unet.core.tasks.instances import Instances
    from napari_unet.core.tasks.semantic import Semantic

__all__ = ["class_colours"]


def class_colours(task: Semantic | Instances) -> dict[int, str] | None:
    """Colours of classes by id, the background clear; None for objects, or where none is chosen.

    Classes without one have that of napari's Labels layers beside those that have.
    """
    if task.kind == "instances":
        return None
    classes = [c for c in task.classes if not c.background]
    if all(c.color is None for c in classes):
        return None
    colours = {c.id: c.color or _usual_colour(c.id) for c in classes}
    return colours | {task.background.id: "#00000000"}


def _usual_colour(number: int) -> str:
    import numpy as np
    from napari.layers import Labels

    rgba = Labels(np.zeros((1, 1), np.int32)).get_color(number)
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in rgba[:3])
