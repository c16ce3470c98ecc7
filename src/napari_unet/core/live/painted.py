"""What painted numbers stand for in live training: classes, or objects on a background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import SettingsError
from napari_unet.core.live.uncertainty import uncertainty
from napari_unet.core.tasks.base import Targets
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic

__all__ = [
    "BACKGROUND_ID",
    "Painted",
    "PaintedClasses",
    "PaintedObjects",
    "outputs_compatible",
    "painted",
]

BACKGROUND_ID = 1
"""What background is painted with where every other number is an object."""

_MOST_COVERED = 0.1
"""Share of a proposed object that may be painted already, as where it borders on a stroke."""

Labels = NDArray[np.integer[Any]]
Maps = NDArray[np.float32]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class PaintedClasses:
    """Every number is a class.

    Parameters
    ----------
    task
        The classes.
    """

    task: Semantic
    window_px: ClassVar[int] = 64
    """Side of the window that is proposed."""
    margin_px: ClassVar[int] = 0
    """Width of what is looked at around it."""

    @property
    def classes(self) -> int:
        """How many there are that may be painted more or less than they occur, see `Prior`."""
        return len(self.task.classes)

    def kinds_of(self, ids: Labels) -> Labels:
        """Say of what kind painted numbers are; 0 of those that are not known."""
        return np.where(np.isin(ids, self.task.ids), ids, 0)

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Give targets and weights of a patch; see the task's."""
        return self.task.encode(labels, inside)

    def outputs(self, maps: Maps) -> Maps:
        """Turn the network's maps (channels, Y, X) into the probability of each class."""
        return np.concatenate([1 - maps, maps]) if len(maps) == 1 else maps

    def probability(self, outputs: Maps) -> Maps:
        """Give the probability of each class but the background, in their order."""
        return outputs[[not c.background for c in self.task.classes]]

    def labels(self, outputs: Maps) -> Labels:
        """Turn outputs into what would be painted."""
        ids = self.task.ids
        small = ids.astype(np.min_scalar_type(int(ids.max())))
        return np.asarray(small[outputs.argmax(0)])

    def foreseen_kinds(self, outputs: Maps) -> Labels:
        """Turn outputs into kinds, to be compared with what is painted."""
        return self.labels(outputs)

    def doubt(self, outputs: Maps) -> Maps:
        """Say how uncertain outputs are; see `uncertainty`."""
        return uncertainty(outputs)

    def proposal(self, outputs: Maps, _painted: Labels, _window: Window) -> Labels:
        """Turn the outputs of a window into what might be painted in it."""
        return self.labels(outputs)


@dataclass(frozen=True)
class PaintedObjects:
    """`BACKGROUND_ID` is background, every other number an object that is painted whole.

    Parameters
    ----------
    task
        How objects are encoded and decoded.
    """

    task: Instances
    classes: ClassVar[int] = 0
    """None: objects are painted whole, as common as they are."""
    window_px: ClassVar[int] = 96
    """Side of the window that is proposed."""
    margin_px: ClassVar[int] = 64
    """Width of what is looked at around it: its objects may reach out of it as far."""

    def kinds_of(self, ids: Labels) -> Labels:
        """Say of what kind painted numbers are: background, or the one after for any object."""
        return np.minimum(ids, BACKGROUND_ID + 1)

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Give targets and weights of a patch; what is not painted has none.

        What is painted of an object is all of it: it borders on what nobody painted, and is whole
        all the same.
        """
        objects = np.where(labels == BACKGROUND_ID, 0, labels)
        whole = self.task.model_copy(update={"sparse": False})
        return whole.encode(objects, inside & (labels > 0))

    def outputs(self, maps: Maps) -> Maps:
        """Give the network's maps (channels, Y, X) as they are; see `Instances.heads`."""
        return maps

    def probability(self, outputs: Maps) -> Maps:
        """Give the probability of belonging to any object, axes (1, Y, X)."""
        return outputs[:1]

    def labels(self, outputs: Maps) -> Labels:
        """Turn outputs into objects 1, 2, ...; 0 is background."""
        found: Labels = self.task.decode(outputs)
        return found

    def foreseen_kinds(self, outputs: Maps) -> Labels:
        """Turn outputs into kinds, to be compared with what is painted."""
        found: Labels = (outputs[0] > self.task.decoder.threshold).astype(np.uint8)
        return found + BACKGROUND_ID

    def doubt(self, outputs: Maps) -> Maps:
        """Say how uncertain it is what belongs to objects; see `uncertainty`."""
        foreground = outputs[:1]
        return uncertainty(np.concatenate([1 - foreground, foreground]))

    def proposal(self, outputs: Maps, painted: Labels, window: Window) -> Labels:
        """Turn outputs around a window into what might be painted: its background and objects.

        Parameters
        ----------
        outputs
            Of the window and `margin_px` around it.
        painted
            The labels there.
        window
            Where the window lies in them.

        Returns
        -------
        array
            Of the shape of `painted`: `BACKGROUND_ID`, and from the number after it on each object
            that has most of its area in the window; all of it, as what is painted of an object
            must be. 0 elsewhere, and for objects that reach farther or that are painted already.
        """
        found = self.labels(outputs)
        every = np.bincount(found.ravel())
        within = np.bincount(found[window].ravel(), minlength=every.size)
        covered = np.bincount(found[painted > 0], minlength=every.size)
        edge = np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]])
        wanted = (2 * within > every) & (covered <= _MOST_COVERED * every)
        wanted[edge] = wanted[0] = False
        numbers = np.where(wanted, BACKGROUND_ID + np.cumsum(wanted), 0)
        proposed: Labels = numbers[found].astype(np.uint16)
        proposed[window][found[window] == 0] = BACKGROUND_ID
        return proposed


Painted = PaintedClasses | PaintedObjects


def painted(task: Semantic | Instances) -> Painted:
    """Choose what painted numbers stand for.

    Raises
    ------
    SettingsError
        When 0 has a meaning in the task.
    """
    if not task.sparse:
        raise SettingsError(
            "Live training takes 0 for 'not painted': expected a sparse task. Give the background "
            "a class of its own."
        )
    return PaintedClasses(task) if isinstance(task, Semantic) else PaintedObjects(task)


def outputs_compatible(task: Semantic | Instances, other: Semantic | Instances) -> bool:
    """Whether a network for one task has the outputs of the other, in the same order."""
    if isinstance(task, Semantic) and isinstance(other, Semantic):
        return np.array_equal(task.ids, other.ids)
    return type(task) is type(other)
