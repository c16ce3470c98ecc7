"""Painted labels that change, their newest strokes, and how well strokes were predicted."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError

__all__ = ["Canvas", "Stroke", "StrokeScores"]

Float = NDArray[np.float32]
Labels = NDArray[np.integer[Any]]

_USES = 12
"""Number of patches for which a new stroke is preferred."""
_MOST_NEW = 50


@dataclass(eq=False)
class Stroke:
    """A stroke: the flat indices of its pixels, and the number of patches that still prefer it."""

    pixels: NDArray[np.int64]
    uses: int = _USES


class Canvas:
    """A normalised image and the labels painted on it.

    Parameters
    ----------
    image
        Normalised image, float32, axes CYX.
    labels
        Integer labels, axes YX, 0 for unpainted pixels. All painted pixels count as one new stroke.
    known
        Labels that were learned before, axes YX: pixels with the same label do not count as new.

    Raises
    ------
    LabelsError
        If the shapes differ, or labels are negative.
    """

    def __init__(self, image: Float, labels: Labels, known: Labels | None = None) -> None:
        if image.shape[1:] != labels.shape:
            raise LabelsError(
                f"The labels have the shape {labels.shape}, but the image has {image.shape[1:]}. "
                "Choose labels that belong to the image."
            )
        _check_numbers(labels)
        self.image = image
        self.labels = labels.copy()
        self._latest = labels.copy()
        self.new: deque[Stroke] = deque(maxlen=_MOST_NEW)
        self._by_class: dict[int, NDArray[np.int64]] | None = None
        self._digest = ""
        changed = known is None or known.shape != labels.shape or labels != known
        if (painted := np.flatnonzero((labels != 0) & changed)).size:
            self.new.append(Stroke(painted))

    def edit(self, origin: tuple[int, int], block: Labels) -> NDArray[np.int64]:
        """Replace a block of the labels.

        Parameters
        ----------
        origin
            First pixel of the block, (y, x).
        block
            New labels of the block, axes YX.

        Returns
        -------
        array
            Flat indices of the pixels with a new class. Pixels that were erased and are painted
            with their old class again are not included, because they were already learned.

        Raises
        ------
        LabelsError
            If the block extends beyond the image, or labels are negative.
        """
        _check_numbers(block)
        (top, left), (height, width) = origin, block.shape
        here = (slice(top, top + height), slice(left, left + width))
        if not np.can_cast(block.dtype, self.labels.dtype):  # for larger labels
            self.labels, self._latest = (a.astype(np.int64) for a in (self.labels, self._latest))
        before = self.labels[here]
        if min(origin) < 0 or before.shape != block.shape:
            raise LabelsError(
                f"Labels of the shape {block.shape} at {origin} extend beyond the image, which has "
                f"the shape {self.labels.shape}. Paint only inside the image."
            )
        painted = (block != before) & (block != 0)
        new = painted & (block != self._latest[here])
        before[...] = block
        self._latest[here][painted] = block[painted]
        self._by_class, self._digest = None, ""

        def positions(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
            y, x = np.nonzero(mask)
            return np.ravel_multi_index((y + top, x + left), self.labels.shape)

        if painted.any():
            self.new.append(Stroke(positions(painted)))
        return positions(new)

    @property
    def by_class(self) -> dict[int, NDArray[np.int64]]:
        """Flat indices of the painted pixels, by class."""
        if self._by_class is None:
            painted = np.flatnonzero(self.labels)
            ids = self.labels.ravel()[painted]
            order = np.argsort(ids, kind="stable")  # one sort, regardless of the number of objects
            numbers, first = np.unique(ids[order], return_index=True)
            parts = np.split(painted[order], first[1:]) if numbers.size else []
            self._by_class = dict(zip(numbers.tolist(), parts, strict=True))
        return self._by_class

    def take_new(self, rng: np.random.Generator) -> int | None:
        """Draw a painted pixel from one of the newest strokes; return None if there is none."""
        while self.new:
            stroke = self.new[int(rng.integers(len(self.new)))]
            left = stroke.pixels[self.labels.ravel()[stroke.pixels] > 0]
            stroke.uses -= 1
            if stroke.uses <= 0 or not left.size:
                self.new.remove(stroke)
            if left.size:
                return int(rng.choice(left))
        return None

    def digest(self) -> str:
        """Return a hash of the labels, to compare them with those in the viewer."""
        if not self._digest:
            painted = np.flatnonzero(self.labels)  # only a small part of all pixels
            numbers = self.labels.ravel()[painted].astype(np.int64)
            words = (np.array(self.labels.shape), painted, numbers)
            self._digest = hashlib.sha256(b"".join(map(bytes, words))).hexdigest()
        return self._digest


@dataclass
class StrokeScores:
    """Scores of strokes that were predicted before they were learned.

    Parameters
    ----------
    window
        Number of the latest strokes of each class that count.
    least
        Lowest number of strokes of each class for which there is a score.
    """

    window: int = 10
    least: int = 3
    _shares: dict[int, deque[float]] = field(default_factory=dict)
    _pieces: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, painted: Labels, predicted: Labels, *, continues: bool = False) -> None:
        """Add a stroke.

        Parameters
        ----------
        painted, predicted
            Painted and predicted classes of the pixels of the stroke.
        continues
            Whether the pixels continue the previous stroke: all pieces count as one stroke,
            weighted by their size.
        """
        pieces = self._pieces if continues else {}
        self._pieces = dict(pieces)
        for class_id in map(int, np.unique(painted)):
            here = predicted[painted == class_id]
            right, size = pieces.get(class_id, (0, 0))
            right, size = right + int(np.sum(here == class_id)), size + here.size
            strokes = self._shares.setdefault(class_id, deque(maxlen=self.window))
            if class_id in pieces and strokes:
                strokes.pop()
            strokes.append(right / size)
            self._pieces[class_id] = right, size

    def begin_stroke(self) -> None:
        """Start a new stroke, which does not continue the previous one."""
        self._pieces = {}

    @property
    def counts(self) -> dict[int, int]:
        """Number of strokes that count, by class."""
        return {class_id: len(strokes) for class_id, strokes in self._shares.items()}

    def balanced_accuracy(self, classes: Collection[int]) -> float | None:
        """Return the share of correctly predicted pixels, averaged over strokes, then over classes.

        Parameters
        ----------
        classes
            Classes that are painted now; classes that were painted by mistake and erased are
            ignored.

        Returns
        -------
        float or None
            Mean share from 0 to 1; None if there are too few strokes.
        """
        shares = [strokes for i, strokes in self._shares.items() if i in classes]
        if len(shares) < 2 or min(map(len, shares)) < self.least:
            return None
        return float(np.mean([np.mean(strokes) for strokes in shares]))

    def dump(self) -> dict[str, list[float]]:
        """Return the scores as plain values."""
        return {str(class_id): list(strokes) for class_id, strokes in self._shares.items()}

    def load(self, values: dict[str, list[float]]) -> None:
        """Restore the scores returned by `dump`."""
        self._shares = {int(i): deque(s, maxlen=self.window) for i, s in values.items()}


def _check_numbers(labels: Labels) -> None:
    if labels.dtype.kind == "i" and (least := labels.min(initial=0)) < 0:
        raise LabelsError(
            f"There are negative labels ({least}), but labels must be 0 for unpainted pixels or at "
            "least 1. Paint or fill the negative labels with 0."
        )
