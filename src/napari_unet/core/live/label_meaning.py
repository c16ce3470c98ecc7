"""The meaning of painted numbers in live training: classes, or objects on a background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import SettingsError
from napari_unet.core.live.uncertainty import uncertainty
from napari_unet.core.tasks.base import Targets, Task
from napari_unet.core.tasks.semantic import Semantic

__all__ = [
    "BACKGROUND_ID",
    "ClassMeaning",
    "LabelMeaning",
    "ObjectMeaning",
    "label_meaning",
]

BACKGROUND_ID = 1
"""The number of the background if every other number is an object."""

_MOST_COVERED = 0.1
"""Share of a suggested object that may be painted already, for example by a stroke beside it."""

Labels = NDArray[np.integer[Any]]
Maps = NDArray[np.float32]
Window = tuple[slice, slice]


class LabelMeaning(Protocol):
    """What the numbers in labels stand for, and how a network's maps become such labels."""

    @property
    def task(self) -> Task:
        """What the network is trained for."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes whose painted and true shares may differ, see `Prior`; 0: none."""
        ...

    @property
    def window_px(self) -> int:
        """Side of the window that is suggested."""
        ...

    @property
    def margin_px(self) -> int:
        """Width of the margin that is predicted around it."""
        ...

    def kinds_of(self, ids: Labels) -> Labels:
        """Return the kind of each painted number; 0 for unknown numbers."""
        ...

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Return targets and weights of a patch."""
        ...

    def outputs(self, maps: Maps) -> Maps:
        """Return the outputs for the network's maps, axes CYX."""
        ...

    def probability(self, outputs: Maps) -> Maps:
        """Return the probability of each class but the background, or of objects, axes CYX."""
        ...

    def labels(self, outputs: Maps) -> Labels:
        """Return labels for outputs."""
        ...

    def foreseen_kinds(self, outputs: Maps) -> Labels:
        """Return the predicted kinds, for comparison with `kinds_of` painted numbers."""
        ...

    def doubt(self, outputs: Maps) -> Maps:
        """Return how uncertain outputs are, axes YX; see `uncertainty`."""
        ...

    def proposal(self, outputs: Maps, painted: Labels, window: Window) -> Labels:
        """Return suggested labels for a window and its margin."""
        ...


@dataclass(frozen=True)
class ClassMeaning:
    """Every number is a class.

    Parameters
    ----------
    task
        The classes.
    """

    task: Semantic
    window_px: ClassVar[int] = 64
    """Side of the window that is suggested."""
    margin_px: ClassVar[int] = 0
    """Width of the margin around it."""

    @property
    def classes(self) -> int:
        """Number of classes whose painted and true shares may differ, see `Prior`."""
        return len(self.task.classes)

    def kinds_of(self, ids: Labels) -> Labels:
        """Return each number that is a class, 0 for any other."""
        return np.where(np.isin(ids, self.task.ids), ids, 0)

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Return targets and weights of a patch; see the task's."""
        return self.task.encode(labels, inside)

    def outputs(self, maps: Maps) -> Maps:
        """Return the probability of each class for the network's maps, axes CYX."""
        return np.concatenate([1 - maps, maps]) if len(maps) == 1 else maps

    def probability(self, outputs: Maps) -> Maps:
        """Return the probability of each class but the background, in their order."""
        return outputs[[not c.background for c in self.task.classes]]

    def labels(self, outputs: Maps) -> Labels:
        """Return the most probable class of each pixel."""
        ids = self.task.ids
        small = ids.astype(np.min_scalar_type(int(ids.max())))
        return np.asarray(small[outputs.argmax(0)])

    def foreseen_kinds(self, outputs: Maps) -> Labels:
        """Return the predicted classes."""
        return self.labels(outputs)

    def doubt(self, outputs: Maps) -> Maps:
        """Return how uncertain the classes are; see `uncertainty`."""
        return uncertainty(outputs)

    def proposal(self, outputs: Maps, painted: Labels, window: Window) -> Labels:
        """Return the most probable class of each pixel."""
        return self.labels(outputs)


@dataclass(frozen=True)
class ObjectMeaning:
    """`BACKGROUND_ID` is background; every other number is an object, painted whole.

    Parameters
    ----------
    task
        How objects are encoded and decoded.
    """

    task: Task
    classes: ClassVar[int] = 0
    """Objects are painted whole, so their share needs no correction."""
    window_px: ClassVar[int] = 96
    """Side of the window that is proposed."""
    margin_px: ClassVar[int] = 64
    """Width of the margin around it, as its objects may extend beyond it."""

    def kinds_of(self, ids: Labels) -> Labels:
        """Return `BACKGROUND_ID` for background, and the number after it for any object."""
        return np.minimum(ids, BACKGROUND_ID + 1)

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Return targets and weights of a patch; unpainted pixels have weight 0.

        Objects are taken to be whole, even though they border on unpainted pixels.
        """
        objects = np.where(labels == BACKGROUND_ID, 0, labels)
        whole = self.task.model_copy(update={"sparse": False})
        return whole.encode(objects, inside & (labels > 0))

    def outputs(self, maps: Maps) -> Maps:
        """Return the network's maps unchanged; see `Instances.heads`."""
        return maps

    def probability(self, outputs: Maps) -> Maps:
        """Return the probability of belonging to any object, axes (1, Y, X)."""
        return outputs[:1]

    def labels(self, outputs: Maps) -> Labels:
        """Return objects 1, 2, ...; 0 is background."""
        found: Labels = self.task.decode(outputs)
        return found

    def foreseen_kinds(self, outputs: Maps) -> Labels:
        """Return background or object for each pixel, numbered as `kinds_of` does."""
        found: Labels = (outputs[0] > self.task.foreground_threshold).astype(np.uint8)
        return found + BACKGROUND_ID

    def doubt(self, outputs: Maps) -> Maps:
        """Return how uncertain the foreground is; see `uncertainty`."""
        foreground = outputs[:1]
        return uncertainty(np.concatenate([1 - foreground, foreground]))

    def proposal(self, outputs: Maps, painted: Labels, window: Window) -> Labels:
        """Return the background of a window and the objects in it.

        Parameters
        ----------
        outputs
            Outputs of the window and the margin around it.
        painted
            The labels there.
        window
            The window's place in them.

        Returns
        -------
        array
            Of the shape of `painted`: `BACKGROUND_ID`, and from the number after it on each object
            that has most of its area in the window, whole even where it extends beyond the window.
            0 elsewhere, and for objects cut off by the margin or painted already.
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


def label_meaning(task: Task) -> LabelMeaning:
    """Return the meaning of painted numbers for a task.

    Raises
    ------
    SettingsError
        If 0 has a meaning in the task.
    """
    if not task.sparse:
        raise SettingsError(
            "Live training takes 0 for 'not painted': expected a sparse task. Give the background "
            "its own class."
        )
    # Classes are painted under their ids, which a network has in an order that `Semantic` knows.
    return ClassMeaning(task) if isinstance(task, Semantic) else ObjectMeaning(task)
