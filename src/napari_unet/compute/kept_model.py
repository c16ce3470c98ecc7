"""The most recently used model, kept in the worker so that its network is built only once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_unet.core.models.blocks import BlockNetwork
    from napari_unet.core.models.model import Model
    from napari_unet.core.models.predict_options import PredictOptions

__all__ = ["KeptModel", "kept_model"]

IDLE_S = 60.0


class KeptModel:
    """One model and its network, kept until another model is loaded or no predictions follow.

    Parameters
    ----------
    idle_s
        Time in seconds without a prediction after which the memory is released.
    """

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._sha256 = ""
        self._model: Model | None = None
        self._network: BlockNetwork | None = None
        self._timer: threading.Timer | None = None

    def load(self, path: Path) -> Model:
        """Return the model in a file; read the file only if it differs from the kept model.

        Raises
        ------
        ModelFileError
            If the file is missing or damaged.
        """
        from napari_unet.core.models.model_file import load_model, model_hash

        sha256 = model_hash(path) if path.is_file() else ""
        with self._lock:
            if self._model is not None and sha256 == self._sha256:
                return self._model
        self.release()
        model = load_model(path)
        with self._lock:
            self._model, self._sha256 = model, sha256
        return model

    def build(self, model: Model, options: PredictOptions) -> None:
        """Build the network of a model and keep it; do nothing if it is already kept.

        Parameters
        ----------
        model
            Model returned by `load`.
        options
            Options that set the device, the precision and test-time augmentation.

        Raises
        ------
        DeviceError
            If the device is missing or its memory is full.
        """
        from napari_unet.core.models.blocks import block_network
        from napari_unet.core.system.device import choose_compute

        compute = choose_compute(options.device, options.precision)
        network = block_network(model, compute, options.test_time_augmentation)
        with self._lock:
            if self._model is not None and network.is_of(self._model, compute):
                self._network = network

    def release_when_idle(self) -> None:
        """Release the memory after the idle time, unless another prediction comes first."""
        with self._lock:
            self._cancel_timer()
            self._timer = threading.Timer(self._idle_s, self.release)
            self._timer.daemon = True
            self._timer.start()

    def release(self) -> None:
        """Release the memory immediately."""
        with self._lock:
            self._cancel_timer()
            self._model = self._network = None
            self._sha256 = ""

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


kept_model = KeptModel()
"""The model that this worker keeps."""
