"""Previews of the part of an image in view, limited to a share of the time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.live.commands import Region, ShowView
from napari_unet.core.live.events import LivePreview
from napari_unet.core.live.trainer import LiveTraining

__all__ = ["ViewPreviews"]

_LEAST_PREVIEW_S = 0.3
"""Shortest time between two previews."""
_PREVIEW_SHARE = 0.25
"""Largest share of the time that previews may take."""
_TILE_PX = 256
_LARGEST_PLANE_PX = 4096**2
"""Largest plane that is previewed completely; in larger planes, only the part in view."""
_LARGEST_DECODED_PX = 1024**2
"""The same limit for objects, which cannot be joined from tiles."""


class ViewPreviews:
    """Predicts the part of an image in view, alternating with the rest of the image.

    Parameters
    ----------
    training
        Training whose network predicts.
    """

    def __init__(self, training: LiveTraining) -> None:
        self._training = training
        self._view: ShowView | None = None
        self._parts: Iterator[Region] | None = None
        self._shown: dict[Region, tuple[int, int]] = {}
        self._next_s = 0.0

    def show(self, view: ShowView) -> None:
        """Change the view; its first preview is due immediately."""
        self._view = view if view.name else None
        self._parts = None
        self._shown.clear()
        self._next_s = 0.0

    def next_preview(self, applied: int) -> LivePreview | None:
        """Predict the next part if a preview is due and something has changed.

        Parameters
        ----------
        applied
            Number of the last command that was applied.
        """
        view, training = self._view, self._training
        start_s = time.monotonic()
        if view is None or not training.began or start_s < self._next_s:
            return None
        labels = training.labels().get(view.name)
        if labels is None:  # the image was removed
            return None
        self._parts = self._parts or self._parts_of(view, labels.shape)
        part = next(self._parts)
        state = training.steps, applied
        if self._shown.get(part) == state:
            return None
        self._shown[part] = state
        preview = self._predict(view, part, applied)
        took_s = time.monotonic() - start_s
        self._next_s = start_s + max(_LEAST_PREVIEW_S, took_s / _PREVIEW_SHARE)
        return preview

    def _predict(self, view: ShowView, part: Region, applied: int) -> LivePreview:
        y, x, height, width = part
        region = slice(y, y + height), slice(x, x + width)
        outputs = self._training.outputs(view.name, region)
        meaning = self._training.meaning
        return LivePreview(
            name=view.name,
            origin=(y, x),
            labels=meaning.labels(outputs),
            uncertainty=_to_bytes(meaning.doubt(outputs)),
            probability=_to_bytes(meaning.probability(outputs)) if view.probability else None,
            step=self._training.steps,
            applied=applied,
        )

    def _parts_of(self, view: ShowView, shape: tuple[int, ...]) -> Iterator[Region]:
        """Yield the part in view, alternating with the tiles of the rest of the plane, endlessly.

        Objects cannot be joined from tiles, so they are predicted in the whole plane, or only in
        the part in view if the plane is large.
        """
        whole = (0, 0, shape[0], shape[1])
        seen = whole if view.region is None else view.region
        size_px = shape[0] * shape[1]
        if self._training.meaning.task.labels_are_objects:
            return itertools.repeat(whole if size_px <= _LARGEST_DECODED_PX else seen)
        tiles: list[Region] = []
        if size_px <= _LARGEST_PLANE_PX:
            tiles = [tile for tile in _tiles(shape) if not _within(tile, seen)]
        if not tiles:
            return itertools.repeat(seen)
        return itertools.chain.from_iterable((seen, tile) for tile in itertools.cycle(tiles))


def _to_bytes(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.clip(255 * maps, 0, 255).round().astype(np.uint8)


def _tiles(shape: tuple[int, ...]) -> Iterator[Region]:
    height, width = shape
    for y in range(0, height, _TILE_PX):
        for x in range(0, width, _TILE_PX):
            yield y, x, min(_TILE_PX, height - y), min(_TILE_PX, width - x)


def _within(inner: Region, outer: Region) -> bool:
    return all(
        o <= i and i + n <= o + m
        for i, n, o, m in zip(inner[:2], inner[2:], outer[:2], outer[2:], strict=True)
    )
