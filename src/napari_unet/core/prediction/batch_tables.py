"""Tables of a batch: the measurements of each image and the order of their columns."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.core.evaluation.measure import measure_objects, summarise_objects
from napari_unet.core.evaluation.metrics import distinct_names
from napari_unet.core.images.units import um_per_px
from napari_unet.core.system.atomic_files import atomic_write_csv, csv_writer, storage_error

if TYPE_CHECKING:
    from napari_unet.core.images.image import Image
    from napari_unet.core.prediction.prediction import Prediction

__all__ = ["BatchTables", "is_table_of_batch", "measure_prediction"]

_ROWS = 512
"""Rows of labels that are counted at a time: the height of a chunk on disk."""

_OBJECT_COLUMNS = ("file", "plane", "id", "area_px", "area_um2", "centroid_y", "centroid_x")
_LAST_COLUMNS = ("touches_border", "confidence")
_SUMMARY_COLUMNS = (
    "file",
    "objects",
    "objects_inside",
    "objects_at_border",
    "area_px_total",
    "area_px_median",
)


def measure_prediction(
    prediction: Prediction, image: Image, file: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the rows of ``objects.csv`` and the row of ``summary.csv`` of one image.

    Without objects, the row holds the area and share of each class.
    """
    labels: Any = prediction.labels
    if not isinstance(labels, np.ndarray):
        import dask.array as da

        labels = da.asarray(labels)  # type: ignore[no-untyped-call, unused-ignore]
    task = prediction.model.task
    um_known = image.pixel_size is not None and um_per_px(image.pixel_size) is not None
    if not task.labels_are_objects:
        classes = distinct_names({c.id: c.name for c in task.label_classes})
        return [], _class_areas(labels, classes, file, _area_um2(image))
    rows = measure_objects(labels, image, confidence=prediction.confidence, file=file)
    return rows, summarise_objects(rows, file, um_known=um_known)


def _area_um2(image: Image) -> float | None:
    sizes = um_per_px(image.pixel_size) if image.pixel_size else None
    return float(np.prod(sizes[-2:])) if sizes else None


def _class_areas(
    labels: Any, classes: dict[int, str], file: str, area_um2: float | None
) -> dict[str, Any]:
    counts = dict.fromkeys(classes, 0)
    height = labels.shape[-2]
    for *position, start in np.ndindex(*labels.shape[:-2], -(-height // _ROWS)):
        rows = slice(start * _ROWS, (start + 1) * _ROWS)
        ids, n = np.unique(np.asarray(labels[(*position, rows)]), return_counts=True)
        for class_id, count in zip(ids.tolist(), n.tolist(), strict=True):
            counts[class_id] = counts.get(class_id, 0) + count
    summary: dict[str, Any] = {"file": file}
    for class_id, name in classes.items():
        summary[f"area_px_{name}"] = counts[class_id]
        if area_um2 is not None:
            summary[f"area_um2_{name}"] = counts[class_id] * area_um2
    total = max(1, sum(counts.values()))
    return summary | {f"share_{name}": counts[i] / total for i, name in classes.items()}


def is_table_of_batch(path: Path) -> bool:
    """Return whether a file is a table written by `BatchTables`."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [""])[0] == "file"
    except (OSError, UnicodeError, csv.Error):
        return False


class BatchTables:
    """``summary.csv`` and ``objects.csv`` of a batch, extended as each file is finished.

    Parameters
    ----------
    folder
        Folder of the tables. Rows of other files from an earlier batch are kept, as are their
        labels.
    files
        Values of the column ``file`` in the rows of this batch.
    """

    def __init__(self, folder: Path, files: Collection[str]) -> None:
        self._objects = _GrowingTable(folder / "objects.csv", _OBJECT_COLUMNS, files)
        self._summary = _GrowingTable(folder / "summary.csv", _SUMMARY_COLUMNS, files)

    def add(self, summary: dict[str, Any], objects: Sequence[dict[str, Any]]) -> None:
        """Write the rows of one image; on `StorageError` the tables are as before.

        The row of ``summary.csv`` is written last, so a listed image is always complete.
        """
        if "objects" in summary:
            self._objects.add(objects)
        else:
            self._objects.forget()
        self._summary.add([summary])


class _GrowingTable:
    """A CSV file that is appended to, and rewritten only if a row has a new column.

    Existing rows of `files` come from an earlier batch and are dropped.
    """

    def __init__(self, path: Path, first: Sequence[str], files: Collection[str]) -> None:
        self._path = path
        self._first = first
        self._files = files
        self._columns: list[str] | None = None

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append rows."""
        before, kept = self._before()
        columns = self._ordered(dict.fromkeys([*before, *(key for row in rows for key in row)]))
        if self._columns is not None and columns == before:
            self._append(rows)
            return
        header = columns or [*self._first, *_LAST_COLUMNS]  # also if there are no rows
        atomic_write_csv(self._path, itertools.chain(kept, rows), header)
        self._columns = columns

    def forget(self) -> None:
        """Drop the rows that an earlier batch wrote for the files of this one."""
        if self._columns is not None:
            return
        before, kept = self._before()
        if before:
            atomic_write_csv(self._path, kept, before)
        else:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                raise storage_error(error, self._path) from error
        self._columns = before

    def _before(self) -> tuple[list[str], Iterator[dict[str, str]]]:
        """Return the columns and rows to keep."""
        if self._columns is not None:
            return self._columns, self._rows()
        others = (row for row in self._rows() if row["file"] not in self._files)
        first = next(others, None)
        return ([], others) if first is None else ([*first], itertools.chain([first], others))

    def _ordered(self, found: Iterable[str]) -> list[str]:
        """Return columns in a fixed order that does not depend on the order of the files."""
        found = list(found)
        head = [c for c in self._first if c in found]
        tail = [c for c in _LAST_COLUMNS if c in found]
        return [*head, *(c for c in found if c not in {*head, *tail}), *tail]

    def _rows(self) -> Iterator[dict[str, str]]:
        if is_table_of_batch(self._path):
            with self._path.open(encoding="utf-8", newline="") as file:
                yield from csv.DictReader(file)

    def _append(self, rows: Sequence[dict[str, Any]]) -> None:
        try:
            size = self._path.stat().st_size
            try:
                with self._path.open("a", encoding="utf-8", errors="replace", newline="") as file:
                    csv_writer(file, self._columns or ()).writerows(rows)
            except OSError:
                os.truncate(self._path, size)
                raise
        except OSError as error:
            raise storage_error(error, self._path) from error
