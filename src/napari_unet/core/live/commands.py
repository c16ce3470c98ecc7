"""Commands to running live training: plain data, applied in the order in which they are sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.core.tasks.base import Task

__all__ = [
    "ChangeClasses",
    "Command",
    "LiveImage",
    "Paint",
    "PutImage",
    "Region",
    "RemoveImage",
    "ShowView",
    "Suggest",
]

Region = tuple[int, int, int, int]
"""Part of a plane: its first pixel (y, x) and its size (height, width)."""


@dataclass(frozen=True)
class LiveImage:
    """One plane of an image and its labels.

    Parameters
    ----------
    pixels
        Raw values, axes CYX, or YX for a single channel.
    labels
        Painted labels, axes YX, 0 for unpainted pixels; None: nothing is painted yet.
    rgb
        Whether the channels are red, green and blue.
    scope
        Raw values that determine the intensity range, see
        `napari_unet.core.images.image.Image.scope`. None: the range of the stack `scope_name` if it
        is known, otherwise that of the plane.
    scope_name
        Name of the stack that contains the plane; empty if there is none.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import LiveImage
    >>> image = LiveImage(np.zeros((64, 64), np.uint8))
    >>> image.rgb
    False
    """

    pixels: Any
    labels: Any = None
    rgb: bool = False
    scope: Any = None
    scope_name: str = ""


@dataclass(frozen=True)
class Command:
    """Base class of all commands.

    Parameters
    ----------
    number
        Number reported in `LiveState.applied` and `LivePreview.applied` once the command has been
        applied; None: one more than the number of the previous command.
    """

    number: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Paint(Command):
    """Replace a block of an image's labels.

    Parameters
    ----------
    name, origin, block, judged, continues
        As in `napari_unet.core.live.trainer.LiveTraining.edit`.

    Examples
    --------
    A stroke of class 2, 3 pixels high and 20 long:

    >>> import numpy as np
    >>> from napari_unet.core.live import Paint
    >>> stroke = Paint("cells", (10, 5), np.full((3, 20), 2))
    """

    name: str
    origin: tuple[int, int]
    block: Any
    judged: bool = True
    continues: bool = False


@dataclass(frozen=True)
class PutImage(Command):
    """Add an image, or replace the image of the same name.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet.core.live import LiveImage, PutImage
    >>> command = PutImage("more cells", LiveImage(np.zeros((64, 64), np.uint8)))
    """

    name: str
    image: LiveImage


@dataclass(frozen=True)
class RemoveImage(Command):
    """Stop training on an image; the session keeps its labels.

    Examples
    --------
    >>> from napari_unet.core.live import RemoveImage
    >>> RemoveImage("cells", number=7)
    RemoveImage(number=7, name='cells')
    """

    name: str


@dataclass(frozen=True)
class ChangeClasses(Command):
    """Train on other classes, or on the same classes under other names.

    Examples
    --------
    >>> from napari_unet import ClassInfo, Semantic
    >>> from napari_unet.core.live import ChangeClasses
    >>> names = "background", "nucleus", "debris"
    >>> classes = [ClassInfo(id=i, name=n, background=i == 1) for i, n in enumerate(names, 1)]
    >>> command = ChangeClasses(Semantic(classes=classes, sparse=True))
    """

    task: Task


@dataclass(frozen=True)
class ShowView(Command):
    """Preview the part of an image that is in view, and then the rest of the image.

    Parameters
    ----------
    name
        Name of the image; empty: stop the previews.
    region
        Part in view, (y, x, height, width) in pixels; None: the whole image.
    probability
        Whether previews include probabilities.

    Examples
    --------
    >>> from napari_unet.core.live import ShowView
    >>> ShowView("cells", (0, 0, 256, 256)).region
    (0, 0, 256, 256)
    """

    name: str
    region: Region | None = None
    probability: bool = False


@dataclass(frozen=True)
class Suggest(Command):
    """Ask for the place in an image where painting would help most, see `LiveSuggestion`.

    Examples
    --------
    >>> from napari_unet.core.live import Suggest
    >>> Suggest("cells").name
    'cells'
    """

    name: str
