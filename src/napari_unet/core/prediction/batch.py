"""Prediction of many files, one after another, into one folder of results."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_unet.core.datasets.matched_files import MatchedFiles
from napari_unet.core.errors import Cancelled, DeviceError, SettingsError, StorageError, UNetError
from napari_unet.core.io.image_files import read_image
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.batch_tables import (
    BatchTables,
    is_table_of_batch,
    measure_prediction,
)
from napari_unet.core.prediction.result_files import result_paths, write_prediction
from napari_unet.core.prediction.scale import pixel_size_note, scale_for_pixel_size
from napari_unet.core.system.atomic_files import remove_empty, storage_error
from napari_unet.core.system.error_log import unforeseen

if TYPE_CHECKING:
    from napari_unet.core.images.image import Image
    from napari_unet.core.models.model import Model
    from napari_unet.core.prediction.prediction import Prediction

__all__ = ["BatchOptions", "FileFailed", "FilePredicted", "predict_files"]

_LAZY_BYTES = 256 << 20
"""Files of at least this size stay on disk and are read block by block."""


@dataclass(frozen=True)
class BatchOptions:
    """Options of the prediction of files.

    Parameters
    ----------
    folder
        Folder of the results; created if missing.
    prediction
        Options of the prediction of each image.
    channels, axes
        As in `napari_unet.core.io.image_files.read_image`.
    probabilities
        Whether to write probabilities as well.
    overwrite
        Whether to replace existing results.
    rescale
        Whether to resize images of known pixel size to that of the model. Other images are
        resized by the scale of `prediction`.

    Examples
    --------
    >>> from napari_unet import PredictOptions
    >>> how = PredictOptions(scale="auto", adjustments={"min_area_px": 50})
    >>> BatchOptions(Path("results"), how, channels=("DAPI",)).prediction.scale
    'auto'
    """

    folder: Path
    prediction: PredictOptions = field(default_factory=PredictOptions)
    channels: Sequence[str | int] | None = None
    axes: str | None = None
    probabilities: bool = False
    overwrite: bool = False
    rescale: bool = False


@dataclass(frozen=True)
class FilePredicted:
    """Paths of the results of a file, and its row of ``summary.csv``.

    `note` is a sentence if the pixel size differs from that of the model; `fitted` describes in
    sentences how the image was fitted to the model.

    Examples
    --------
    >>> found = FilePredicted(Path("a.tif"), Path("a_labels.tif"), None, {"objects": 12})
    >>> found.summary["objects"]
    12
    """

    input: Path
    labels: Path
    probabilities: Path | None
    summary: dict[str, Any]
    note: str = ""
    fitted: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileFailed:
    """A file that could not be predicted, and the reason.

    Examples
    --------
    >>> FileFailed(Path("a.tif"), "It is cut off.").problem
    'It is cut off.'
    """

    input: Path
    problem: str


def predict_files(
    model: Model,
    inputs: Sequence[MatchedFiles],
    options: BatchOptions,
    *,
    progress: Callable[[int, int, int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[FilePredicted | FileFailed]:
    """Predict files one after another, and continue if a file cannot be used.

    Writes ``<name>_labels.tif`` for each file. ``summary.csv`` and, for objects, ``objects.csv``
    grow with each file, so that a stopped or killed batch has the rows of all finished files.
    Rows of other files from an earlier batch are kept.

    Parameters
    ----------
    model
        Model to use.
    inputs
        Files from `napari_unet.core.prediction.batch_inputs.find_inputs`.
    options
        Options of the prediction, and the folder of the results.
    progress
        Called with (index of the file, finished blocks, total number of blocks).
    should_stop
        Called before each block; if it returns true, the current file is abandoned.

    Yields
    ------
    FilePredicted or FileFailed
        One per file.

    Raises
    ------
    SettingsError
        If results already exist and are not to be replaced.
    DeviceError
        If the device is missing or its memory is full.
    StorageError
        If the folder cannot be written.
    Cancelled
        If `should_stop` returned true; results of finished files are kept.

    Examples
    --------
    >>> from pathlib import Path
    >>> from napari_unet import Image, find_model, load_model, synthetic_nuclei, write_image
    >>> from napari_unet.core.prediction import BatchOptions, find_inputs, predict_files
    >>> write_image("a.tif", Image(synthetic_nuclei((128, 128), n=10)[0], "YX"))
    >>> files = find_inputs(["*.tif"]).files
    >>> model = load_model(find_model("nuclei"))
    >>> [r.labels.name for r in predict_files(model, files, BatchOptions(Path("results")))]
    ['a_labels.tif']
    """
    from napari_unet.core.models.blocks import block_network
    from napari_unet.core.system.allocator import keeping_freed_memory
    from napari_unet.core.system.device import choose_compute

    _check_free(inputs, options)
    tables = BatchTables(options.folder, {item.row_name for item in inputs})
    model.info.adjusted(options.prediction.adjustments)  # raises before anything is written
    how = options.prediction
    compute = choose_compute(how.device, how.precision)
    network = block_network(model, compute, how.test_time_augmentation)  # kept for all files
    with keeping_freed_memory():  # between files
        for index, item in enumerate(inputs):
            on_block = _progress_of(index, progress)
            yield _attempt(model, item, options, tables, on_block, should_stop)
    del network


def _check_free(inputs: Sequence[MatchedFiles], options: BatchOptions) -> None:
    if options.overwrite:
        return
    tables = (options.folder / name for name in ("objects.csv", "summary.csv"))
    candidates = [p for item in inputs for p in result_paths(options.folder, item.name)]
    there = [path for path in candidates if path.exists()]
    there += [path for path in tables if path.exists() and not is_table_of_batch(path)]
    if there:
        raise SettingsError(
            f"'{options.folder}' already holds {len(there)} result(s), for example "
            f"'{there[0].name}'. Choose another folder, or replace the results (--overwrite)."
        )


def _attempt(
    model: Model,
    item: MatchedFiles,
    options: BatchOptions,
    tables: BatchTables,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool],
) -> FilePredicted | FileFailed:
    if should_stop():
        raise Cancelled("The prediction was stopped; results of finished files are kept.")
    try:
        return _predict_file(model, item, options, tables, progress, should_stop)
    except (Cancelled, DeviceError, StorageError):  # these would stop the next file too
        raise
    except MemoryError:
        return FileFailed(
            item.path,
            "The image does not fit into memory. Save it as an uncompressed TIFF or as Zarr, which "
            "are read block by block.",
        )
    except UNetError as error:
        return FileFailed(item.path, str(error))
    except Exception as error:
        if not _is_lazy(item.path):
            return FileFailed(item.path, unforeseen(traceback.format_exc()))
        # Every codec fails in its own way on a damaged block, long after the file was opened.
        problem = f"It cannot be read to its end ({str(error)[:120] or type(error).__name__})."
        return FileFailed(item.path, f"{problem} Copy or save it again.")


def _is_lazy(path: Path) -> bool:
    try:
        return path.is_dir() or path.stat().st_size >= _LAZY_BYTES
    except OSError:  # missing, or a broken link: reading reports it
        return False


def _predict_file(
    model: Model,
    item: MatchedFiles,
    options: BatchOptions,
    tables: BatchTables,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool],
) -> FilePredicted:
    from napari_unet.core.prediction.prediction import predict

    lazy = _is_lazy(item.path)
    image = read_image(item.path, options.channels, axes=options.axes, lazy=lazy)
    how = options.prediction.model_copy(update={"scale": _scale(model, image, options)})
    missing = [f for f in (options.folder, *options.folder.parents) if not f.exists()]
    scratch = _scratch_folder(options.folder)
    try:
        prediction = predict(
            model,
            image,
            how,
            probabilities=options.probabilities,
            folder=scratch,
            progress=progress,
            should_stop=should_stop,
        )
        labels, probabilities = write_prediction(prediction, image, options.folder, item.name)
        objects, summary = measure_prediction(prediction, image, item.row_name)
        summary |= _fitted_columns(prediction, options)
        tables.add(summary, objects)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        remove_empty(missing)
    # Measured objects are better evidence than pixel sizes.
    note = "" if how.scale == "auto" else pixel_size_note(model.info, image, how.scale)
    return FilePredicted(item.path, labels, probabilities, summary, note, prediction.notes)


def _fitted_columns(prediction: Prediction, options: BatchOptions) -> dict[str, Any]:
    """Return how the image was fitted to the model, if that can differ between images."""
    columns: dict[str, Any] = {}
    if options.rescale or options.prediction.scale != 1:
        columns["scale"] = prediction.scale
    if options.prediction.scale == "auto":
        columns["diameter_px"] = prediction.diameter_px
    if prediction.model.contrast is not None or prediction.inverted:
        columns["inverted"] = prediction.inverted
    return columns


def _scale(model: Model, image: Image, options: BatchOptions) -> float | Literal["auto"]:
    fitting = scale_for_pixel_size(model.info, image) if options.rescale else None
    return options.prediction.scale if fitting is None else fitting


def _scratch_folder(folder: Path) -> Path:
    """Make a scratch folder in the folder of the results, which is created if missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".napari-unet-", dir=folder))
    except OSError as error:
        raise storage_error(error, folder) from error


def _progress_of(
    index: int, progress: Callable[[int, int, int], None] | None
) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(index, done, total)
