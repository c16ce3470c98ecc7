"""Network outputs of recent predictions, which sliders decode again without the network."""

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
    """Predictions and their outputs, by job id; the least recently used are dropped first.

    Parameters
    ----------
    limit_bytes
        Largest total size of the outputs.
    """

    def __init__(self, limit_bytes: int = KEPT_BYTES) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._predictions: OrderedDict[str, Prediction] = OrderedDict()

    def keep(self, job: str, prediction: Prediction) -> Prediction:
        """Keep a prediction if it has outputs, and return it without them."""
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
        """Return a kept prediction; only the shape of its labels is valid.

        Raises
        ------
        SettingsError
            If the prediction was not kept, or was dropped.
        """
        with self._lock:
            if job in self._predictions:
                self._predictions.move_to_end(job)
                return self._predictions[job]
        raise SettingsError(
            "The network outputs of this prediction are no longer in memory: the image is too "
            "large, other images were predicted since, or the compute process was restarted. "
            "Predict again."
        )

    def without_outputs(self, prediction: Prediction) -> Prediction:
        """Return the prediction with an empty array, which marks that its outputs are kept."""
        if prediction.outputs is None:
            return prediction
        empty: Any = np.empty(0, np.float32)
        return replace(prediction, outputs=empty)

    def _size(self) -> int:
        return sum(p.outputs.nbytes for p in self._predictions.values() if p.outputs is not None)


kept = KeptOutputs()
"""The outputs that this worker keeps."""
