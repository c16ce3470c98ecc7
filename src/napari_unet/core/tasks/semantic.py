"""Semantic segmentation: each pixel has a class."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.adjustments import Adjustment, Threshold, adjustments_of
from napari_unet.core.tasks.base import Head, Labels, Loss, Targets, Task
from napari_unet.core.tasks.description import ClassInfo, OutputChannel, Words

__all__ = ["ClassInfo", "Semantic"]


class Semantic(Task):
    """Task in which each pixel has a class.

    Two classes need one output (the probability of the class that is not the background); three or
    more need one output each.

    Parameters
    ----------
    classes
        All classes, including the background. `Semantic.from_labels` finds them in labels.
    sparse
        Whether 0 means "not painted" instead of background.
    class_weights
        Weight of each class in the loss, in the order of `classes`; None: all 1.
    threshold
        Probability above which a pixel is foreground, with two classes.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_unet import Semantic
    >>> task = Semantic.from_labels([np.array([[0, 1], [2, 2]])], names={1: "gland", 2: "stroma"})
    >>> [c.name for c in task.classes]
    ['background', 'gland', 'stroma']
    """

    kind: Literal["semantic"] = "semantic"
    classes: tuple[ClassInfo, ...]
    sparse: bool = False
    class_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    threshold: Threshold = 0.5

    @model_validator(mode="after")
    def _check_classes(self) -> Semantic:
        ids = [c.id for c in self.classes]
        if len(ids) < 2 or len(set(ids)) != len(ids):
            raise SettingsError(
                f"Classes have the ids {ids}: expected at least two classes, each id once. "
                "Paint a second class (the background counts as one)."
            )
        if sum(c.background for c in self.classes) != 1:
            raise SettingsError("Exactly one class must be marked as the background.")
        if self.sparse and 0 in ids:
            raise SettingsError("In sparse labels, 0 means 'not painted' and cannot be a class.")
        if self.class_weights is not None and len(self.class_weights) != len(ids):
            raise SettingsError(
                f"There are {len(self.class_weights)} class weights for {len(ids)} classes: "
                "expected one for each class."
            )
        return self

    @classmethod
    def from_labels(
        cls,
        labels: list[Labels],
        *,
        sparse: bool = False,
        names: dict[int, str] | None = None,
        background: int | None = None,
        **kwargs: Any,
    ) -> Semantic:
        """Build a task whose classes are the ids found in labels.

        Parameters
        ----------
        labels
            Label arrays of any shape.
        sparse
            Whether 0 means "not painted".
        names
            Names by id; other classes are named by their number, like "class 3".
        background
            Id of the background; None: 0 for dense labels, the lowest painted id for sparse ones.
        **kwargs
            Other fields of `Semantic`.

        Raises
        ------
        LabelsError
            If fewer than two classes are painted.
        """
        found: set[int] = set() if sparse else {background or 0}
        for array in labels:
            found.update(int(i) for i in np.unique(array))
        if sparse:
            found.discard(0)
        if len(found) < 2:
            what = "nothing is painted" if not found else f"only id {min(found)} is painted"
            raise LabelsError(
                f"The labels contain fewer than two classes: {what}. Expected at least two: "
                + ("paint some background with a separate id." if sparse else "paint objects.")
            )
        if len(found) > 256:
            raise LabelsError(
                f"The labels contain {len(found)} different ids: expected at most 256 classes. "
                "If each id is an object, choose instances."
            )
        background = min(found) if background is None else background
        if background not in found:
            raise LabelsError(
                f"The background has the id {background}, which is not painted: found "
                f"{sorted(found)[:10]}. Choose another id as the background, or paint some."
            )
        names = names or {}
        classes = tuple(
            ClassInfo(
                id=i,
                name=names.get(i, "background" if i == background else f"class {i}"),
                background=i == background,
            )
            for i in sorted(found)
        )
        return cls(classes=classes, sparse=sparse, **kwargs)

    @property
    def binary(self) -> bool:
        """Whether there are two classes, and therefore one output."""
        return len(self.classes) == 2

    @property
    def background(self) -> ClassInfo:
        """Background class."""
        return next(c for c in self.classes if c.background)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids by output index; for two classes, (background, foreground)."""
        if not self.binary:
            return np.array([c.id for c in self.classes])
        return np.array([c.id for c in sorted(self.classes, key=lambda c: not c.background)])

    @property
    def reach_px(self) -> int:
        """0: each pixel is decoded on its own."""
        return 0

    @property
    def heads(self) -> tuple[Head, ...]:
        """One head: the probability of the foreground, or one probability per class."""
        if self.binary:
            return (Head("foreground", 1, "sigmoid"),)
        return (Head("classes", len(self.classes), "softmax"),)

    def check(self, pairs: list[Pair]) -> None:
        """Raise `LabelsError` if ids are not classes, or fewer than two classes are painted."""
        known = set(self.ids.tolist()) | ({0} if self.sparse else set())
        seen: set[int] = set()
        for pair in pairs:
            ids = {int(i) for i in np.unique(pair.labels)}
            if ids - known:
                raise LabelsError(
                    f"'{pair.name}' contains the ids {sorted(ids - known)[:10]}, which are not "
                    f"classes: expected {sorted(known)}. Add them to the classes, or choose "
                    "instances if each id is an object."
                )
            seen |= ids
        painted = seen & set(self.ids.tolist())
        if len(painted) < 2:
            names = [c.name for c in self.classes if c.id in painted]
            raise LabelsError(
                f"Painted classes in {len(pairs)} image(s): {', '.join(names) or 'none'}. Expected "
                "at least two. Paint examples of other classes as well."
            )

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Convert labels to class indices.

        Parameters
        ----------
        labels
            Axes YX or ZYX.
        inside
            Mask of the annotated area.

        Returns
        -------
        targets
            Index of the class (0 or 1 for two classes), (1, ...) float32.
        weight
            (1, ...) float32; 0 for pixels that are not annotated, not painted or of no class.
        """
        targets = np.zeros((1, *labels.shape), np.float32)
        known = np.zeros(labels.shape, bool)
        for index, class_id in enumerate(self.ids):
            here = labels == class_id
            known |= here
            if index:
                targets[0][here] = index
        return targets, (known & inside).astype(np.float32)[None]

    def decode(self, outputs: NDArray[np.float32]) -> Labels:
        """Convert probabilities (channels, ...) to class ids of the smallest unsigned type."""
        index = outputs[0] > self.threshold if self.binary else outputs.argmax(axis=0)
        dtype = np.min_scalar_type(max(c.id for c in self.classes))
        labels: Labels = self.ids.astype(dtype)[index.astype(np.intp)]
        return labels

    @property
    def label_classes(self) -> tuple[ClassInfo, ...]:
        """All classes, including the background."""
        return self.classes

    def shares_outputs(self, other: Task) -> bool:
        """Return whether a network for the other task has the same ids in the same order."""
        return isinstance(other, Semantic) and np.array_equal(self.ids, other.ids)

    def loss(self) -> Loss:
        """Return cross-entropy plus Dice loss, with the class weights."""
        from napari_unet.core.tasks.losses import bce_dice, cross_entropy_dice

        weights = self.class_weights
        if not self.binary:
            return lambda logits, targets, weight: cross_entropy_dice(
                logits, targets, weight, weights
            )
        if weights is not None:
            # Outputs are ordered (background, foreground), weights like the classes.
            by_id = {c.id: w for c, w in zip(self.classes, weights, strict=True)}
            weights = tuple(by_id[int(i)] for i in self.ids)
        return lambda logits, targets, weight: bce_dice(logits, targets, weight, weights)

    @property
    def class_targets(self) -> bool:
        """True: targets are class indices."""
        return True

    @property
    def background_target(self) -> int:
        """Index of the background in the order of the network's outputs."""
        return [int(i) for i in self.ids].index(self.background_id)

    @property
    def output_channels(self) -> tuple[OutputChannel, ...]:
        """One channel per class; for two classes, only that of the foreground."""
        names = {c.id: c.name for c in self.classes}
        if self.binary:
            return (OutputChannel(names[int(self.ids[1])], "probability, 0 to 1"),)
        return tuple(OutputChannel(names[int(i)], "probability of this class") for i in self.ids)

    @property
    def words(self) -> Words:
        """Phrases that describe the task."""
        names = ", ".join(c.name for c in self.classes)
        return Words(
            labels=f"classes: {names}",
            results="classes",
            does=f"classifies pixels ({names})",
            done=f"Pixels were classified ({names})",
            decoding="The labels are decoded from these maps",
            tags=("semantic-segmentation",),
        )

    def describe_decoding(self, *, resized: bool = False) -> str:
        """Describe in a sentence how classes were assigned to pixels."""
        if self.binary:
            return f"The probability threshold was {self.threshold:g}."
        return "The most probable class was assigned to each pixel."

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """The threshold, for two classes; with more, the most probable class is assigned."""
        return adjustments_of(self) if self.binary else ()

    def why_not_adjustable(self, name: str) -> str:
        """Explain in a clause why there is no adjustment of that name."""
        if name == "threshold":
            return "the most probable of its classes is assigned"
        return "its labels are classes, not objects"
