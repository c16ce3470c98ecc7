"""How common classes are in images, as against what is painted of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.core.live.strokes import Canvas
from napari_unet.core.training.sampling import Batch
from napari_unet.core.training.start_model import HEAD

__all__ = ["Prior", "patches_near_strokes", "prior_shift"]

_MOST = 4.0
"""How much less than another a class counts at most: a rare one that is painted is to be found."""

_MEMORY = 0.98
"""Share of what was learned before that still counts after a batch."""

_SETTLED_BATCHES = 100
"""After which it counts in full: at first a network is hardly sure even of what is painted."""

_LEAST_SHARE = 0.2
"""Of an equal share of what was learned: less, as of a class that was erased, says little."""

_LOOKS, _LOOK_PX = 4, 128
_REACH_PX = 256
"""How far off the patches lie at most: large images are painted where their objects are."""

Shares = NDArray[np.float64]


class Prior:
    """What is added to logits because classes are painted more or less than they occur.

    Attributes
    ----------
    painted
        How much of each class was learned, (classes,); None: nothing yet.
    shift
        Of the last `measure`, see `prior_shift`; less while little was learned. None: none yet.
    batches
        How many were learned.
    """

    def __init__(self) -> None:
        self.painted: Shares | None = None
        self.shift: Shares | None = None
        self.batches = 0

    def note(self, batch: Batch, classes: int) -> None:
        """Count what is painted in a batch of so many classes."""
        painted = batch.targets[batch.weight > 0].astype(np.intp)
        counts = np.bincount(painted, minlength=classes).astype(np.float64)
        self.painted = counts + (0 if self.painted is None else _MEMORY * self.painted)
        self.batches += 1

    def measure(self, outputs: Iterable[NDArray[np.float32]]) -> None:
        """Compare it with how common the classes are in images.

        Parameters
        ----------
        outputs
            Probabilities that the network gives without the shift, axes (classes, Y, X) each.
        """
        expected = [maps.mean((1, 2)) for maps in outputs]
        if expected and self.painted is not None:
            settled = min(1, self.batches / _SETTLED_BATCHES)
            self.shift = settled * prior_shift(np.mean(expected, 0), self.painted)

    def applied(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the shift to the bias of the last layer; two classes have one output."""
        if self.shift is None:
            return dict(weights)
        bias = weights[f"{HEAD}.bias"]
        added = self.shift if len(bias) == len(self.shift) else self.shift[1:] - self.shift[:1]
        return {**weights, f"{HEAD}.bias": bias + bias.new_tensor(added)}

    def dump(self) -> dict[str, Any]:
        """Give it in plain values."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}

    def load(self, values: Mapping[str, Any]) -> None:
        """Go back to what `dump` gave."""
        for name, value in values.items():
            setattr(self, name, np.array(value) if isinstance(value, list) else value)


def prior_shift(expected: Shares, painted: Shares) -> Shares:
    """Find what to add to the logits of classes that are painted more or less than they occur.

    Strokes show every class about as much, and a network that has learned from them calls too
    much what is rare, above all along the rims, which nobody paints.

    Parameters
    ----------
    expected
        Share of each class in images, (classes,).
    painted
        How much of each was learned, (classes,), in any unit.

    Returns
    -------
    array
        Summand for each logit, (classes,): 0 for the class that gains most, and not less than minus
        the logarithm of 4, which it is of classes that were not learned; 0 where none was.

    Notes
    -----
    Source: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a
    priori probabilities", Neural Computation 14(1), 2002; one step of it.
    """
    learned = painted > 0
    if not learned.any():
        return np.zeros(len(painted))
    shares = np.maximum(painted / painted.sum(), _LEAST_SHARE / len(painted))
    gain = np.where(learned, np.log(np.maximum(expected, 1e-6) / shares), -np.inf)
    shift: Shares = np.maximum(gain - gain.max(), -np.log(_MOST))
    return shift


def patches_near_strokes(canvases: Iterable[Canvas], seed: int) -> Iterator[NDArray[np.float32]]:
    """Cut a few patches, axes CYX, out of images, not far from what is painted on them.

    They are the same ones for as long as the same is painted.

    Parameters
    ----------
    canvases
        The images; those without strokes are left out.
    seed
        Of where the patches lie.
    """
    rng = np.random.default_rng(seed)
    painted = [canvas for canvas in canvases if canvas.by_class]
    order = rng.permutation(len(painted))
    for look in range(_LOOKS if painted else 0):
        canvas = painted[order[look % len(order)]]
        number = rng.choice(list(canvas.by_class))
        near = np.unravel_index(rng.choice(canvas.by_class[number]), canvas.labels.shape)
        around = np.array(near) - _LOOK_PX // 2
        last = np.maximum(0, np.array(canvas.labels.shape) - _LOOK_PX)
        first, end = (np.clip(around + reach, 0, last) for reach in (-_REACH_PX, _REACH_PX))
        y, x = (slice(n, n + _LOOK_PX) for n in rng.integers(first, end + 1))
        yield np.ascontiguousarray(canvas.image[:, y, x])
