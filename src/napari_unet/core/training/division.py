"""Divide data honestly: what is trained on and what is kept for validation."""

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
        Raw planes. Where one image serves both, the annotated areas are disjoint.
    kind
        ``"groups"``, ``"block"`` (a spatial block of each image) or ``"none"``.
    counts
        Images, groups and objects of both sides, and how many groups are on both.
    trained_on
        What the model file keeps of it.
    """

    train: list[Plane]
    validation: list[Plane]
    kind: Literal["groups", "block", "none"]
    counts: dict[str, int]
    trained_on: tuple[TrainedOn, ...]

    def describe(self) -> str:
        """Describe in words what is trained and validated on."""
        c = self.counts
        text = f"training on {c['train_images']} image(s), {c['train_objects']} labelled objects"
        if self.kind == "none":
            return text + "; nothing left to validate on, so no checkpoint is called best"
        how = "a block of the same image, separated by a gap"
        if self.kind == "groups":
            how = f"{c['validation_images']} image(s) of {c['validation_groups']} group(s)"
            how += f", {c['shared_groups'] or 'none'} of them also trained on"
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
    """Decide what to validate on.

    Whole groups where there are several; else a block at one end of all planes, separated from
    the rest by a gap as wide as the network's receptive radius, so that no pixel that is trained on
    lies in the view of one that is validated; else nothing. A validation side on which nothing is
    labelled counts as none.

    Parameters
    ----------
    pairs
        All data.
    unet
        For the number of dimensions and the receptive field.
    fraction
        Share of the images to keep; 0 keeps none.
    seed
        Of the choice of groups.
    split
        Indices into `pairs`, instead of choosing; an empty validation side means none.
    fingerprints
        Whether to read every image and keep its hash; without, `Division.trained_on` is empty
        and only labels are looked at.
    """
    if split is None and fraction:
        groups = [p.group or p.name for p in pairs]
        # Planes, not images: a stack in which nothing is annotated can neither train nor validate.
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
    """The same planes twice, with disjoint annotated areas; None where a side would be empty.

    Planes of one size are cut at the same place: those of a stack show the same objects. One that
    has labels on one side alone is only there.
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
    """Hash each plane of a stack, so that a single plane is recognised too."""
    return plane_hashes(image) if len(image.shape) > 2 else ()


def _objects(plane: Plane) -> int:
    labels = plane.labels if plane.annotated is None else plane.labels[plane.annotated]
    return int((np.unique(labels) > 0).sum())
