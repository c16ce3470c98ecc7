"""What is told to a live training while it runs. Plain data; each has a number that counts up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_unet.compute.requests import LiveImage
    from napari_unet.core.tasks.instances import Instances
    from napari_unet.core.tasks.semantic import Semantic

__all__ = ["ChangeClasses", "Message", "Paint", "PutImage", "RemoveImage", "ShowView", "Suggest"]


@dataclass(frozen=True)
class Message:
    """Something that changed; `number` comes back in `LiveState.applied`."""

    number: int


@dataclass(frozen=True)
class Paint(Message):
    """A block of an image's labels is another one now; see `LiveTraining.edit`."""

    name: str
    origin: tuple[int, int]
    block: Any
    judged: bool = True
    continues: bool = False


@dataclass(frozen=True)
class PutImage(Message):
    """An image is new, or another one."""

    name: str
    image: LiveImage


@dataclass(frozen=True)
class RemoveImage(Message):
    """An image is gone."""

    name: str


@dataclass(frozen=True)
class ChangeClasses(Message):
    """The classes are others."""

    task: Semantic | Instances


@dataclass(frozen=True)
class ShowView(Message):
    """Preview this part of an image from now on, (y, x, height, width); empty name: nothing.

    With its probabilities, where they are wanted, too.
    """

    name: str
    region: tuple[int, int, int, int] = (0, 0, 0, 0)
    probability: bool = False


@dataclass(frozen=True)
class Suggest(Message):
    """Say where painting would help most: the answer is a `LiveSuggestion`."""

    name: str
