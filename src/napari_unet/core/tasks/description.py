"""How a task is described to people: in texts, tables and packages."""

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
        Its number in the labels; kept in the result.
    name
        Its name.
    color
        ``"#rrggbb"`` or None.
    background
        Whether it is the background; true of exactly one class.

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
        Its name.
    meaning
        What its values are, in half a sentence.

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
    """A task in words.

    Parameters
    ----------
    labels
        What its labels are: ``"objects (nucleus)"``.
    results
        What a labels layer of results holds: ``"nuclei"``.
    does
        What a model does, after "A U-Net that": ``"segments objects (nucleus)"``.
    done
        What was done, before "with": ``"Objects (nucleus) were segmented"``.
    decoding
        How labels follow from the outputs: ``"The objects come from these maps"``.
    object_name
        What one object is called.
    tags
        Keywords of bioimage.io.

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
