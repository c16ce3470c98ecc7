"""From an image to labels: any size, any number of planes, bounded memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import Cancelled
from napari_unet.core.images import Image
from napari_unet.core.model_file import Model, ModelInfo
from napari_unet.core.stitching import decode_blockwise
from napari_unet.core.storage import storage_error

if TYPE_CHECKING:
    import dask.array as da

    from napari_unet.core.blocks import BlockNetwork

__all__ = ["Prediction", "predict"]

Progress = Callable[[int, int], None]

IN_MEMORY_BYTES = 256 << 20
"""Planes whose network outputs need more than this are decoded block by block."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of an image.

    Parameters
    ----------
    labels
        Class ids, or object ids unique over the whole stack; the image's axes without C. A numpy
        array; where it was written to disk a zarr array, or a dask array over several.
    probabilities
        Float32 0 to 1 or None: of the foreground (axes as `labels`), or of each class (with a
        first axis C before Y and X).
    confidence
        Mean foreground probability of each object by id (index 0 is not used); empty for classes.
    model
        Header of the model that was used, with the task as it was decoded.
    """

    labels: Any
    probabilities: Any
    confidence: NDArray[np.float32]
    model: ModelInfo


def predict(
    model: Model,
    image: Image,
    *,
    probabilities: bool = False,
    test_time_augmentation: bool = False,
    block_px: int = 1024,
    device: str = "auto",
    precision: str = "auto",
    folder: Path | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Prediction:
    """Predict the labels of an image.

    Parameters
    ----------
    model
        Model to use. Other decoder settings: replace ``model.info.task``.
    image
        Axes any subset of TZCYX with Y and X; a 2-D model treats T and Z plane by plane.
    probabilities
        Whether to return them.
    test_time_augmentation
        Average over flips and quarter turns: eight times as slow, a little better.
    block_px
        Side of the blocks in which large planes are computed. The result does not depend on it.
    device, precision
        See `napari_unet.core.device.choose_compute`.
    folder
        Where results too large for memory are written as zarr; None: a temporary folder, which
        the caller removes.
    progress
        Called with (blocks done, blocks in all).
    should_stop
        Asked before each block.

    Returns
    -------
    Prediction

    Raises
    ------
    ModelFileError
        When the model does not fit the image.
    ImageError
        When the image holds NaN or infinite values.
    DeviceError
        When the device is missing or its memory full.
    Cancelled
        When `should_stop` said so.
    """
    from napari_unet.core.blocks import BlockNetwork
    from napari_unet.core.device import choose_compute

    model.info.check_image(image)
    network = BlockNetwork(model, choose_compute(device, precision), test_time_augmentation)
    run = _Run(model.info, network, block_px, folder, should_stop, progress)
    return run.predict(image, probabilities)


class _Run:
    """One prediction: what its planes have in common."""

    def __init__(
        self,
        info: ModelInfo,
        network: BlockNetwork,
        block_px: int,
        folder: Path | None,
        should_stop: Callable[[], bool],
        progress: Progress | None,
    ) -> None:
        self._info = info
        self._network = network
        self._block_px = block_px
        self._folder = folder
        self._should_stop = should_stop
        self._progress = progress
        self._done = 0
        self._total = 0

    def predict(self, image: Image, probabilities: bool) -> Prediction:
        ndim = self._info.unet.ndim
        planes = list(image.planes(ndim))
        self._total = len(planes) * self._blocks_of(image)
        large = self._output_bytes(image) > IN_MEMORY_BYTES
        results = []
        first_id = 1
        for position, plane in planes:
            name = image.name + "".join(f" {a}={i}" for a, i in position.items())
            labels, maps, confidence = self._plane(plane, name, large, probabilities)
            if self._info.task.kind == "instances" and first_id > 1:
                labels = _shifted(labels, first_id - 1)
            first_id += len(confidence)
            results.append((labels, maps, confidence))
        labels, maps, confidences = zip(*results, strict=True)
        shape = image.label_shape
        leading = shape[: len(shape) - ndim]
        return Prediction(
            labels=_stacked(labels, leading),
            probabilities=_stacked(maps, leading) if probabilities else None,
            confidence=np.concatenate([[np.float32(np.nan)], *confidences]),
            model=self._info,
        )

    def _plane(
        self, plane: Any, name: str, large: bool, probabilities: bool
    ) -> tuple[Any, Any, NDArray[np.float32]]:
        """Labels, probabilities and the objects' confidences (ids from 1) of one plane."""
        from napari_unet.core.blocks import network_outputs

        ranges = self._info.normalization.ranges(plane, self._info.rgb, name)
        outputs = network_outputs(self._network, plane, ranges, self._block_px, self._on_block)
        if large:
            return self._large_plane(outputs, probabilities)
        maps = outputs.compute(scheduler="synchronous")
        labels = self._info.task.decode(maps)
        confidence = self._confidence(labels, maps)
        wanted = self._probability_maps(maps).copy() if probabilities else None
        return _smallest(labels), wanted, confidence

    def _large_plane(
        self, outputs: da.Array, probabilities: bool
    ) -> tuple[Any, Any, NDArray[np.float32]]:
        """Decode block by block, each plane in a folder of its own."""
        folder = self._own_folder()
        try:
            return decode_blockwise(self._info.task, outputs, folder, probabilities)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _own_folder(self) -> Path:
        try:
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="napari-unet-", dir=self._folder))
        except OSError as error:
            raise storage_error(error, self._folder or Path(tempfile.gettempdir())) from None

    def _probability_maps(self, maps: Any) -> Any:
        heads = self._info.task.heads
        return maps[0] if heads[0].channels == 1 else maps[: heads[0].channels]

    def _confidence(self, labels: Any, maps: Any) -> NDArray[np.float32]:
        if self._info.task.kind != "instances":
            return np.empty(0, np.float32)
        area = np.bincount(labels.ravel())
        total = np.bincount(labels.ravel(), weights=maps[0].ravel())
        return (total / np.maximum(area, 1)).astype(np.float32)[1:]

    def _on_block(self) -> None:
        if self._should_stop():
            raise Cancelled("The prediction was stopped; nothing was written.")
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _blocks_of(self, image: Image) -> int:
        from napari_unet.core.blocks import block_chunks

        spatial = image.label_shape[-self._info.unet.ndim :]
        return int(np.prod([len(block_chunks(n, self._block_px, self._network)) for n in spatial]))

    def _output_bytes(self, image: Image) -> int:
        spatial = image.label_shape[-self._info.unet.ndim :]
        return int(np.prod(spatial)) * self._network.channels * 4


