"""Values that the Train form proposes: a start model, and a name for the new model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_unet.gui.train.layout import TrainLayout

__all__ = ["propose_base_model", "propose_name"]

_LONGEST_NAME = 60


def propose_name(layout: TrainLayout) -> None:
    """Name the model after its data, unless the user named it."""
    from napari_unet.core.models.catalogue import free_name

    if not layout.guess_name:
        return
    named = "model"
    if layout.from_folder:
        named = Path(layout.folder.text).name or named
    elif layout.pairs.rows:
        named = layout.pairs.rows[0].images[0].name
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in named)
    with layout.more.name_of_model.changed.blocked():
        layout.more.name_of_model.value = free_name(name.strip("-")[:_LONGEST_NAME] or "model")


def propose_base_model(layout: TrainLayout) -> None:
    """Start from the model that a training set corrects, unless the user chose one."""
    from napari_unet.core.datasets.training_set import base_model

    folder = layout.folder.folder
    base = base_model(folder) if folder is not None and folder.is_dir() else None
    if base is not None and layout.fields.start.path is None:
        layout.fields.start.choose(base)
