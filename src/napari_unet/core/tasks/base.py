"""The interface of all tasks, with defaults for tasks whose labels are objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.pair import Pair
from napari_unet.core.settings import Settings, parse_settings
from napari_unet.core.tasks.adjustments import Adjustment, adjustments_of, merge_adjustments
from napari_unet.core.tasks.description import ClassInfo, OutputChannel, Words
from napari_unet.core.tasks.scores import CLASS_SCORES, OBJECT_SCORES, TaskScores

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Head", "Labels", "Loss", "Maps", "Targets", "Task"]

Labels = NDArray[np.integer[Any]]
Maps = NDArray[np.float32]
Targets = tuple[Maps, Maps]
"""Targets (T, ...) and one weight per head (H, ...), as `Task.encode` returns them."""

Loss = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]
"""A function ``loss(logits, targets, weight)`` that returns a scalar."""


@dataclass(frozen=True)
class Head:
    """One group of output channels.

    Parameters
    ----------
    name
        Name of the predicted quantity.
    channels
        Number of output channels.
    activation
        Function that turns logits into outputs.
    vector
        Whether the channels are the components of a vector along the spatial axes, which must be
        flipped and rotated with the image.

    Examples
    --------
    >>> from napari_unet.core.tasks import Head
    >>> Head("offset", channels=2, activation="linear", vector=True).channels
    2
    """

    name: str
    channels: int
    activation: Literal["sigmoid", "softmax", "linear"]
    vector: bool = False


class Task(Settings, ABC):
    """The meaning of a model's labels, and everything that follows from it.

    A new task declares ``kind`` as a `Literal` with a default, its outputs (`heads`, `reach_px`),
    the conversion of labels to targets (`encode`), the loss (`loss`), and the conversion of outputs
    to labels (`decode`). Everything else has defaults for labels that are objects.
    `napari_unet.core.tasks.any_task.register_task` registers a task, so that model files can
    refer to it.

    Arrays have axes YX or ZYX after the first.

    Parameters
    ----------
    kind
        Name of the task in files.
    sparse
        Whether 0 means "not annotated" instead of background.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import Instances
    >>> task = Instances()
    >>> labels = np.zeros((64, 64), np.uint16)
    >>> labels[10:30, 10:30] = 1
    >>> targets, weight = task.encode(labels, np.ones(labels.shape, bool))
    >>> targets.shape, weight.shape
    ((4, 64, 64), (3, 64, 64))
    """

    kind: str
    sparse: bool = False

    # -- outputs of the network ------------------------------------------------------------------

    @property
    @abstractmethod
    def heads(self) -> tuple[Head, ...]:
        """Groups of output channels, in the order of the network's outputs."""

    @property
    def output_channels(self) -> tuple[OutputChannel, ...]:
        """Output channels, in order."""
        return tuple(
            OutputChannel(
                head.name if head.channels == 1 else f"{head.name} {number}",
                "a number" if head.activation == "linear" else "probability, 0 to 1",
            )
            for head in self.heads
            for number in range(1, head.channels + 1)
        )

    def shares_outputs(self, other: Task) -> bool:
        """Return whether a network for the other task has the same outputs in the same order."""
        return type(self) is type(other) and self.heads == other.heads

    # -- training --------------------------------------------------------------------------------

    def check(self, pairs: list[Pair]) -> None:
        """Raise `LabelsError` if this task cannot be trained on the labels of the pairs."""
        if not any(pair.labels.any() for pair in pairs):
            raise LabelsError(
                f"Nothing is labelled in {len(pairs)} image(s): the labels are 0 everywhere. "
                "Label at least one object."
            )

    @abstractmethod
    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Convert labels to targets (T, ...) and one weight per head (H, ...), 0 = ignore."""

    @abstractmethod
    def loss(self) -> Loss:
        """Return ``loss(logits, targets, weight) -> scalar``; arrays as in `encode`, in batches."""

    @property
    def class_targets(self) -> bool:
        """Whether targets are class indices, so that a linear classifier can be fitted."""
        return False

    @property
    def background_target(self) -> int:
        """Value of the first target in the background."""
        return 0

    def decoding_like(self, _start: Task) -> Self:
        """Return this task with the decoder of the start model's task, if it can use it."""
        return self

    # -- labels ----------------------------------------------------------------------------------

    @abstractmethod
    def decode(self, outputs: Maps) -> Labels:
        """Convert activated outputs (channels, ...) to labels."""

    @property
    @abstractmethod
    def reach_px(self) -> int:
        """Distance from a block's edge within which labels may depend on pixels beyond it."""

    @property
    def label_classes(self) -> tuple[ClassInfo, ...]:
        """Classes of the labels, including the background; empty if labels are objects."""
        return ()

    @property
    def labels_are_objects(self) -> bool:
        """Whether each label is an object that can be counted, measured and matched."""
        return not self.label_classes

    @property
    def background_id(self) -> int:
        """Label of the background."""
        return next((c.id for c in self.label_classes if c.background), 0)

    @property
    def foreground_threshold(self) -> float:
        """Value of the first output above which a pixel belongs to an object.

        If labels are resampled to a grid other than the network's, objects end where the resampled
        output falls below this value. Classes are decoded again on the new grid instead.
        """
        return 0.5

    def confidence(self, labels: Labels, outputs: Maps) -> Maps:
        """Compute the confidence of each object: the mean of the first output in it.

        Returns
        -------
        array of float32
            One value per id, from 1 to the largest; empty if labels are classes.
        """
        if not self.labels_are_objects:
            return np.empty(0, np.float32)
        area = np.bincount(labels.ravel())
        total = np.bincount(labels.ravel(), weights=outputs[0].ravel())
        return (total / np.maximum(area, 1)).astype(np.float32)[1:]

    @property
    def judges_objects(self) -> bool:
        """Whether `object_quality` is available."""
        return False

    def object_quality(self, labels: Labels, outputs: Maps) -> NDArray[np.float64]:
        """Compute how well each object agrees with the outputs it was decoded from, 0 to 1.

        Available if `judges_objects`; used to estimate the size of objects and the contrast of an
        image. Returns one value per id from 1.
        """
        raise NotImplementedError

    def keeping_all_objects(self) -> Self:
        """Return the same task without rejecting objects that disagree with the outputs."""
        return self

    # -- scores and words ------------------------------------------------------------------------

    @property
    def scores(self) -> TaskScores:
        """Scores to show; the best model is chosen by `TaskScores.primary`."""
        return OBJECT_SCORES if self.labels_are_objects else CLASS_SCORES

    @property
    def words(self) -> Words:
        """Phrases that describe the task."""
        return Words(
            labels=f"objects ({self.kind})",
            results="objects",
            does=f"segments objects ({self.kind})",
            done=f"Objects ({self.kind}) were segmented",
            decoding="The objects are decoded from these maps",
            tags=("instance-segmentation",),
        )

    def describe_decoding(self, *, resized: bool = False) -> str:
        """Describe in a sentence how outputs were decoded to labels, with the settings.

        Parameters
        ----------
        resized
            Whether images were resized for the network, so that lengths refer to resized pixels.
        """
        values = ", ".join(f"{a.title.lower()} {a.value:g}" for a in self.adjustments)
        settings = f" with {values}" if values else ""
        return f"The network's outputs were turned into labels{settings}."

    # -- adjustments after a prediction ----------------------------------------------------------

    @classmethod
    def possible_adjustments(cls) -> tuple[Adjustment, ...]:
        """List the adjustments of all tasks of this kind, with default values."""
        return merge_adjustments([cls])

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """Values that can be adjusted after a prediction."""
        return adjustments_of(self)

    def adjusted(self, values: Mapping[str, float]) -> Self:
        """Return the same task with other values of its adjustments.

        Parameters
        ----------
        values
            Values by `Adjustment.name`; others are not changed.

        Raises
        ------
        SettingsError
            If a value is out of range, or the task has no adjustment of that name.
        """
        for name in values.keys() - {a.name for a in self.adjustments}:
            words = name.removesuffix("_px").replace("_", "-")
            raise SettingsError(
                f"The task has no {words}: {self.why_not_adjustable(name)}. Leave it out."
            )
        return self._with_adjustments(dict(values)) if values else self

    def why_not_adjustable(self, name: str) -> str:
        """Explain in a clause why there is no adjustment of that name."""
        known = ", ".join(a.name for a in self.adjustments)
        return f"expected one of {known}" if known else "it has nothing to adjust"

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Restore a pickled task. In a new process its class may not be built for writing yet."""
        type(self).model_rebuild()
        super().__setstate__(state)

    def _with_adjustments(self, values: dict[str, float]) -> Self:
        return parse_settings(type(self), self.model_dump() | values)
