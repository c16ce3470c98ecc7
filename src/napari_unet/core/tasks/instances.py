"""Instance segmentation: every object has its own id."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.pair import Pair
from napari_unet.core.settings import parse_settings
from napari_unet.core.tasks.adjustments import Adjustment, adjustments_of, merge_adjustments
from napari_unet.core.tasks.base import Head, Labels, Loss, Maps, Targets, Task
from napari_unet.core.tasks.decoders import Decoder, VoteDecoder, WatershedDecoder
from napari_unet.core.tasks.description import OutputChannel, Words
from napari_unet.core.tasks.self_agreement import agreement_parts
from napari_unet.core.tasks.targets import Objects, local_extreme

__all__ = ["Instances"]


OFFSET_UNIT_PX = 10.0
"""Unit of predicted offsets in pixels, chosen so that they are of the order of 1."""


CONTACT_WEIGHT = 4.0
"""Weight in training of a pixel between two objects, relative to other pixels."""


class Instances(Task):
    """Task in which every object has its own id, for example nuclei.

    The network predicts the foreground, the relative distance (the distance to the outline of the
    object, divided by the largest distance in it), and the offset of each pixel to the centre of
    its object.

    Parameters
    ----------
    sparse
        Whether objects are outlined only in annotated areas; every pair must then have one.
    object_name
        Name of an object.
    decoder
        Decoder of the outputs.

    Examples
    --------
    >>> from napari_unet import Instances
    >>> task = Instances(object_name="cell")
    >>> [head.name for head in task.heads]
    ['foreground', 'distance', 'offset']
    """

    kind: Literal["instances"] = "instances"
    object_name: str = "nucleus"
    ndim: Literal[2, 3] = 2
    decoder: Decoder = Field(default_factory=VoteDecoder)

    @property
    def reach_px(self) -> int:
        """Reach of the decoder."""
        return self.decoder.reach_px

    @property
    def heads(self) -> tuple[Head, ...]:
        """Heads of foreground, distance and offset."""
        return (
            Head("foreground", 1, "sigmoid"),
            Head("distance", 1, "sigmoid"),
            Head("offset", self.ndim, "linear", vector=True),
        )

    def check(self, pairs: list[Pair]) -> None:
        """Raise `LabelsError` if no object is outlined, or a sparse pair has no annotated area."""
        for pair in pairs:
            if self.sparse and pair.annotated is None:
                raise LabelsError(
                    f"'{pair.name}' has sparse labels but no annotated area: expected a mask of "
                    "the area in which every object is outlined. Draw one, or use 0 as background."
                )
        if not any(pair.labels.any() for pair in pairs):
            raise LabelsError(
                f"No object is outlined in {len(pairs)} image(s): the labels are 0 everywhere. "
                "Paint each object with its own number."
            )

    def encode(self, labels: Labels, inside: NDArray[np.bool_]) -> Targets:
        """Convert objects to foreground, distance and offsets.

        Parameters
        ----------
        labels
            Axes YX or ZYX; each id is an object.
        inside
            Mask of the annotated area. With sparse labels, objects that extend beyond it count as
            partly outlined: they are targets of the foreground, but not of distance and offset.

        Returns
        -------
        targets
            (2 + ndim, ...) float32: foreground, relative distance from 0 to 1, and offset to the
            centre in units of `OFFSET_UNIT_PX` along each axis in order.
        weight
            (3, ...) float32, for foreground, distance and offset: 0 if unknown, above 1 in small
            objects and where objects touch, because these are easily missed or merged.
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
        weight[0] *= local_extreme(np.maximum(1, np.sqrt(smallness)), np.maximum, 1)
        weight[2] *= smallness
        if self.sparse:
            partly = objects.pixels[objects.partly_outlined(inside)]
            weight.reshape(len(weight), -1)[1:, partly] = 0
        return targets, weight

    def decode(self, outputs: NDArray[np.float32]) -> Labels:
        """Convert outputs (2 + ndim, ...) to ids 1, 2, ... in raster order of first pixels."""
        scaled = outputs.astype(np.float32)
        scaled[2:] *= OFFSET_UNIT_PX
        return self.decoder.decode(scaled)

    def loss(self) -> Loss:
        """Return the sum of the losses of foreground, distance and offset."""
        from napari_unet.core.tasks.losses import instance_loss

        return instance_loss

    def decoding_like(self, start: Task) -> Self:
        """Return this task with the decoder of the start model's task."""
        if not isinstance(start, Instances):
            return self
        return self.model_copy(update={"decoder": start.decoder})

    @property
    def foreground_threshold(self) -> float:
        """Threshold of the decoder."""
        return self.decoder.threshold

    @property
    def judges_objects(self) -> bool:
        """True: offsets and distances show whether an object is recognised."""
        return True

    def object_quality(self, labels: Labels, outputs: Maps) -> NDArray[np.float64]:
        """Compute how well objects agree with foreground, distance and offsets; see `Task`."""
        maps = np.concatenate([outputs[:2], outputs[2:] * OFFSET_UNIT_PX])
        # The geometric mean: an object that fails in one respect is not recognised.
        quality: NDArray[np.float64] = agreement_parts(labels, maps).prod(axis=1) ** (1 / 3)
        return quality

    def keeping_all_objects(self) -> Self:
        """Return the same task with a decoder that keeps objects of any agreement."""
        decoder = self.decoder.model_copy(update={"min_agreement": 0.0})
        return self.model_copy(update={"decoder": decoder})

    @property
    def output_channels(self) -> tuple[OutputChannel, ...]:
        """Channels of foreground, distance and the offset along each axis."""
        offset = f"offset to the object's centre, in units of {OFFSET_UNIT_PX:g} pixels"
        return (
            OutputChannel("foreground", "probability that the pixel belongs to an object"),
            OutputChannel(
                "distance",
                "distance to the object's outline relative to the largest one in it, 0 to 1",
            ),
            *(OutputChannel(f"offset {axis}", offset) for axis in "zyx"[3 - self.ndim :]),
        )

    @property
    def words(self) -> Words:
        """Phrases that describe the task."""
        name = self.object_name
        nuclei = name == "nucleus"
        return Words(
            labels=f"objects ({name})",
            results="nuclei" if nuclei else f"{name}s",
            does=f"segments objects ({name})",
            done=f"Objects ({name}) were segmented",
            decoding="The objects are decoded from these maps by votes for their centres",
            object_name=name,
            tags=("instance-segmentation", *(["nuclei"] if nuclei else [])),
        )

    def describe_decoding(self, *, resized: bool = False) -> str:
        """Describe in a sentence how pixels were grouped into objects."""
        after = " after resizing" if resized else ""
        return (
            f"Pixels with a foreground probability above {self.decoder.threshold:g} were grouped "
            f"{self.decoder.describe()}; objects below {self.decoder.min_area_px} pixels{after} "
            "were dropped."
        )

    @classmethod
    def possible_adjustments(cls) -> tuple[Adjustment, ...]:
        """List the adjustments of all decoders, with default values."""
        return merge_adjustments([VoteDecoder, WatershedDecoder])

    @property
    def adjustments(self) -> tuple[Adjustment, ...]:
        """Adjustments of the decoder."""
        return adjustments_of(self.decoder)

    def _with_adjustments(self, values: dict[str, float]) -> Self:
        decoder = parse_settings(type(self.decoder), self.decoder.model_dump() | values)
        return self.model_copy(update={"decoder": decoder})
