"""Detection of layers that are our results, and of those that the user has edited."""

from __future__ import annotations

import threading
import weakref
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.gui.layers.proxies import unwrapped

if TYPE_CHECKING:
    from napari.layers import Labels, Layer

__all__ = ["is_ours", "reseal", "seal", "was_edited"]

_QUICK_BYTES = 1 << 20
"""Up to this size a checksum is fast enough for the main thread."""


class _Seal:
    """State of our result when it was last written, and whether it was painted on since."""

    def __init__(self, layer: Labels) -> None:
        self.painted = False
        self.sign(layer)
        layer.events.paint.connect(self._on_paint)

    def sign(self, layer: Labels) -> None:
        self.data = layer.data
        self._signed: Callable[[], int] = _in_background(_checksum, self.data)

    def _on_paint(self) -> None:
        self.painted = True

    def touched(self, layer: Labels) -> bool:
        return self.painted or layer.data is not self.data

    def broken(self, layer: Labels) -> bool:
        return self.touched(layer) or self._signed() != _checksum(layer.data)


_SEALS: weakref.WeakKeyDictionary[Layer, _Seal] = weakref.WeakKeyDictionary()


def seal(layer: Labels) -> None:
    """Record a layer as our result in its current state."""
    _SEALS[layer] = _Seal(layer)


def reseal(layer: Labels) -> None:
    """Record the current state of our result after writing to it."""
    _SEALS[layer].sign(layer)


def is_ours(layer: Layer) -> bool:
    """Return whether this layer is a result that we added to a viewer since napari started.

    A copy made by the user is not ours, even if its metadata is.
    """
    return unwrapped(layer) in _SEALS


def was_edited(layer: Layer, *, thorough: bool = True) -> bool:
    """Return whether the user may have edited our result; True for any layer that is not ours.

    napari's `paint` event fires at the end of every stroke, fill or polygon; from then on the layer
    counts as edited, even after undo. A checksum of the pixels detects changes without such an
    event: a stroke in progress, undo and redo, replaced `layer.data`, values written by a script.
    dask and zarr data is not read for this; only the event and replaced data count.

    Parameters
    ----------
    layer
        Any layer.
    thorough
        Whether to use the checksum. Without it the answer is immediate also for large labels, but
        values written by a script are missed: fine for lists, not before labels are overwritten.
    """
    layer = unwrapped(layer)
    seal = _SEALS.get(layer)
    return seal is None or (seal.broken(layer) if thorough else seal.touched(layer))


def _checksum(data: Any) -> int:
    if not isinstance(data, np.ndarray):
        return 0
    return zlib.crc32(np.ascontiguousarray(data).view(np.uint8).data)


def _in_background(function: Callable[[Any], int], argument: Any) -> Callable[[], int]:
    """Start a computation on a thread; the returned function waits for its result."""
    if getattr(argument, "nbytes", 0) < _QUICK_BYTES:
        result = function(argument)
        return lambda: result
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(function(argument)), daemon=True)
    thread.start()

    def wait() -> int:
        thread.join()
        return found[0]

    return wait