def _smallest(labels: NDArray[Any]) -> NDArray[Any]:
    """Store ids as uint16 where they fit, class ids as they are."""
    if labels.dtype.itemsize <= 2:
        return labels
    return labels.astype(np.uint16 if labels.max(initial=0) <= 65_535 else np.uint32)


def _shifted(labels: Any, by: int) -> Any:
    """Add to every id but 0; in 64 bits, as the ids of a plane may fit 16 and a stack's not."""
    if isinstance(labels, np.ndarray):
        return _smallest(np.where(labels > 0, labels.astype(np.int64) + by, 0))
    import dask.array as da

    lazy = da.from_zarr(labels)
    return da.where(lazy > 0, lazy + np.uint32(by), 0).astype(np.uint32)


def _stacked(planes: tuple[Any, ...], leading: tuple[int, ...]) -> Any:
    """Join planes into a stack; lazily where they lie on disk."""
    if not leading:
        return planes[0]
    if all(isinstance(plane, np.ndarray) for plane in planes):
        stack = np.stack(planes)
        return stack.reshape(*leading, *stack.shape[1:])
    import dask.array as da

    lazy = [p if isinstance(p, da.Array) else da.from_zarr(p) for p in planes]
    stack = da.stack(lazy)
    return stack.reshape(*leading, *stack.shape[1:])
