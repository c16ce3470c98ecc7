"""A table whose rows can be sorted, clicked, copied and saved as CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from magicgui.widgets import Container, Widget
from psygnal import Signal
from qtpy.QtCore import QAbstractTableModel, QEvent, QModelIndex, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import (  # type: ignore[attr-defined]
    QAbstractItemView,
    QAction,
    QApplication,
    QFileDialog,
    QHeaderView,
    QTableView,
)

from napari_unet.core.errors import StorageError

__all__ = ["Table"]

Row = Mapping[str, Any]

_ROW_PX = 20


class Table(Container[Widget]):
    """Rows of values under headings, for a dock.

    A click on a heading sorts (numbers by value, empty cells last). A click on a row, or an arrow
    key, emits `row_clicked`. Ctrl+C copies the selected rows with headings for a spreadsheet; the
    context menu copies everything or saves CSV.

    Parameters
    ----------
    rows
        One mapping per row.
    columns
        Keys to show, in order. If None, all keys in order of first appearance.
    headings
        Headings by key; keys without one are shown as they are.
    tooltips
        Tooltips of the headings by key.
    """

    row_clicked = Signal(dict)
    """Emitted with the mapping of the clicked row."""
    failed = Signal(str)
    """Emitted with the error message when a file could not be saved."""

    def __init__(
        self,
        rows: Sequence[Row] = (),
        columns: Sequence[str] | None = None,
        *,
        headings: Mapping[str, str] | None = None,
        tooltips: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._model = _Rows(headings or {}, tooltips or {})
        self._view: Any = _make_view(self._model)
        self._view.copy_rows = self.copy
        self._model.setParent(self._view)
        self.native.layout().addWidget(self._view)
        self._connect()
        self.show_rows(rows, columns)

    @property
    def view(self) -> QTableView:
        """Qt view of the table."""
        view: QTableView = self._view
        return view

    @property
    def rows(self) -> list[Row]:
        """Rows in the order shown."""
        return list(self._model.rows)

    @property
    def selected_rows(self) -> list[Row]:
        """Selected rows, from top to bottom."""
        selection = self._view.selectionModel()
        shown = sorted(index.row() for index in selection.selectedRows())
        return [self._model.rows[i] for i in shown]

    def show_rows(self, rows: Sequence[Row], columns: Sequence[str] | None = None) -> None:
        """Replace all rows, clear the selection and keep the sorting."""
        blocked = self._view.selectionModel().blockSignals(True)
        self._model.replace(rows, columns)
        self._view.selectionModel().blockSignals(blocked)
        self._view.clearSelection()
        if self._model.rowCount() <= 2000:
            self._view.resizeColumnsToContents()

    def sort_by(self, column: str, *, descending: bool = False) -> None:
        """Sort by a column."""
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        self._view.sortByColumn(self._model.columns.index(column), order)

    def csv_text(self, *, selected: bool = False, delimiter: str = ",") -> str:
        """Return the rows as CSV in the order shown: keys as headings, numbers unrounded.

        Parameters
        ----------
        selected
            Whether to include only the selected rows.
        delimiter
            Separator of cells; a tab for the clipboard.
        """
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow(self._model.columns)
        for row in self.selected_rows if selected else self.rows:
            writer.writerow([_cell(row.get(column)) for column in self._model.columns])
        return text.getvalue()

    def save_csv(self, path: Path | str) -> None:
        """Save all rows as CSV; a failed write leaves no partial file.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        from napari_unet.core.system.atomic_files import atomic_write_text

        atomic_write_text(Path(path), self.csv_text())

    def copy(self, *, selected: bool = True) -> None:
        """Copy the selected rows, or all if none is selected, to the clipboard."""
        text = self.csv_text(selected=selected and bool(self.selected_rows), delimiter="\t")
        clipboard: Any = QApplication.clipboard()
        clipboard.setText(text)

    def ask_and_save(self) -> None:
        """Ask for a file name and save as CSV."""
        name, _ = QFileDialog.getSaveFileName(self.native, "Save table", "table.csv", "CSV (*.csv)")
        if not name:
            return
        try:
            self.save_csv(name)
        except StorageError as error:
            self.failed.emit(str(error))

    def _connect(self) -> None:
        view = self._view
        view.selectionModel().currentRowChanged.connect(self._on_current)
        view.clicked.connect(self._emit_row)
        for text, call in (
            ("Copy rows", self.copy),
            ("Copy all", lambda: self.copy(selected=False)),
            ("Save as CSV …", self.ask_and_save),
        ):
            action = QAction(text, view)
            action.triggered.connect(lambda _checked=False, call=call: call())
            view.addAction(action)

    def _on_current(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if self._view.in_key_press:
            self._emit_row(current)

    def _emit_row(self, index: QModelIndex) -> None:
        if index.isValid():
            self.row_clicked.emit(dict(self._model.rows[index.row()]))


class _View(QTableView):
    """A view in which Ctrl+C copies rows, instead of one cell (Qt) or the layer (napari)."""

    copy_rows: Callable[[], None] = staticmethod(lambda: None)
    in_key_press = False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        self.in_key_press = True
        super().keyPressEvent(event)
        self.in_key_press = False

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Copy):
            if event.type() == QEvent.Type.KeyPress:
                self.copy_rows()
            event.accept()
            return True
        return bool(super().event(event))


