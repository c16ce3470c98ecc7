"""Meaning of painted labels in live training: classes, or objects on a background."""

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
"""Label of the background if every other label is an object."""

_MOST_COVERED = 0.1
"""Largest fraction of a suggested object that may be painted, such as by a stroke next to it."""

Labels = NDArray[np.integer[Any]]
Maps = NDArray[np.float32]
Window = tuple[slice, slice]


class LabelMeaning(Protocol):
    """Meaning of the labels, and the conversion of network outputs to labels."""

    @property
    def task(self) -> Task:
        """Task of the network."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes that `Prior` corrects; 0: no correction."""
        ...

    @property
    def window_px(self) -> int:
        """Side of a suggested window in pixels."""
        ...

    @property
    def margin_px(self) -> int:
        """Width of the margin predicted around the window, in pixels."""
        ...

    def kinds_of(self, ids: Labels) -> Labels:
        """Return the kind of each label; 0 for unknown labels."""
        ...

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Return the targets and weights of a patch."""
        ...

    def outputs(self, maps: Maps) -> Maps:
        """Convert the maps of the network to outputs, axes CYX."""
        ...

    def probability(self, outputs: Maps) -> Maps:
        """Return the probability of each class except the background, or of objects, axes CYX."""
        ...

    def labels(self, outputs: Maps) -> Labels:
        """Convert outputs to labels."""
        ...

    def predicted_kinds(self, outputs: Maps) -> Labels:
        """Return the predicted kinds, for comparison with `kinds_of` painted labels."""
        ...

    def doubt(self, outputs: Maps) -> Maps:
        """Return the uncertainty of outputs, axes YX; see `uncertainty`."""
        ...

    def proposal(self, outputs: Maps, painted: Labels, window: Window) -> Labels:
        """Return the suggested labels for a window and its margin."""
        ...


@dataclass(frozen=True)
class ClassMeaning:
    """Labels in which every number is a class.

    Parameters
    ----------
    task
        Task with the classes.
    """

    task: Semantic
    window_px: ClassVar[int] = 64
    """Side of a suggested window in pixels."""
    margin_px: ClassVar[int] = 0
    """Width of the margin around the window in pixels."""

    @property
    def classes(self) -> int:
        """Number of classes that `Prior` corrects."""
        return len(self.task.classes)

    def kinds_of(self, ids: Labels) -> Labels:
        """Return the labels that are classes; 0 for any other label."""
        return np.where(np.isin(ids, self.task.ids), ids, 0)

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Return the targets and weights of a patch; see `Semantic.encode`."""
        return self.task.encode(labels, inside)

    def outputs(self, maps: Maps) -> Maps:
        """Convert the maps of the network to the probability of each class, axes CYX."""
        return np.concatenate([1 - maps, maps]) if len(maps) == 1 else maps

    def probability(self, outputs: Maps) -> Maps:
        """Return the probability of each class except the background, in their order."""
        return outputs[[not c.background for c in self.task.classes]]

    def labels(self, outputs: Maps) -> Labels:
        """Return the most probable class of each pixel."""
        ids = self.task.ids
        small = ids.astype(np.min_scalar_type(int(ids.max())))
        return np.asarray(small[outputs.argmax(0)])

    def predicted_kinds(self, outputs: Maps) -> Labels:
        """Return the predicted classes."""
        return self.labels(outputs)

    def doubt(self, outputs: Maps) -> Maps:
        """Return the uncertainty of the classes; see `uncertainty`."""
        return uncertainty(outputs)

    def proposal(self, outputs: Maps, painted: Labels, window: Window) -> Labels:
        """Return the most probable class of each pixel."""
        return self.labels(outputs)


@dataclass(frozen=True)
class ObjectMeaning:
    """Labels in which `BACKGROUND_ID` is background and every other number is a whole object.

    Parameters
    ----------
    task
        Task that encodes and decodes the objects.
    """

    task: Task
    classes: ClassVar[int] = 0
    """Number of classes that `Prior` corrects: none, because objects are painted whole."""
    window_px: ClassVar[int] = 96
    """Side of a suggested window in pixels."""
    margin_px: ClassVar[int] = 64
    """Width of the margin around the window in pixels; objects may extend into it."""

    def kinds_of(self, ids: Labels) -> Labels:
        """Return `BACKGROUND_ID` for background, and `BACKGROUND_ID + 1` for any object."""
        return np.minimum(ids, BACKGROUND_ID + 1)

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Return the targets and weights of a patch; unpainted pixels have weight 0.

        Objects are assumed to be painted whole, even if they border on unpainted pixels.
        """
        objects = np.where(labels == BACKGROUND_ID, 0, labels)
        whole = self.task.model_copy(update={"sparse": False})
        return whole.encode(objects, inside & (labels > 0))

    def outputs(self, maps: Maps) -> Maps:
        """Return the maps of the network unchanged; see `Instances.heads`."""
        return maps

    def probability(self, outputs: Maps) -> Maps:
        """Return the probability of belonging to any object, axes (1, Y, X)."""
        return outputs[:1]

    def labels(self, outputs: Maps) -> Labels:
        """Return the objects 1, 2, ... on background 0."""
        found: Labels = self.task.decode(outputs)
        return found

    def predicted_kinds(self, outputs: Maps) -> Labels:
        """Return whether each pixel is background or an object, numbered as in `kinds_of`."""
        found: Labels = (outputs[0] > self.task.foreground_threshold).astype(np.uint8)
        return found + BACKGROUND_ID

    def doubt(self, outputs: Maps) -> Maps:
        """Return the uncertainty of the foreground; see `uncertainty`."""
        foreground = outputs[:1]
        return uncertainty(np.concatenate([1 - foreground, foreground]))

    def proposal(self, outputs: Maps, painted: Labels, window: Window) -> Labels:
        """Return the background of a window and the objects in it.

        Parameters
        ----------
        outputs
            Outputs of the window and its margin.
        painted
            Labels of the window and its margin.
        window
            Slices of the window in these arrays.

        Returns
        -------
        array
            Labels of the shape of `painted`. Background in the window is `BACKGROUND_ID`. Objects
            with most of their area in the window are numbered from `BACKGROUND_ID + 1`, and are
            whole even if they extend into the margin. All other pixels are 0, including objects cut
            off by the margin or already painted.
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
    """Return the meaning of painted labels for a task.

    Raises
    ------
    SettingsError
        If the task is not sparse.
    """
    if not task.sparse:
        raise SettingsError(
            "In live training, 0 means 'not painted', so the task must be sparse. Set sparse=True "
            "and use a separate class for the background."
        )
    # Classes need another conversion, because only `Semantic` maps outputs to the painted ids.
    return ClassMeaning(task) if isinstance(task, Semantic) else ObjectMeaning(task)
