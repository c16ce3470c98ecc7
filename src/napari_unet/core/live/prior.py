"""Correction for classes that are painted more or less often than they occur in the images."""

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
"""Largest factor by which a class is reduced, so that rare classes are still found."""

_MEMORY = 0.98
"""Weight of the earlier counts after each batch."""

_SETTLED_BATCHES = 100
"""Batches until the correction applies in full: a new network is uncertain of everything."""

_LEAST_SHARE = 0.2
"""Lowest share of a class, relative to equal shares: less, as of an erased class, is unreliable."""

_LOOKS, _LOOK_PX = 4, 128
_REACH_PX = 256
"""Largest distance of patches from strokes: in large images, people paint where the objects are."""

Shares = NDArray[np.float64]


class Prior:
    """A correction of the logits for classes painted more or less often than they occur.

    Attributes
    ----------
    painted
        Count of learned pixels of each class, (classes,); None: nothing was learned yet.
    shift
        Result of the last `measure`, see `prior_shift`; it is reduced during the first batches.
        None: not measured yet.
    batches
        Number of learned batches.
    """

    def __init__(self) -> None:
        self.painted: Shares | None = None
        self.shift: Shares | None = None
        self.batches = 0

    def note(self, batch: Batch, classes: int) -> None:
        """Count the painted pixels of each class in a batch."""
        painted = batch.targets[batch.weight > 0].astype(np.intp)
        counts = np.bincount(painted, minlength=classes).astype(np.float64)
        self.painted = counts + (0 if self.painted is None else _MEMORY * self.painted)
        self.batches += 1

    def measure(self, outputs: Iterable[NDArray[np.float32]]) -> None:
        """Compute the shift from the frequency of the classes in images.

        Parameters
        ----------
        outputs
            Probabilities predicted without the shift, axes (classes, Y, X) each.
        """
        expected = [maps.mean((1, 2)) for maps in outputs]
        if expected and self.painted is not None:
            settled = min(1, self.batches / _SETTLED_BATCHES)
            self.shift = settled * prior_shift(np.mean(expected, 0), self.painted)

    def correct(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights with the shift added to the bias of the last layer."""
        if self.shift is None:
            return dict(weights)
        bias = weights[f"{HEAD}.bias"]  # two classes share one output
        added = self.shift if len(bias) == len(self.shift) else self.shift[1:] - self.shift[:1]
        return {**weights, f"{HEAD}.bias": bias + bias.new_tensor(added)}

    def dump(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}

    def load(self, values: Mapping[str, Any]) -> None:
        """Restore the state returned by `dump`."""
        for name, value in values.items():
            setattr(self, name, np.array(value) if isinstance(value, list) else value)


def prior_shift(expected: Shares, painted: Shares) -> Shares:
    """Compute the shift of the logits for classes painted more or less often than they occur.

    Strokes show all classes about equally often. A network that learned from them predicts rare
    classes too often, most of all along the rims of objects, which are rarely painted.

    Parameters
    ----------
    expected
        Share of each class in images, (classes,).
    painted
        Count of learned pixels of each class, (classes,), in any unit.

    Returns
    -------
    array
        Shift of each logit, (classes,), from -log(4) to 0. It is 0 for the class with the largest
        gain, -log(4) for classes that were not learned, and 0 for all if no class was learned.

    Notes
    -----
    One step of the method of Saerens, Latinne and Decaestecker, "Adjusting the outputs of a
    classifier to new a priori probabilities", Neural Computation 14(1), 2002.
    """
    learned = painted > 0
    if not learned.any():
        return np.zeros(len(painted))
    shares = np.maximum(painted / painted.sum(), _LEAST_SHARE / len(painted))
    gain = np.where(learned, np.log(np.maximum(expected, 1e-6) / shares), -np.inf)
    shift: Shares = np.maximum(gain - gain.max(), -np.log(_MOST))
    return shift


def patches_near_strokes(canvases: Iterable[Canvas], seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield a few patches of images, axes CYX, not far from the painted pixels.

    The patches stay the same as long as the labels do not change.

    Parameters
    ----------
    canvases
        Images with their labels; images without labels are skipped.
    seed
        Seed for the positions of the patches.
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
