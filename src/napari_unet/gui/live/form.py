"""What a live training begins with, as plain values."""

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
    "Live: paint a stroke of at least two classes. To count objects, stop, and choose them above."
)
_PAINT_OBJECTS = (
    "Live: paint some background with label 1, and a few objects, each whole and with a label of "
    "its own from 2 on (M takes the next)."
)


@dataclass(frozen=True)
class LiveForm:
    """What a live training begins with.

    Parameters
    ----------
    rows
        Images with the Labels layers that are painted on.
    axes, channels
        As in `napari_unet.gui.layers.image_from_layers`.
    classes
        As in the class table; ids that are painted and not in it are added.
    start
        Model file to start from; None: from scratch.
    folder
        Where the session is saved.
    name
        Of the model.
    resumed
        The planes of the session in `folder`, where it goes on with one.
    objects
        Whether every label from 2 on is an object, and 1 background; else labels are classes.
    device
        Where to compute.
    notice
        What a person should know before anything else; empty: nothing.
    absent
        What the session in `folder` says of planes whose images are not open.
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
        """What to paint first."""
        return _PAINT_OBJECTS if self.objects else _PAINT_CLASSES

    def task(self, painted: Sequence[int] = ()) -> Task:
        """Say what the labels are; classes that are painted and not in the table are added."""
        return Instances(sparse=True) if self.objects else default_classes(self.classes, painted)


def default_classes(known: Sequence[ClassInfo], painted: Sequence[int]) -> Semantic:
    """Make a task of the classes that are known, and of those that are painted."""
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
