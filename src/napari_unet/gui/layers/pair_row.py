"""One row of the table of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["PairRow"]


@dataclass(frozen=True, eq=False)
class PairRow:
    """One pair of the table; it refers to layers, not names, so that layers can be renamed.

    Parameters
    ----------
    images
        Image layers; several are the channels of one image.
    labels
        Labels layer; None: not chosen yet.
    area
        Shapes layer with the annotated area; None: the whole image.
    """

    images: tuple[Any, ...] = ()
    labels: Any = None
    area: Any = None

    def same(self, other: PairRow) -> bool:
        """Return whether another row refers to the same layers."""
        ours = (*self.images, None, self.labels, self.area)
        theirs = (*other.images, None, other.labels, other.area)
        return len(ours) == len(theirs) and all(a is b for a, b in zip(ours, theirs, strict=True))
