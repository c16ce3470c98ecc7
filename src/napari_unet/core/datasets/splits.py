"""Splits into training and validation that never share a group or a border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import SettingsError

__all__ = ["Split", "split_block", "split_by_group", "split_random_state"]

_SMALLEST_STRIP_PX = 16


@dataclass(frozen=True)
class Split:
    """Indices of the pairs for training and for validation.

    Parameters
    ----------
    train, validation
        Indices in ascending order; `validation` is empty if nothing could be held back.
    kind
        Name of the method: ``"group"``, ``"random_state"``, ``"none"`` or one chosen by the caller.

    Examples
    --------
    >>> from napari_unet import Split
    >>> split = Split(train=(0, 1), validation=(2,), kind="mine")
    >>> split.describe(groups=["a", "a", "b"], objects=[10, 12, 9])
    'training: 2 images, 1 groups, 22 objects; validation: 1 images, 1 groups, 9 objects'
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    kind: str

    def describe(self, groups: Sequence[str], objects: Sequence[int]) -> str:
        """Describe the number of images, groups and objects of each side, and of groups on both.

        Parameters
        ----------
        groups
            Group of each pair.
        objects
            Number of objects of each pair.
        """
        sides = []
        for name, side in (("training", self.train), ("validation", self.validation)):
            count = sum(objects[i] for i in side)
            n_groups = len({groups[i] for i in side})
            sides.append(f"{name}: {len(side)} images, {n_groups} groups, {count} objects")
        if not self.validation:
            return f"{sides[0]}; nothing is held back for validation"
        shared = {groups[i] for i in self.train} & {groups[i] for i in self.validation}
        warning = f"; {len(shared)} groups are on both sides" if shared else ""
        return "; ".join(sides) + warning


def split_by_group(
    groups: Sequence[str],
    fraction: float = 0.15,
    seed: int = 0,
    sizes: Sequence[int] | None = None,
) -> Split:
    """Split off whole groups that together come closest to a fraction of the data.

    Parameters
    ----------
    groups
        Group of each image: images of one group stay on one side.
    fraction
        Share to hold back, between 0 and 1.
    seed
        Seed of the order in which groups are tried; the same seed yields the same split.
    sizes
        Weight of each image, for example its number of planes or objects. None: 1 each.

    Returns
    -------
    Split
        Both sides have at least one image (with `sizes`: at least a size of 1); with a single
        group there is no validation.

    Raises
    ------
    SettingsError
        If the fraction is not between 0 and 1.
    """
    _check_fraction(fraction)
    everything = tuple(range(len(groups)))
    weights = [1] * len(groups) if sizes is None else [int(s) for s in sizes]
    totals: dict[str, int] = {}
    for group, weight in zip(groups, weights, strict=True):
        totals[group] = totals.get(group, 0) + weight
    names = sorted(totals)
    names = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    held_back = _closest_subset([totals[n] for n in names], fraction)
    chosen = {names[i] for i in held_back}
    if not chosen:
        return Split(everything, (), "none")
    return Split(
        train=tuple(i for i in everything if groups[i] not in chosen),
        validation=tuple(i for i in everything if groups[i] in chosen),
        kind="group",
    )


def split_random_state(n: int, fraction: float = 0.15, seed: int = 42) -> Split:
    """Split as in StarDist's examples, for comparable scores; groups are ignored.

    Parameters
    ----------
    n
        Number of pairs, in the order of their sorted file names.
    fraction
        Share to hold back.
    seed
        Seed of numpy's legacy generator, which these examples use.

    Returns
    -------
    Split
        Validation is the last ``max(1, round(fraction * n))`` of the permutation.

    Raises
    ------
    SettingsError
        If the fraction is not between 0 and 1.
    """
    _check_fraction(fraction)
    if n < 2:
        return Split(tuple(range(n)), (), "none")
    order = np.random.RandomState(seed).permutation(n)
    held_back = min(max(1, round(fraction * n)), n - 1)
    return Split(
        train=tuple(sorted(int(i) for i in order[:-held_back])),
        validation=tuple(sorted(int(i) for i in order[-held_back:])),
        kind="random_state",
    )


def split_block(
    shape_yx: tuple[int, int],
    labels: NDArray[np.integer] | NDArray[np.bool_],
    fraction: float = 0.2,
    gap_px: int = 0,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Split off one end of a single plane, with a gap that belongs to neither side.

    Parameters
    ----------
    shape_yx
        Height and width of the plane.
    labels
        Integers or bool, axes YX or with leading axes (a pixel counts as labelled if it is in any
        plane).
    fraction
        Share of the longer side to hold back.
    gap_px
        Width of the gap, which should be the network's halo.

    Returns
    -------
    train, validation
        Masks with axes YX. Validation is the end of the longer side with more labelled pixels,
        provided that labels are left to train on. None: the plane is too small, or one side would
        have no labels.

    Raises
    ------
    SettingsError
        If the fraction is not between 0 and 1.
    """
    _check_fraction(fraction)
    painted = (np.asarray(labels) > 0).any(axis=tuple(range(np.ndim(labels) - 2)))
    along = 0 if shape_yx[0] >= shape_yx[1] else 1
    length = shape_yx[along]
    strip = round(fraction * length)
    rest = length - strip - gap_px
    if strip < _SMALLEST_STRIP_PX or rest < max(strip, _SMALLEST_STRIP_PX):
        return None
    counts = painted.sum(axis=1 - along)
    ends = (
        (slice(0, strip), slice(length - rest, length)),
        (slice(length - strip, length), slice(0, rest)),
    )
    usable = [(v, t) for v, t in ends if counts[v].any() and counts[t].any()]
    if not usable:
        return None
    validation, train = max(usable, key=lambda end: int(counts[end[0]].sum()))
    return _strip_mask(shape_yx, along, train), _strip_mask(shape_yx, along, validation)


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise SettingsError(
            f"The fraction to hold back for validation is {fraction}: expected a number between 0 "
            "and 1, for example 0.15."
        )


def _closest_subset(sizes: Sequence[int], fraction: float) -> list[int]:
    """Choose items whose sum is closest to a fraction of the total, with something on both sides.

    The possible sums of the first k items are the bits of one integer, so thousands of groups take
    milliseconds. Among equal sums the first items are preferred, which are random because the items
    are shuffled.
    """
    total = sum(sizes)
    reachable = [1]
    for size in sizes:
        reachable.append(reachable[-1] | reachable[-1] << size)
    sums = [s for s in range(1, total) if reachable[-1] >> s & 1]
    if not sums:
        return []
    target = min(sums, key=lambda s: abs(s - fraction * total))
    chosen = []
    for k in range(len(sizes) - 1, -1, -1):
        if not reachable[k] >> target & 1:
            chosen.append(k)
            target -= sizes[k]
    return chosen


def _strip_mask(shape: tuple[int, int], along: int, part: slice) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[(part, slice(None)) if along == 0 else (slice(None), part)] = True
    return mask
