"""Descriptions of a task for texts, tables and packages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from napari_unet.core.settings import Settings

__all__ = ["ClassInfo", "OutputChannel", "Words"]


class ClassInfo(Settings):
    """One class of pixels.

    Parameters
    ----------
    id
        Number of the class in the labels and in results.
    name
        Name of the class.
    color
        Colour ``"#rrggbb"``, or None.
    background
        Whether it is the background; True for exactly one class.

    Examples
    --------
    >>> from napari_unet.core.tasks import ClassInfo
    >>> ClassInfo(id=2, name="gland", color="#d55e00").name
    'gland'
    """

    id: Annotated[int, Field(ge=0)]
    name: str
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    background: bool = False


@dataclass(frozen=True)
class OutputChannel:
    """One channel of a network's output.

    Parameters
    ----------
    name
        Name of the channel.
    meaning
        Meaning of its values, as a phrase.

    Examples
    --------
    >>> from napari_unet import Instances
    >>> Instances().output_channels[0].meaning
    'probability that the pixel belongs to an object'
    """

    name: str
    meaning: str


@dataclass(frozen=True)
class Words:
    """Phrases that describe a task.

    Parameters
    ----------
    labels
        Kind of labels: ``"objects (nucleus)"``.
    results
        Name for a layer of results: ``"nuclei"``.
    does
        Phrase after "A U-Net that": ``"segments objects (nucleus)"``.
    done
        Phrase before "with": ``"Objects (nucleus) were segmented"``.
    decoding
        Sentence, without full stop, on how labels follow from the outputs: ``"The objects are
        decoded from these maps"``.
    object_name
        Name of one object.
    tags
        Keywords for bioimage.io.

    Examples
    --------
    >>> from napari_unet import Instances
    >>> Instances(object_name="cell").words.results
    'cells'
    """

    labels: str
    results: str
    does: str
    done: str
    decoding: str
    object_name: str = "object"
    tags: tuple[str, ...] = ()
