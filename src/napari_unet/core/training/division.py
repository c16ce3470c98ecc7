"""Division of the data into independent planes for training and for validation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from napari_unet.core.datasets.splits import Split, split_block, split_by_group
from napari_unet.core.images.fingerprint import image_hash, plane_hashes
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair, Plane
from napari_unet.core.models.model import TrainedOn
from napari_unet.core.models.unet_config import UNetConfig

__all__ = ["Division", "divide"]

Role = Literal["training", "validation", "both"]


@dataclass(frozen=True)
class Division:
    """Planes to train on and planes to validate on.

    Parameters
    ----------
    train, validation
        Raw planes. If an image is used for both, the annotated areas are disjoint.
    kind
        ``"groups"``, ``"block"`` (a spatial block of each image) or ``"none"``.
    counts
        Numbers of images, groups and objects for both uses, and of groups used for both.
    trained_on
        Images and their uses, as stored in the model file.
    """

    train: list[Plane]
    validation: list[Plane]
    kind: Literal["groups", "block", "none"]
    counts: dict[str, int]
    trained_on: tuple[TrainedOn, ...]

    def describe(self) -> str:
        """Describe the images of training and validation in words."""
        c = self.counts
        text = f"training on {c['train_images']} image(s), {c['train_objects']} labelled objects"
        if self.kind == "none":
            return text + "; no validation images, so no best model is saved"
        how = "a block of the same image, separated by a gap"
        if self.kind == "groups":
            how = f"{c['validation_images']} image(s) of {c['validation_groups']} group(s)"
            how += f", {c['shared_groups'] or 'none'} of them also used for training"
        return f"{text}; validating on {how}, {c['validation_objects']} objects"


def divide(
    pairs: list[Pair],
    unet: UNetConfig,
    fraction: float,
    seed: int,
    split: Split | None = None,
    *,
    fingerprints: bool = True,
) -> Division:
    """Divide the data into planes for training and for validation.

    If there are several groups, whole groups are used for validation. Otherwise a block at one end
    of all planes is used, separated by a gap as wide as the network's receptive radius, so that no
    training pixel is in the receptive field of a validation pixel. If this is not possible, or
    nothing is labelled in the validation planes, there is no validation.

    Parameters
    ----------
    pairs
        All images with labels.
    unet
        Architecture, for the number of dimensions and the receptive field.
    fraction
        Fraction of the images to use for validation; 0: none.
    seed
        Seed of the choice of groups.
    split
        Indices into `pairs` to use instead; an empty validation list means no validation.
    fingerprints
        Whether to read every image and store its hash. If False, `Division.trained_on` is empty
        and only labels are read.
    """
    if split is None and fraction:
        groups = [p.group or p.name for p in pairs]
        # Planes, not images: a stack without annotations is of no use for training or validation.
        sizes = [len(p.planes(unet.ndim)) for p in pairs]
        chosen = split_by_group(groups, fraction, seed, sizes)
        split = chosen if chosen.validation else None
    if split is not None:
        roles: dict[int, Role] = dict.fromkeys(split.train, "training")
        roles |= dict.fromkeys(split.validation, "validation")
        train = [p for i in split.train for p in pairs[i].planes(unet.ndim)]
        validation = [p for i in split.validation for p in pairs[i].planes(unet.ndim)]
        if not any(p.labelled for p in validation):
            validation = []
        seen = _trained_on(pairs, roles) if fingerprints else ()
        return _division(train, validation, "groups" if validation else "none", seen)
    train = [p for pair in pairs for p in pair.planes(unet.ndim)]
    everything = range(len(pairs))
    blocks = _blocks(train, unet, fraction) if fraction else None
    roles = dict.fromkeys(everything, "training" if blocks is None else "both")
    seen = _trained_on(pairs, roles) if fingerprints else ()
    if blocks is None:
        return _division(train, [], "none", seen)
    return _division(*blocks, "block", seen)


def _blocks(
    planes: list[Plane], unet: UNetConfig, fraction: float
) -> tuple[list[Plane], list[Plane]] | None:
    """Return the planes twice, with disjoint annotated areas; None if one part would be empty.

    Planes of the same size are divided at the same place, because those of a stack show the same
    objects. A plane with labels in only one part is used only there.
    """
    sides: tuple[list[Plane], list[Plane]] = ([], [])
    alike: dict[tuple[int, ...], list[Plane]] = {}
    for plane in planes:
        alike.setdefault(plane.labels.shape[-2:], []).append(plane)
    for (height, width), some in alike.items():
        painted = np.zeros((height, width), bool)
        for plane in some:
            painted |= (plane.labels > 0).any(axis=tuple(range(plane.labels.ndim - 2)))
        masks = split_block((height, width), painted, fraction, unet.receptive_radius_px)
        if masks is None:
            return None
        for plane in some:
            area = np.ones(plane.labels.shape, bool) if plane.annotated is None else plane.annotated
            for side, mask in zip(sides, masks, strict=True):
                part = replace(plane, annotated=area & mask)
                side += [part] if part.labelled else []
    return sides if all(sides) else None


def _division(
    train: list[Plane],
    validation: list[Plane],
    kind: Literal["groups", "block", "none"],
    trained_on: tuple[TrainedOn, ...],
) -> Division:
    counts = {}
    for side, planes in (("train", train), ("validation", validation)):
        counts[f"{side}_images"] = len(planes)
        counts[f"{side}_groups"] = len({p.group for p in planes})
        counts[f"{side}_objects"] = sum(_objects(p) for p in planes)
    counts["shared_groups"] = len({p.group for p in train} & {p.group for p in validation})
    return Division(train, validation, kind, counts, trained_on)


def _trained_on(pairs: list[Pair], roles: dict[int, Role]) -> tuple[TrainedOn, ...]:
    return tuple(
        TrainedOn(
            name=pairs[i].name,
            group=pairs[i].group or pairs[i].name,
            role=role,
            sha256=image_hash(pairs[i].image.data),
            planes=_planes_seen(pairs[i].image),
        )
        for i, role in sorted(roles.items())
    )


def _planes_seen(image: Image) -> tuple[str, ...]:
    """Hash each plane of a stack, so that a single plane can be recognised as well."""
    return plane_hashes(image) if len(image.shape) > 2 else ()


def _objects(plane: Plane) -> int:
    labels = plane.labels if plane.annotated is None else plane.labels[plane.annotated]
    return int((np.unique(labels) > 0).sum())
