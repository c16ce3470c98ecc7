"""Network outputs of recent predictions, so that sliders can decode again without the network."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.prediction.prediction import Prediction

__all__ = ["KeptOutputs", "kept"]

KEPT_BYTES = 1 << 30


class KeptOutputs:
    """Predictions with their outputs by the id of their job; the least recently used go first.

    Parameters
    ----------
    limit_bytes
        Size of all outputs together.
    """

    def __init__(self, limit_bytes: int = KEPT_BYTES) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._predictions: OrderedDict[str, Prediction] = OrderedDict()

    def keep(self, job: str, prediction: Prediction) -> Prediction:
        """Remember a prediction if it has outputs, and return it without them."""
        outputs = prediction.outputs
        if outputs is None or outputs.nbytes > self._limit:
            return replace(prediction, outputs=None)
        shape = np.broadcast_to(np.uint8(0), prediction.labels.shape)
        with self._lock:
            self._predictions[job] = replace(prediction, labels=shape, probabilities=None)
            while self._size() > self._limit:
                self._predictions.popitem(last=False)
        return self.without_outputs(prediction)

    def find(self, job: str) -> Prediction:
        """Return a prediction; of its labels only the shape is valid.

        Raises
        ------
        SettingsError
            If it was not kept, or had to make room.
        """
        with self._lock:
            if job in self._predictions:
                self._predictions.move_to_end(job)
                return self._predictions[job]
        raise SettingsError(
            "The network's outputs of this prediction are no longer in memory: the image is too "
            "large, others came after it, or the computing process was started anew. Predict "
            "again."
        )

    def without_outputs(self, prediction: Prediction) -> Prediction:
        """Return the prediction with an empty array as a sign that outputs are kept."""
        if prediction.outputs is None:
            return prediction
        empty: Any = np.empty(0, np.float32)
        return replace(prediction, outputs=empty)

    def _size(self) -> int:
        return sum(p.outputs.nbytes for p in self._predictions.values() if p.outputs is not None)


kept = KeptOutputs()
"""Of this worker."""
