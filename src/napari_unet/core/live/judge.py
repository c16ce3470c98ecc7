"""Scoring of the network on strokes that it has not learned yet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.live.network import LiveNetwork
from napari_unet.core.live.strokes import Canvas, StrokeScores
from napari_unet.core.models.blocks import BlockNetwork

__all__ = ["StrokeJudge"]

_JUDGED_PX = 1024
"""Largest side of the part of a stroke that is judged, so that a long stroke delays nothing."""


class StrokeJudge:
    """Compares strokes with the prediction of the network as it was when they began.

    Parameters
    ----------
    network
        Network to score.
    rng
        Random generator that chooses the judged part of a large stroke.

    Attributes
    ----------
    scores
        Scores of the predicted strokes.
    """

    def __init__(self, network: LiveNetwork, rng: np.random.Generator) -> None:
        self._network = network
        self._rng = rng
        self._predictor: BlockNetwork | None = None
        self._judging = False
        self.scores = StrokeScores()

    def begin_stroke(self, *, judged: bool) -> None:
        """Start a stroke; it is not judged if there is no network yet."""
        self._predictor, self._judging = None, judged and self._network.began
        self.scores.begin_stroke()

    def stop(self) -> None:
        """Stop judging the current stroke, because the network that predicted it was replaced."""
        self._predictor, self._judging = None, False

    def judge(self, canvas: Canvas, pixels: NDArray[np.int64], *, continues: bool) -> None:
        """Score the prediction of newly painted pixels.

        Parameters
        ----------
        canvas
            Image with its labels.
        pixels
            Flat indices of the newly painted pixels.
        continues
            Whether the pixels continue the previous stroke.
        """
        if not self._judging or not pixels.size:
            return
        pixels = self._near_each_other(pixels, canvas.labels.shape)
        kinds = self._network.meaning.kinds_of(canvas.labels.ravel()[pixels])
        known = kinds > 0
        self._predictor = self._predictor or self._network.predictor()
        predicted = self._predict_kinds(canvas, pixels, self._predictor)
        self.scores.add(kinds[known], predicted[known], continues=continues)

    def _near_each_other(
        self, pixels: NDArray[np.int64], shape: tuple[int, ...]
    ) -> NDArray[np.int64]:
        """Choose a part of a long stroke that can be judged quickly."""
        places = np.stack(np.unravel_index(pixels, shape))
        if (np.ptp(places, axis=1) < _JUDGED_PX).all():
            return pixels
        one = places[:, [int(self._rng.integers(pixels.size))]]
        near: NDArray[np.int64] = pixels[(np.abs(places - one) < _JUDGED_PX // 2).all(0)]
        return near

    def _predict_kinds(
        self, canvas: Canvas, pixels: NDArray[np.int64], predictor: BlockNetwork
    ) -> NDArray[Any]:
        y, x = np.unravel_index(pixels, canvas.labels.shape)
        region = (slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1))
        outputs = self._network.predict(canvas, region, predictor)
        kinds = self._network.meaning.predicted_kinds(outputs)
        found: NDArray[np.integer[Any]] = kinds[y - y.min(), x - x.min()]
        return found
