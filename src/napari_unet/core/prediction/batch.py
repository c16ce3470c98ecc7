"""Predicting many files: one after the other, results beside each other in a folder."""

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
"""Files of this size and more stay on disk and are read block by block."""


@dataclass(frozen=True)
class BatchOptions:
    """Which part of files is predicted, how, and where results go.

    Parameters
    ----------
    folder
        Where results are written; made if missing.
    prediction
        How each image is predicted.
    channels, axes
        As in `napari_unet.core.io.image_files.read_image`.
    probabilities
        Whether probabilities are written, too.
    overwrite
        Whether existing results are replaced.
    rescale
        Whether images whose pixel size is known are resized to that of the model; the others by
        the scale of `prediction`.

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
    """A file is predicted: where the results are, and its row of ``summary.csv``.

    `note` says where the pixel size is another than the model's; `fitted`, in sentences, how the
    image was fitted to the model.

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
    """A file could not be predicted, and why.

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
    """Predict files one after the other; a file that cannot be used does not end the batch.

    Writes ``<name>_labels.tif`` for each. ``summary.csv`` and, for objects, ``objects.csv`` grow
    with each file, so that a stopped or killed batch has the rows of all that is finished. What
    they hold of other files, from an earlier batch, stays.

    Parameters
    ----------
    model
        Model to use.
    inputs
        From `napari_unet.core.prediction.batch_inputs.find_inputs`.
    options
        How, and where to.
    progress
        Called with (index of the file, its blocks done, its blocks in all).
    should_stop
        Asked before each block; when true, the file at hand is given up.

    Yields
    ------
    FilePredicted or FileFailed
        One per file.

    Raises
    ------
    SettingsError
        When results are there already and are not to be replaced.
    DeviceError
        When the device is missing or its memory full.
    StorageError
        When the folder cannot be written.
    Cancelled
        When `should_stop` said so; what was finished before is kept.

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
    network = block_network(model, compute, how.test_time_augmentation)  # held: made only once
    with keeping_freed_memory():  # from one file to the next
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
            f"'{there[0].name}'. Choose another folder, or say that they may be replaced "
            "(--overwrite)."
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
        raise Cancelled("The prediction was stopped; files that were finished are kept.")
    try:
        return _predict_file(model, item, options, tables, progress, should_stop)
    except (Cancelled, DeviceError, StorageError):  # these would stop the next file too
        raise
    except MemoryError:
        return FileFailed(
            item.path,
            "It does not fit into memory. Save it as an uncompressed TIFF or as Zarr, which are "
            "read block by block.",
        )
    except UNetError as error:
        return FileFailed(item.path, str(error))
    except Exception as error:
        if not _is_lazy(item.path):
            return FileFailed(item.path, unforeseen(traceback.format_exc()))
        # Every codec fails in its own way on a damaged block, long after the file was opened.
        problem = f"It cannot be read to its end ({str(error)[:120] or type(error).__name__})."
        return FileFailed(item.path, f"{problem} Copy it again, or save it anew.")


def _is_lazy(path: Path) -> bool:
    try:
        return path.is_dir() or path.stat().st_size >= _LAZY_BYTES
    except OSError:  # gone, or a link that leads nowhere: reading it says so
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
    # Objects that were measured say more than pixels do.
    note = "" if how.scale == "auto" else pixel_size_note(model.info, image, how.scale)
    return FilePredicted(item.path, labels, probabilities, summary, note, prediction.notes)


def _fitted_columns(prediction: Prediction, options: BatchOptions) -> dict[str, Any]:
    """How the image was fitted to the model, as far as that is not the same for all."""
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
    """Make a folder beside the results, and theirs if it is missing."""
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
