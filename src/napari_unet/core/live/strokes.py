"""What is painted: labels that change, the newest strokes, and how well they were foreseen."""

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
"""How often a new stroke is drawn ahead of the others."""
_MOST_NEW = 50


@dataclass(eq=False)
class Stroke:
    """Pixels that were painted at once, as flat indices, and how often they are still preferred."""

    pixels: NDArray[np.int64]
    uses: int = _USES


class Canvas:
    """A normalised image and labels that are painted on it, 0 where nothing is painted.

    Parameters
    ----------
    image
        float32, axes CYX.
    labels
        Integers, axes YX. What is painted already counts as one stroke.
    known
        Labels that were learned from before, axes YX: where they are the same nothing is new.

    Raises
    ------
    LabelsError
        When the shapes differ, or labels are negative.
    """

    def __init__(self, image: Float, labels: Labels, known: Labels | None = None) -> None:
        if image.shape[1:] != labels.shape:
            raise LabelsError(
                f"The labels have the shape {labels.shape}, the image {image.shape[1:]}: expected "
                "the same. Choose labels that belong to the image."
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
            Where the block begins, (y, x).
        block
            The labels there from now on.

        Returns
        -------
        array
            Flat indices of the pixels that got a class, or another one than they had at last:
            what is erased and comes back was learned from before.

        Raises
        ------
        LabelsError
            When the block reaches out of the image, or labels are negative.
        """
        _check_numbers(block)
        (top, left), (height, width) = origin, block.shape
        here = (slice(top, top + height), slice(left, left + width))
        if not np.can_cast(block.dtype, self.labels.dtype):  # larger numbers than so far
            self.labels, self._latest = (a.astype(np.int64) for a in (self.labels, self._latest))
        before = self.labels[here]
        if min(origin) < 0 or before.shape != block.shape:
            raise LabelsError(
                f"Labels of the shape {block.shape} at {origin} reach out of an image of the shape "
                f"{self.labels.shape}: expected a part of it."
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
        """Flat indices of the painted pixels of each class that is painted."""
        if self._by_class is None:
            painted = np.flatnonzero(self.labels)
            ids = self.labels.ravel()[painted]
            order = np.argsort(ids, kind="stable")  # once, however many objects there are
            numbers, first = np.unique(ids[order], return_index=True)
            parts = np.split(painted[order], first[1:]) if numbers.size else []
            self._by_class = dict(zip(numbers.tolist(), parts, strict=True))
        return self._by_class

    def take_new(self, rng: np.random.Generator) -> int | None:
        """Draw a pixel of one of the newest strokes that is still painted; None: there is none."""
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
        """Hash of the labels, for comparison with where they are painted."""
        if not self._digest:
            painted = np.flatnonzero(self.labels)  # far fewer than there are pixels
            numbers = self.labels.ravel()[painted].astype(np.int64)
            words = (np.array(self.labels.shape), painted, numbers)
            self._digest = hashlib.sha256(b"".join(map(bytes, words))).hexdigest()
        return self._digest


@dataclass
class StrokeScores:
    """How well strokes were foreseen, each before it was trained on.

    Parameters
    ----------
    window
        How many of the latest strokes of each class count.
    least
        Strokes of each class below which there is no score.
    """

    window: int = 10
    least: int = 3
    _shares: dict[int, deque[float]] = field(default_factory=dict)
    _pieces: dict[int, tuple[int, int]] = field(default_factory=dict)

    def add(self, painted: Labels, foreseen: Labels, *, continues: bool = False) -> None:
        """Note a stroke.

        Parameters
        ----------
        painted, foreseen
            The classes that were painted, and those that were predicted there.
        continues
            Whether it is the next piece of the stroke before: both are one stroke, of which the
            later piece counts by its size.
        """
        pieces = self._pieces if continues else {}
        self._pieces = dict(pieces)
        for class_id in map(int, np.unique(painted)):
            here = foreseen[painted == class_id]
            right, size = pieces.get(class_id, (0, 0))
            right, size = right + int(np.sum(here == class_id)), size + here.size
            strokes = self._shares.setdefault(class_id, deque(maxlen=self.window))
            if class_id in pieces and strokes:
                strokes.pop()
            strokes.append(right / size)
            self._pieces[class_id] = right, size

    def begin_stroke(self) -> None:
        """Note that what comes next is not a piece of the stroke before."""
        self._pieces = {}

    @property
    def counts(self) -> dict[int, int]:
        """Strokes that count, by class."""
        return {class_id: len(strokes) for class_id, strokes in self._shares.items()}

    def balanced_accuracy(self, classes: Collection[int]) -> float | None:
        """Give the mean over classes of the mean share foreseen.

        Parameters
        ----------
        classes
            Those that are painted now: what was painted by mistake and erased is not waited for.

        Returns
        -------
        float or None
            None: too few strokes to judge.
        """
        shares = [strokes for i, strokes in self._shares.items() if i in classes]
        if len(shares) < 2 or min(map(len, shares)) < self.least:
            return None
        return float(np.mean([np.mean(strokes) for strokes in shares]))

    def dump(self) -> dict[str, list[float]]:
        """Give plain values that can be saved."""
        return {str(class_id): list(strokes) for class_id, strokes in self._shares.items()}

    def load(self, values: dict[str, list[float]]) -> None:
        """Take back what `dump` gave."""
        self._shares = {int(i): deque(s, maxlen=self.window) for i, s in values.items()}


def _check_numbers(labels: Labels) -> None:
    if labels.dtype.kind == "i" and (least := labels.min(initial=0)) < 0:
        raise LabelsError(
            f"There are negative labels ({least}): expected 0 where nothing is painted, and "
            "numbers from 1 on. Paint or fill them with 0."
        )
