"""Settings of a live training, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.core.tasks.base import Task
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.gui.live.planes import LivePlane

if TYPE_CHECKING:
    from napari_unet.gui.layers.pair_row import PairRow

__all__ = ["LiveForm"]


MOST_CLASSES = 50


_DEFAULT_CLASSES = (
    ClassInfo(id=1, name="background", background=True),
    ClassInfo(id=2, name="class 2"),
)


_PAINT_CLASSES = (
    "Live: paint at least one stroke for each of two classes. To count objects, stop and set "
    "'Labels are' to objects."
)
_PAINT_OBJECTS = (
    "Live: paint some background with label 1 and a few whole objects, each with its own label "
    "from 2 on (press M for the next one)."
)


@dataclass(frozen=True)
class LiveForm:
    """Settings of a live training.

    Parameters
    ----------
    rows
        Images and the Labels layers that are painted on.
    axes, channels
        As in `napari_unet.gui.layers.image_from_layers`.
    classes
        Classes of the class table; other painted ids are added.
    start
        Path of the model file to start from; None: from scratch.
    folder
        Folder where the session is saved.
    name
        Name of the model.
    resumed
        Planes of the session in `folder` if it is resumed; else empty.
    objects
        Whether every label from 2 on is an object and 1 is background; else labels are classes.
    device
        Device to compute on.
    notice
        Warning to show first; empty for none.
    absent
        Descriptions of planes in the session whose images are not open, by name.
    """

    rows: Sequence[PairRow]
    axes: str | None
    channels: Sequence[str | int] | None
    classes: Sequence[ClassInfo]
    start: Path | None
    folder: Path
    name: str
    resumed: Sequence[LivePlane] = ()
    objects: bool = False
    device: str = "auto"
    notice: str = ""
    absent: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hint(self) -> str:
        """Hint on what to paint first."""
        return _PAINT_OBJECTS if self.objects else _PAINT_CLASSES

    def task(self, painted: Sequence[int] = ()) -> Task:
        """Return the task; painted classes that are not in the class table are added."""
        return Instances(sparse=True) if self.objects else default_classes(self.classes, painted)


def default_classes(known: Sequence[ClassInfo], painted: Sequence[int]) -> Semantic:
    """Return a task with the known classes and the painted ones."""
    classes: Mapping[int, ClassInfo] = {c.id: c for c in known or _DEFAULT_CLASSES if c.id}
    if len(classes) < 2:
        classes = {c.id: c for c in _DEFAULT_CLASSES} | dict(classes)
    new = [i for i in painted if i > 0 and i not in classes][: MOST_CLASSES - len(classes)]
    every = [*classes.values(), *(ClassInfo(id=int(i), name=f"class {i}") for i in new)]
    every.sort(key=lambda c: c.id)
    if sum(c.background for c in every) != 1:
        first = every[0].id
        every = [c.model_copy(update={"background": c.id == first}) for c in every]
    return Semantic(classes=tuple(every), sparse=True)
