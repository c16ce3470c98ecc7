"""Colours of classes, as `add_labels` takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unet.core.tasks import Instances, Semantic

__all__ = ["class_colours"]


def class_colours(task: Semantic | Instances) -> dict[int, str] | None:
    """Colours of classes by id, the background clear; None for objects, or where one has none."""
    if task.kind == "instances":
        return None
    colours = {c.id: c.color for c in task.classes if c.color is not None and not c.background}
    if len(colours) < len(task.classes) - 1:
        return None
    return colours | {task.background.id: "#00000000"}
