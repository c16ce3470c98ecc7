"""Prediction of images of any size and any number of planes in bounded memory."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import Cancelled, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import IntensityRange
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.adaptation import Adaptation, ImageAdapter, Ranges, fit_image
from napari_unet.core.prediction.blockwise import decode_blockwise, pass_count
from napari_unet.core.prediction.plane_labels import (
    PlaneLabels,
    decode_plane,
    regridded,
    stack_planes,
    stacked,
)
from napari_unet.core.prediction.rescale import rescaled, scaled_shape
from napari_unet.core.system.allocator import keeping_freed_memory, return_freed_memory
from napari_unet.core.system.atomic_files import storage_error

if TYPE_CHECKING:
    import dask.array as da

    from napari_unet.core.models.blocks import BlockNetwork

__all__ = ["Prediction", "predict", "redecode"]

Progress = Callable[[int, int], None]
IN_MEMORY_BYTES = 256 << 20
"""Planes whose network outputs need more than this are decoded block by block."""

KEPT_BYTES = 1 << 30
"""Outputs of all planes together are kept for decoding again up to this size."""


@dataclass(frozen=True)
class Prediction:
    """Prediction of an image by a model.

    Parameters
    ----------
    labels
        Class ids, or object ids unique over the whole stack; the image's axes without C. A numpy
        array, or, if it was written to disk, a zarr array or a dask array over several.
    probabilities
        Float32 0 to 1 of the foreground (axes as `labels`), or of each class (with an axis C
        before Y and X); None if they were not requested.
    confidence
        Mean foreground probability of each object by id (index 0 is not used); empty for classes.
    model
        Header of the model, with the decoder settings that were used.
    outputs
        The network's outputs, float32, axes of `labels` with C before the last two (three for a
        3-D model), on the network's grid; None unless requested, or if they are too large.
        `redecode` needs them.
    scale
        Factor by which the image was enlarged for the network.
    inverted
        Whether the image was inverted for the network.
    diameter_px
        Estimated diameter of the objects in pixels of the image; None unless the scale was
        ``"auto"`` and objects were recognised.
    notes
        Decisions on scale and contrast, in sentences.

    Examples
    --------
    >>> from napari_unet import Image, find_model, load_model, predict, synthetic_nuclei
    >>> pixels, _ = synthetic_nuclei((128, 128), n=10)
    >>> found = predict(load_model(find_model("nuclei")), Image(pixels, "YX"), probabilities=True)
    >>> found.labels.shape, found.probabilities.shape
    ((128, 128), (128, 128))
    >>> len(found.confidence) - 1 == len(np.unique(found.labels)) - 1  # one for each object
    True
    """

    labels: Any
    probabilities: Any
    confidence: NDArray[np.float32]
    model: ModelInfo
    outputs: NDArray[np.float32] | None = None
    scale: float = 1.0
    inverted: bool = False
    diameter_px: float | None = None
    notes: tuple[str, ...] = ()


def predict(
    model: Model,
    image: Image,
    options: PredictOptions | None = None,
    *,
    probabilities: bool = False,
    keep_outputs: bool = False,
    ranges: Sequence[IntensityRange] | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Prediction:
    """Predict the labels of an image.

    Parameters
    ----------
    model
        Model to use.
    image
        Image with any subset of the axes TZCYX, including Y and X; a 2-D model predicts T and Z
        plane by plane. A model of RGB images also accepts grey ones.
    options
        Scale, contrast, decoder settings and other options; None: the defaults.
    probabilities
        Whether to return probabilities.
    keep_outputs
        Whether to return the network's outputs, so that `redecode` can decode them again.
    ranges
        One (low, high) per channel, instead of those found by the model's normalisation: for an
        image that is a part of another, such as one plane of a depth stack (see `Image.scope`).
        As they define dark and bright, the contrast then stays as it is.
    folder
        Folder for results too large for memory, written as zarr; None: a temporary folder, which
        the caller removes.
    progress
        Called with (finished blocks, total number of blocks). If a plane is decoded block by
        block, each block counts once per pass.
    should_stop
        Called before each block.

    Returns
    -------
    Prediction

    Raises
    ------
    ModelFileError
        If the model does not fit the image.
    ImageError
        If the image holds NaN or infinite values.
    SettingsError
        If an option has an invalid value, or the ranges do not match the channels.
    DeviceError
        If the device is missing or its memory is full.
    Cancelled
        If `should_stop` returned true.

    Examples
    --------
    >>> from napari_unet import Image, find_model, load_model, predict, synthetic_nuclei
    >>> pixels, truth = synthetic_nuclei((128, 128), n=10)
    >>> found = predict(load_model(find_model("nuclei")), Image(pixels, "YX"))
    >>> abs(int(found.labels.max()) - int(truth.max())) <= 2
    True
    """
    from napari_unet.core.models.blocks import block_network
    from napari_unet.core.system.device import choose_compute

    options = options or PredictOptions()
    info = model.info.adjusted(options.adjustments)
    info.check_image(image)
    compute = choose_compute(options.device, options.precision)
    network = block_network(model, compute, options.test_time_augmentation)
    if ranges is not None and len(ranges) != image.channels:
        raise SettingsError(
            f"{len(ranges)} intensity range(s) for {image.channels} channel(s): expected one each."
        )
    if info.takes_grey(image):
        image, ranges = image.as_rgb(), ranges and [*ranges] * 3
    found = Ranges(info, image, ranges)
    with keeping_freed_memory():
        adapter = ImageAdapter(model, image, options, ranges=found, should_stop=should_stop)
        contrast = "as-is" if ranges is not None else options.contrast
        adaptation = fit_image(adapter, options.scale, contrast)
        run = _Run(
            info, network, options.block_px, adaptation, found, folder, should_stop, progress
        )
        return run.predict(image, probabilities, keep_outputs)


def redecode(prediction: Prediction, adjustments: Mapping[str, float]) -> Prediction:
    """Decode the outputs of a prediction again with other decoder settings.

    Needs neither the model's weights nor torch.

    Parameters
    ----------
    prediction
        Prediction made with ``keep_outputs=True``.
    adjustments
        Values of decoder settings by name, as in `PredictOptions`; settings left out stay as they
        were.

    Returns
    -------
    Prediction
        The same prediction with new labels, confidence and task.

    Raises
    ------
    SettingsError
        If the outputs were not kept, or the task has no setting of that name or value.

    Examples
    --------
    >>> from napari_unet import Image, find_model, load_model, predict, redecode, synthetic_nuclei
    >>> image = Image(synthetic_nuclei((128, 128), n=10)[0], "YX")
    >>> found = predict(load_model(find_model("nuclei")), image, keep_outputs=True)
    >>> int(redecode(found, {"min_area_px": 100_000}).labels.max())  # no object is so large
    0
    """
    if prediction.outputs is None:
        raise SettingsError(
            "The outputs of this prediction were not kept: the image is too large, or they were "
            "not requested. Predict again with the new settings."
        )
    info = prediction.model.adjusted(adjustments)
    task = info.task
    ndim = info.unet.ndim
    shape = prediction.labels.shape
    maps = prediction.outputs.reshape(-1, *prediction.outputs.shape[-ndim - 1 :])
    planes = [decode_plane(task, plane, shape[-ndim:]) for plane in maps]
    labels, confidence = stack_planes(planes, shape[:-ndim])
    return replace(prediction, labels=labels, confidence=confidence, model=info)


class _Run:
    """State of one prediction, shared by its planes."""

    def __init__(
        self,
        info: ModelInfo,
        network: BlockNetwork,
        block_px: int,
        fitted: Adaptation,
        ranges: Ranges,
        folder: Path | None,
        should_stop: Callable[[], bool],
        progress: Progress | None,
    ) -> None:
        self._info = info
        self._network = network
        self._block_px = block_px
        self._fitted = fitted
        self._ranges = ranges
        self._folder = folder
        self._should_stop = should_stop
        self._progress = progress
        self._done = 0
        self._total = 0
        self._made: list[Path] = []

    def predict(self, image: Image, probabilities: bool, keep_outputs: bool) -> Prediction:
        """Predict all planes; if one fails, remove the results on disk."""
        try:
            return self._predict(image, probabilities, keep_outputs)
        except BaseException:
            for folder in self._made:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _predict(self, image: Image, probabilities: bool, keep_outputs: bool) -> Prediction:
        ndim = self._info.unet.ndim
        shape = image.label_shape
        own, seen = shape[-ndim:], self._seen(shape[-ndim:])
        planes = list(image.planes(ndim))
        # If the image is scaled down, its labels may be larger than the outputs.
        large = max(self._output_bytes(seen), 8 * int(np.prod(own))) > IN_MEMORY_BYTES
        self._total = len(planes) * self._blocks_of(seen)
        self._total *= 1 + pass_count(self._info.task) if large else 1
        keep_outputs &= not large and len(planes) * self._output_bytes(seen) <= KEPT_BYTES
        results: list[PlaneLabels] = []
        kept, maps = [], []
        for position, plane in planes:
            outputs = self._outputs(plane, self._ranges.at(position, self._fitted.inverted), seen)
            if large:
                result, probability = self._large_plane(outputs, own, probabilities)
            else:
                array = outputs.compute(scheduler="synchronous")
                result = decode_plane(self._info.task, array, own)
                probability = self._probabilities(array, own).copy() if probabilities else None
                kept += [array] if keep_outputs else []
            results.append(result)
            maps.append(probability)
        labels, confidence = stack_planes(results, shape[:-ndim])
        return Prediction(
            labels=labels,
            probabilities=stacked(maps, shape[:-ndim]) if probabilities else None,
            confidence=confidence,
            model=self._info,
            outputs=stacked(kept, shape[:-ndim]) if keep_outputs else None,
            **self._fitted._asdict(),
        )

    def _outputs(self, plane: Any, ranges: list[IntensityRange], seen: tuple[int, ...]) -> da.Array:
        """Return the network's outputs on its own grid, lazily."""
        from napari_unet.core.models.blocks import network_outputs

        if seen != plane.shape[1:]:
            plane = rescaled(plane, seen)
        return network_outputs(self._network, plane, ranges, self._block_px, self._on_block)

    def _large_plane(
        self, outputs: da.Array, own: tuple[int, ...], probabilities: bool
    ) -> tuple[PlaneLabels, Any]:
        """Decode block by block, each plane in a separate folder."""
        folder = self._own_folder()
        other_grid = outputs.shape[1:] != own
        labels, maps, confidence = decode_blockwise(
            self._info.task, outputs, folder, probabilities or other_grid, self._on_block
        )
        if other_grid:
            labels, maps = regridded(self._info.task, labels, maps, own)
        return (labels, confidence), maps if probabilities else None

    def _own_folder(self) -> Path:
        try:
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
            self._made.append(Path(tempfile.mkdtemp(prefix="napari-unet-", dir=self._folder)))
        except OSError as error:
            raise storage_error(error, self._folder or Path(tempfile.gettempdir())) from None
        return self._made[-1]

    def _probabilities(self, outputs: NDArray[np.float32], own: tuple[int, ...]) -> Any:
        channels = self._info.task.heads[0].channels
        maps = outputs[:channels]
        if maps.shape[1:] != own:
            maps = rescaled(maps, own).compute(scheduler="synchronous")
        return maps[0] if channels == 1 else maps

    def _on_block(self) -> None:
        if self._should_stop():
            raise Cancelled("The prediction was stopped; nothing was written.")
        self._done += 1
        if self._done < self._total:  # memory of a single block is reused by the next image
            return_freed_memory()
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _seen(self, own: tuple[int, ...]) -> tuple[int, ...]:
        scale = self._fitted.scale
        return own if scale == 1 else scaled_shape(own, scale)

    def _blocks_of(self, seen: tuple[int, ...]) -> int:
        from napari_unet.core.models.blocks import block_chunks

        return int(np.prod([len(block_chunks(n, self._block_px, self._network)) for n in seen]))

    def _output_bytes(self, seen: tuple[int, ...]) -> int:
        return int(np.prod(seen)) * self._network.channels * 4
