"""Tasks: what labels mean. Sampling, network, training, tiling and model file know nothing else.

A task turns labels into what the network must predict (`encode`) and the network's outputs back
into labels (`decode`). No torch here: sliders in a window decode too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from napari_unet.core.tasks.decoders import Decoder, VoteDecoder
from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.image import Pair
from napari_unet.core.tasks.targets import Objects, spread

__all__ = ["AnyTask", "ClassInfo", "Head", "Instances", "Semantic", "Task", "parse_task"]

Labels = NDArray[np.integer[Any]]
Targets = tuple[NDArray[np.float32], NDArray[np.float32]]

OFFSET_UNIT_PX = 10.0
"""Offsets are predicted in units of this many pixels, so that they are of the order of 1."""

CONTACT_WEIGHT = 4.0
"""How much a pixel between two objects counts in training, another one counting 1."""


@dataclass(frozen=True)
class Head:
    """One group of output channels.

    Parameters
    ----------
    name
        What it predicts.
    channels
        How many output channels it has.
    activation
        What turns its logits into outputs.
    vector
        Whether the channels are the components of a vector along the spatial axes (which turns
        with the image when the image is flipped or rotated).
    """

    name: str
    channels: int
    activation: Literal["sigmoid", "softmax", "linear"]
    vector: bool = False


class Task(Protocol):
    """What every task offers; arrays have axes YX or ZYX after the first."""

    sparse: bool

    @property
    def reach_px(self) -> int:
        """How far from a block's edge its decoded labels may depend on what lies beyond."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """The output groups, in the order of the network's output channels."""

    def check(self, pairs: list[Pair]) -> None:
        """Raise `LabelsError` where the pairs' labels cannot teach this task."""

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Turn labels into targets (T, ...) and one weight per head (H, ...), 0 = ignore."""

    def decode(self, outputs: NDArray[np.float32]) -> Labels:
        """Turn activated outputs (channels, ...) into labels."""


class ClassInfo(BaseModel):
    """One class of a semantic task.

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
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    id: Annotated[int, Field(ge=0)]
    name: str
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None
    background: bool = False


class Semantic(BaseModel):
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
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: Literal["semantic"] = "semantic"
    classes: tuple[ClassInfo, ...]
    sparse: bool = False
    class_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5

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


class Instances(BaseModel):
    """Every object gets an id of its own (nuclei).

    The network predicts the foreground, the distance to the object's outline relative to its
    largest, and the offset of each pixel to its object's centre.

    Parameters
    ----------
    sparse
        Whether only the annotated areas are outlined; every pair must then have one.
    object_name
        What an object is called.
    decoder
        How outputs become objects.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: Literal["instances"] = "instances"
    sparse: bool = False
    object_name: str = "nucleus"
    ndim: Literal[2, 3] = 2
    decoder: Decoder = Field(default_factory=VoteDecoder)

    @property
    def reach_px(self) -> int:
        """Reach of the decoder."""
        return self.decoder.reach_px

    @property
    def heads(self) -> tuple[Head, ...]:
        """Foreground, distance and offset."""
        return (
            Head("foreground", 1, "sigmoid"),
            Head("distance", 1, "sigmoid"),
            Head("offset", self.ndim, "linear", vector=True),
        )

    def check(self, pairs: list[Pair]) -> None:
        """Raise `LabelsError` where no object is outlined, or a sparse pair has no area."""
        for pair in pairs:
            if self.sparse and pair.annotated is None:
                raise LabelsError(
                    f"'{pair.name}' has sparse labels and no annotated area: expected a mask of "
                    "the area in which every object is outlined. Draw one, or say that 0 is "
                    "background."
                )
        if not any(pair.labels.any() for pair in pairs):
            raise LabelsError(
                f"No object is outlined in {len(pairs)} image(s): the labels are 0 everywhere. "
                "Paint each object with a number of its own."
            )

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Turn objects into foreground, distance and offsets.

        Parameters
        ----------
        labels
            Axes YX or ZYX; each id an object.
        inside
            Where labels count. With sparse labels, objects that reach out of it are taken for
            partly outlined: they teach the foreground, not the separation.

        Returns
        -------
        targets
            (2 + ndim, ...) float32: foreground, distance 0 to 1, offset to the centre in units of
            `OFFSET_UNIT_PX` along the axes in their order.
        weight
            (3, ...) float32, for foreground, distance and offset: 0 where nothing is known, more
            than 1 for objects that are small and where objects touch, which is where they get
            lost or merge.
        """
        objects = Objects(labels)
        targets = np.zeros((2 + self.ndim, *labels.shape), np.float32)
        target = targets.reshape(len(targets), -1)
        target[0, objects.pixels] = 1
        target[1, objects.pixels] = objects.relative_distance()
        target[2:, objects.pixels] = objects.offsets_to_centre() / np.float32(OFFSET_UNIT_PX)
        weight = np.empty((3, *labels.shape), np.float32)
        weight[:] = np.where(objects.contact_zone(), np.float32(CONTACT_WEIGHT), 1) * inside
        smallness = np.zeros(labels.shape, np.float32)
        smallness.ravel()[objects.pixels] = objects.smallness()
        weight[0] *= spread(np.maximum(1, np.sqrt(smallness)), np.maximum, 1)
        weight[2] *= smallness
        if self.sparse:
            partly = objects.pixels[objects.partly_outlined(inside)]
            weight.reshape(len(weight), -1)[1:, partly] = 0
        return targets, weight

    def decode(self, outputs: NDArray[np.float32]) -> Labels:
        """Turn outputs (2 + ndim, ...) into ids 1, 2, ... in raster order of their first pixels."""
        scaled = outputs.astype(np.float32)
        scaled[2:] *= OFFSET_UNIT_PX
        return self.decoder.decode(scaled)


AnyTask = Annotated[Semantic | Instances, Field(discriminator="kind")]


def parse_task(values: dict[str, Any]) -> Semantic | Instances:
    """Rebuild a task from what `model_dump` gave."""
    task: Semantic | Instances = TypeAdapter(AnyTask).validate_python(values)
    return task
