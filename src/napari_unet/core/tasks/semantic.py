"""Semantic: each pixel has a class."""

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
    """Each pixel gets a class.

    Two classes need one output (the probability of the class that is not the background), more
    need one each.

    Parameters
    ----------
    classes
        All classes, with the background. `Semantic.from_labels` finds them.
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
            raise SettingsError("Exactly one class must be flagged as the background.")
        if self.sparse and 0 in ids:
            raise SettingsError("With sparse labels 0 means 'not painted' and cannot be a class.")
        if self.class_weights is not None and len(self.class_weights) != len(ids):
            raise SettingsError(
                f"{len(self.class_weights)} class weights for {len(ids)} classes: expected one "
                "each."
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
        """Make a task whose classes are the ids found in labels.

        Parameters
        ----------
        labels
            Label arrays of any shape.
        sparse
            Whether 0 means "not painted".
        names
            Names by id; others are called "class 3".
        background
            Id of the background; None: 0 if dense, the lowest painted id if sparse.
        **kwargs
            The other fields of `Semantic`.

        Raises
        ------
        LabelsError
            When nothing or only one class is painted.
        """
        found: set[int] = set() if sparse else {background or 0}
        for array in labels:
            found.update(int(i) for i in np.unique(array))
        if sparse:
            found.discard(0)
        if len(found) < 2:
            what = "nothing is painted" if not found else f"only id {min(found)} is painted"
            raise LabelsError(
                f"The labels hold one class at most: {what}. Expected at least two; "
                + ("paint some background with an id of its own." if sparse else "paint objects.")
            )
        if len(found) > 256:
            raise LabelsError(
                f"The labels hold {len(found)} different ids, which would be as many classes. "
                "If each id is an object, choose instances."
            )
        background = min(found) if background is None else background
        if background not in found:
            raise LabelsError(
                f"The background {background} is painted nowhere: found {sorted(found)[:10]}. "
                "Name another id as the background, or paint some."
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
        """Whether there are two classes, and so one output."""
        return len(self.classes) == 2

    @property
    def background(self) -> ClassInfo:
        """The background class."""
        return next(c for c in self.classes if c.background)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids by output index; with two classes (background, foreground)."""
        if not self.binary:
            return np.array([c.id for c in self.classes])
        return np.array([c.id for c in sorted(self.classes, key=lambda c: not c.background)])

    @property
    def reach_px(self) -> int:
        """0: each pixel is decoded on its own."""
        return 0

    @property
    def heads(self) -> tuple[Head, ...]:
        """One head: a probability, or one per class."""
        if self.binary:
            return (Head("foreground", 1, "sigmoid"),)
        return (Head("classes", len(self.classes), "softmax"),)

    def check(self, pairs: list[Pair]) -> None:
        """Raise `LabelsError` where ids are painted that are no classes, or a class is nowhere."""
        known = set(self.ids.tolist()) | ({0} if self.sparse else set())
        seen: set[int] = set()
        for pair in pairs:
            ids = {int(i) for i in np.unique(pair.labels)}
            if ids - known:
                raise LabelsError(
                    f"'{pair.name}' holds the ids {sorted(ids - known)[:10]}, which are no "
                    f"classes: expected {sorted(known)}. Add them to the classes, or choose "
                    "instances if each id is an object."
                )
            seen |= ids
        painted = seen & set(self.ids.tolist())
        if len(painted) < 2:
            names = [c.name for c in self.classes if c.id in painted]
            raise LabelsError(
                f"Only {names or 'nothing'} is painted in {len(pairs)} image(s): expected at "
                "least two classes. Paint examples of the others too."
            )

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Turn labels into class indices.

        Parameters
        ----------
        labels
            Axes YX or ZYX.
        inside
            Where labels count.

        Returns
        -------
        targets
            (1, ...) float32, index of the class (0 or 1 with two classes).
        weight
            (1, ...) float32, 0 where not annotated, not painted or not a known class.
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
        """Turn probabilities (channels, ...) into class ids, uint8 where they fit."""
        index = outputs[0] > self.threshold if self.binary else outputs.argmax(axis=0)
        dtype = np.min_scalar_type(max(c.id for c in self.classes))
        labels: Labels = self.ids.astype(dtype)[index.astype(np.intp)]
        return labels

    @property
    def label_classes(self) -> tuple[ClassInfo, ...]:
        """All classes, with the background."""
        return self.classes

    def shares_outputs(self, other: Task) -> bool:
        """Whether a network for the other task has outputs for the same ids, in the same order."""
        return isinstance(other, Semantic) and np.array_equal(self.ids, other.ids)

    def loss(self) -> Loss:
        """Return cross-entropy plus Dice, of two classes or of more, with the class weights."""
        from napari_unet.core.tasks.losses import bce_dice, cross_entropy_dice

        weights = self.class_weights
        if not self.binary:
            return lambda logits, targets, weight: cross_entropy_dice(
                logits, targets, weight, weights
            )
        if weights is not None:
            # Outputs are ordered (background, foreground), weights as the classes are.
            by_id = {c.id: w for c, w in zip(self.classes, weights, strict=True)}
            weights = tuple(by_id[int(i)] for i in self.ids)
        return lambda logits, targets, weight: bce_dice(logits, targets, weight, weights)

    @property
    def class_targets(self) -> bool:
        """True: the target is the index of a class."""
        return True

    @property
    def background_target(self) -> int:
        """Index of the background among the classes as the network predicts them."""
        return [int(i) for i in self.ids].index(self.background_id)

    @property
    def output_channels(self) -> tuple[OutputChannel, ...]:
        """One channel per class; with two classes, the one that is not the background."""
        names = {c.id: c.name for c in self.classes}
        if self.binary:
            return (OutputChannel(names[int(self.ids[1])], "probability, 0 to 1"),)
        return tuple(OutputChannel(names[int(i)], "probability of this class") for i in self.ids)

    @property
    def words(self) -> Words:
        """The task in words."""
        names = ", ".join(c.name for c in self.classes)
        return Words(
            labels=f"classes: {names}",
            results="classes",
            does=f"classifies pixels ({names})",
            done=f"Pixels were classified ({names})",
            decoding="The labels come from these maps",
            tags=("semantic-segmentation",),
        )

    def describe_decoding(self, *, resized: bool = False) -> str:
        """Describe in a sentence how each pixel got its class."""
        if self.binary:
            return f"The probability threshold was {self.threshold:g}."
        return "Each pixel got its most probable class."

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """The threshold of two classes; of more, the most probable is taken."""
        return adjustments_of(self) if self.binary else ()

    def why_not_adjustable(self, name: str) -> str:
        """Explain in half a sentence why there is no adjustment of that name."""
        if name == "threshold":
            return "the most probable of its classes is taken"
        return "classes have no objects"
