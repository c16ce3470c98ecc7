"""How well the network predicts strokes, each judged before it is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.live.network import LiveNetwork
from napari_unet.core.live.strokes import Canvas, StrokeScores
from napari_unet.core.models.blocks import BlockNetwork

__all__ = ["StrokeJudge"]

_JUDGED_PX = 1024
"""Largest side of what is judged: a stroke across a large image must not delay the next."""


class StrokeJudge:
    """Compares strokes with what the network predicted when they were begun.

    Parameters
    ----------
    network
        What predicts.
    rng
        Chooses the part of a large stroke that is judged.

    Attributes
    ----------
    scores
        How well strokes were predicted.
    """

    def __init__(self, network: LiveNetwork, rng: np.random.Generator) -> None:
        self._network = network
        self._rng = rng
        self._predictor: BlockNetwork | None = None
        self._judging = False
        self.scores = StrokeScores()

    def begin_stroke(self, *, judged: bool) -> None:
        """Begin a stroke; without a network there is nothing to judge until the next one."""
        self._predictor, self._judging = None, judged and self._network.began
        self.scores.begin_stroke()

    def stop(self) -> None:
        """Judge no further piece of the stroke: the network that predicted it is gone."""
        self._predictor, self._judging = None, False

    def judge(self, canvas: Canvas, pixels: NDArray[np.int64], *, continues: bool) -> None:
        """Judge what was painted.

        Parameters
        ----------
        canvas
            The image.
        pixels
            Flat indices of what is newly painted on it.
        continues
            Whether it is a further piece of the stroke before.
        """
        if not self._judging or not pixels.size:
            return
        pixels = self._near_each_other(pixels, canvas.labels.shape)
        kinds = self._network.meaning.kinds_of(canvas.labels.ravel()[pixels])
        known = kinds > 0
        self._predictor = self._predictor or self._network.predictor()
        foreseen = self._predicted_kinds(canvas, pixels, self._predictor)
        self.scores.add(kinds[known], foreseen[known], continues=continues)

    def _near_each_other(
        self, pixels: NDArray[np.int64], shape: tuple[int, ...]
    ) -> NDArray[np.int64]:
        """Choose a part of a stroke across a large image that is quickly judged."""
        places = np.stack(np.unravel_index(pixels, shape))
        if (np.ptp(places, axis=1) < _JUDGED_PX).all():
            return pixels
        one = places[:, [int(self._rng.integers(pixels.size))]]
        near: NDArray[np.int64] = pixels[(np.abs(places - one) < _JUDGED_PX // 2).all(0)]
        return near

    def _predicted_kinds(
        self, canvas: Canvas, pixels: NDArray[np.int64], predictor: BlockNetwork
    ) -> NDArray[Any]:
        y, x = np.unravel_index(pixels, canvas.labels.shape)
        region = (slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1))
        outputs = self._network.predict(canvas, region, predictor)
        kinds = self._network.meaning.foreseen_kinds(outputs)
        found: NDArray[np.integer[Any]] = kinds[y - y.min(), x - x.min()]
        return found
