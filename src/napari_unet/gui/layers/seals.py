"""Which layers are results of ours, and which of them a person has changed since."""

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
"""A checksum of so much is no stall."""


class _Seal:
    """What a result of ours was when we last wrote it, and whether anybody painted since."""

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
    """Note that a layer is a result of ours, as it is now."""
    _SEALS[layer] = _Seal(layer)


def reseal(layer: Labels) -> None:
    """Note that we have written into a result of ours."""
    _SEALS[layer].sign(layer)


def is_ours(layer: Layer) -> bool:
    """Whether this very layer is a result that we added to a viewer since napari was started.

    A copy that a person makes of it is theirs, whatever its metadata says.
    """
    return unwrapped(layer) in _SEALS


def was_edited(layer: Layer, *, thorough: bool = True) -> bool:
    """Whether a person may have changed a result of ours; True for any layer that is not ours.

    Two things are watched. napari's `paint` event fires at the end of every stroke, fill or
    polygon, and from then on the layer belongs to the person, also if they undo. A checksum of
    the pixels notices what emits no such event: a stroke that is still being drawn, undo and redo,
    `layer.data` replaced, values written by a script. For dask and zarr data, which are not read
    just for this, the event and the replacement alone count.

    Parameters
    ----------
    layer
        Any layer.
    thorough
        False: without the checksum, at once also for large labels; what a person paints counts,
        what a script writes into the array does not. For lists; not before something is written.
    """
    layer = unwrapped(layer)
    seal = _SEALS.get(layer)
    return seal is None or (seal.broken(layer) if thorough else seal.touched(layer))


def _checksum(data: Any) -> int:
    if not isinstance(data, np.ndarray):
        return 0
    return zlib.crc32(np.ascontiguousarray(data).view(np.uint8).data)


def _in_background(function: Callable[[Any], int], argument: Any) -> Callable[[], int]:
    """Begin to compute something that is not needed yet; the answer waits for it."""
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
