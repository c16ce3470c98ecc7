"""Commands to a running live training: plain data, applied in the order they are sent."""

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
"""Part of a plane: its first pixel (y, x), and its size (height, width)."""


@dataclass(frozen=True)
class LiveImage:
    """One plane of an image and its labels.

    Parameters
    ----------
    pixels
        Raw values, axes CYX, or YX for a single channel.
    labels
        Axes YX, 0 where nothing is painted; None: nothing is painted yet.
    rgb
        Whether the channels are red, green and blue.
    scope
        Raw values from which the intensity range is taken, see
        `napari_unet.core.images.image.Image.scope`. None: the range of `scope_name` if it is known,
        otherwise that of the plane.
    scope_name
        The stack that contains the plane; empty if there is none.

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
    """Base of all commands.

    Parameters
    ----------
    number
        Reported in `LiveState.applied` and `LivePreview.applied` once the command is applied. None:
        one more than that of the command before.
    """

    number: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Paint(Command):
    """Replace a block of an image's labels.

    Parameters
    ----------
    name, origin, block, judged, continues
        As for `napari_unet.core.live.trainer.LiveTraining.edit`.

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
    """Add an image, or replace the one of the same name.

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
    """Stop training on an image; its labels stay in the session.

    Examples
    --------
    >>> from napari_unet.core.live import RemoveImage
    >>> RemoveImage("cells", number=7)
    RemoveImage(number=7, name='cells')
    """

    name: str


@dataclass(frozen=True)
class ChangeClasses(Command):
    """Train for another task: other classes, or the same ones renamed.

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
    """Preview part of an image from now on, and then the rest of it.

    Parameters
    ----------
    name
        The image; empty: stop previewing.
    region
        The part in view, (y, x, height, width) in pixels; None: all of it.
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
    """Ask where in an image painting would help most; the answer is a `LiveSuggestion`.

    Examples
    --------
    >>> from napari_unet.core.live import Suggest
    >>> Suggest("cells").name
    'cells'
    """

    name: str
