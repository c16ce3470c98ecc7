"""Training patches drawn around the painted pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.augmentation.patch import sample_patch
from napari_unet.core.live.label_meaning import LabelMeaning
from napari_unet.core.live.settings import LiveSettings
from napari_unet.core.live.strokes import Canvas
from napari_unet.core.training.sampling import Batch, batch_of

__all__ = ["Patches"]


class Patches:
    """Draws patches from images, more often around new strokes.

    Parameters
    ----------
    canvases
        Images by name; later changes to the mapping take effect.
    settings
        Settings with the size of patches and batches, the augmentation, the share of new strokes
        and the seed.

    Attributes
    ----------
    rng
        Random generator.
    """

    def __init__(self, canvases: Mapping[str, Canvas], settings: LiveSettings) -> None:
        self._canvases = canvases
        self._settings = settings
        self.rng = np.random.default_rng(settings.seed)

    @property
    def painted_px(self) -> int:
        """Number of painted pixels in all images."""
        return sum(len(p) for c in self._canvases.values() for p in c.by_class.values())

    def kinds(self, meaning: LabelMeaning) -> dict[int, dict[str, list[int]]]:
        """Return the painted labels, by their kind and then by the name of the image."""
        found: dict[int, dict[str, list[int]]] = {}
        for name, canvas in self._canvases.items():
            ids = list(canvas.by_class)
            for number, kind in zip(ids, meaning.kinds_of(np.array(ids)), strict=True):
                if kind:
                    found.setdefault(int(kind), {}).setdefault(name, []).append(number)
        return found

    def batch(self, meaning: LabelMeaning) -> Batch:
        """Draw a batch; at least one pixel must be painted."""
        size = self._settings.batch_size
        return batch_of((self._patch(meaning) for _ in range(size)), size)

    def _patch(self, meaning: LabelMeaning) -> tuple[NDArray[np.float32], ...]:
        canvas, pixel = self._draw(meaning)
        size = (self._settings.patch_px,) * 2
        shape = canvas.labels.shape
        near = np.unravel_index(pixel, shape)
        jitter = self.rng.integers(-size[0] // 3, size[0] // 3 + 1, 2)
        centre = tuple(
            int(np.clip(c + j, min(s // 2, n // 2), max(n - (s - s // 2), n // 2)))
            for c, j, s, n in zip(near, jitter, size, shape, strict=True)
        )
        image, labels, inside = sample_patch(
            canvas.image, canvas.labels, None, centre, size, self._settings.augmentation, self.rng
        )
        return image, *meaning.encode(labels, inside)

    def _draw(self, meaning: LabelMeaning) -> tuple[Canvas, int]:
        """Draw a painted pixel from a new stroke, or evenly over classes, images and objects."""
        fresh = [canvas for canvas in self._canvases.values() if canvas.new]
        if fresh and self.rng.random() < self._settings.new_share:
            canvas = fresh[int(self.rng.integers(len(fresh)))]
            if (pixel := canvas.take_new(self.rng)) is not None:
                return canvas, pixel
        kinds = self.kinds(meaning)
        images = kinds[sorted(kinds)[int(self.rng.integers(len(kinds)))]]
        name = list(images)[int(self.rng.integers(len(images)))]
        number = images[name][int(self.rng.integers(len(images[name])))]
        canvas = self._canvases[name]
        return canvas, int(self.rng.choice(canvas.by_class[number]))