class _Rows(QAbstractTableModel):
    """Rows in the order shown."""

    def __init__(self, headings: Mapping[str, str], tooltips: Mapping[str, str]) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.columns: list[str] = []
        self._sorting = (-1, False)
        self._headings, self._tooltips = headings, tooltips

    def replace(self, rows: Sequence[Row], columns: Sequence[str] | None) -> None:
        self.beginResetModel()
        self.rows = list(rows)
        self.columns = list(columns or dict.fromkeys(key for row in rows for key in row))
        self.rows = [self.rows[i] for i in self._order()]
        self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort in Python: the comparisons of a proxy model take 5 s for 20,000 rows."""
        self._sorting = column, order == Qt.SortOrder.DescendingOrder
        self.layoutAboutToBeChanged.emit()
        places = self._order()
        self.rows = [self.rows[i] for i in places]
        now = {before: after for after, before in enumerate(places)}
        old = self.persistentIndexList()
        self.changePersistentIndexList(old, [self.index(now[i.row()], i.column()) for i in old])
        self.layoutChanged.emit()

    def _order(self) -> list[int]:
        """Return the sorted indices of the rows; empty cells come last in both directions."""
        column, descending = self._sorting
        places = list(range(len(self.rows)))
        if not 0 <= column < len(self.columns):
            return places
        values = [_python(row.get(self.columns[column])) for row in self.rows]
        full = [i for i in places if not _is_empty(values[i])]
        empty = [i for i in places if _is_empty(values[i])]
        return sorted(full, key=lambda i: _key(values[i]), reverse=descending) + empty

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(self.columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        value = _python(self.rows[index.row()].get(self.columns[index.column()]))
        if role == Qt.ItemDataRole.DisplayRole:
            return _shown(value)
        if role == Qt.ItemDataRole.TextAlignmentRole and _is_number(value):
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(  # noqa: N802
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal or section >= len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._headings.get(column, column.replace("_", " "))
        return self._tooltips.get(column) if role == Qt.ItemDataRole.ToolTipRole else None


def _make_view(model: _Rows) -> _View:
    view: Any = _View()
    view.setModel(model)
    view.setSortingEnabled(True)
    view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
    view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    view.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
    view.setWordWrap(False)
    view.verticalHeader().setVisible(False)
    view.verticalHeader().setDefaultSectionSize(_ROW_PX)
    view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    view.horizontalHeader().setStretchLastSection(True)
    view.setMinimumHeight(6 * _ROW_PX)
    table: _View = view
    return table


def _key(value: Any) -> tuple[int, Any]:
    """Return a sort key: numbers by value, then text in natural order ("cell 2" < "cell 10")."""
    if _is_number(value):
        return 0, float(value)
    parts = re.split(r"(\d+)", str(value).lower())
    return 1, [(int(p), "") if p.isdigit() else (-1, p) for p in parts]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _shown(value: Any) -> str:
    if _is_empty(value):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _python(value: Any) -> Any:
    """Convert a NumPy number to a plain Python number."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _cell(value: Any) -> Any:
    value = _python(value)
    return "" if _is_empty(value) else value
