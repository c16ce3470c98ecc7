"""The table of classes: colour, number, name, painted pixels and background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_unet.core.images.palette import GREY
from napari_unet.core.tasks.semantic import ClassInfo

__all__ = ["ClassTable"]

_HEADERS = ("", "Id", "Name", "Painted", "Bg")
_COLOUR, _ID, _NAME, _PAINTED, _BACKGROUND = range(5)
_MOST_ROWS_SHOWN = 6


class ClassTable(QTableWidget):
    """Table that shows the classes and lets the user edit them.

    Parameters
    ----------
    parent
        The Qt parent.

    Attributes
    ----------
    changed
        Signal: the user renamed a class, or chose a colour or another background.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_HEADERS), parent)
        self._classes: tuple[ClassInfo, ...] = ()
        self._counts: dict[int, int] = {}
        self._sparse = False
        self.setHorizontalHeaderLabels(_HEADERS)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        rows: Any = self.verticalHeader()
        rows.setVisible(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setShowGrid(False)
        header: Any = self.horizontalHeader()
        header.setMinimumSectionSize(20)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(False)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        tip = self.horizontalHeaderItem(_BACKGROUND)
        if tip is not None:
            tip.setToolTip("The class that is the background.")
        self.setToolTip(
            "Double-click a name or a colour to change it. Tick the class that is the background."
        )
        self.itemChanged.connect(self._on_item)
        self.itemDoubleClicked.connect(self._on_double_click)

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes in the table."""
        return self._classes

    def set_classes(
        self, classes: Sequence[ClassInfo], counts: Mapping[int, int], *, sparse: bool
    ) -> None:
        """Show classes and the number of painted pixels of each.

        Parameters
        ----------
        classes
            Classes, with colours.
        counts
            Number of painted pixels by id.
        sparse
            Whether any class can be the background; else the background is 0.
        """
        new = (tuple(classes), dict(counts), sparse)
        if new == (self._classes, self._counts, self._sparse):
            return
        self._classes, self._counts, self._sparse = new
        self._fill()

    def rename(self, class_id: int, name: str) -> None:
        """Rename a class, as the user would."""
        self._change(class_id, name=name.strip() or f"class {class_id}")

    def choose_background(self, class_id: int) -> None:
        """Choose the background class, as the user would."""
        self._classes = tuple(
            c.model_copy(update={"background": c.id == class_id}) for c in self._classes
        )
        self._fill()
        self.changed.emit()

    def choose_colour(self, class_id: int, colour: str) -> None:
        """Set the colour of a class, as the user would."""
        self._change(class_id, color=colour)

    def _change(self, class_id: int, **update: str) -> None:
        self._classes = tuple(
            c.model_copy(update=update) if c.id == class_id else c for c in self._classes
        )
        self._fill()
        self.changed.emit()

    def _fill(self) -> None:
        blocked = self.blockSignals(True)
        self.setRowCount(len(self._classes))
        for row, info in enumerate(self._classes):
            self._fill_row(row, info)
        self.blockSignals(blocked)
        self._fit_height()

    def _fill_row(self, row: int, info: ClassInfo) -> None:
        painted = self._counts.get(info.id, 0)
        items = [QTableWidgetItem(t) for t in ("", str(info.id), info.name, f"{painted:,}", "")]
        fixed = Qt.ItemFlag.ItemIsEnabled
        for item in items:
            item.setFlags(fixed)
        items[_NAME].setFlags(fixed | Qt.ItemFlag.ItemIsEditable)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        items[_PAINTED].setTextAlignment(right)
        items[_PAINTED].setToolTip("Number of pixels painted with this class.")
        items[_COLOUR].setText("■")
        items[_COLOUR].setForeground(QColor(info.color or GREY))
        items[_COLOUR].setToolTip("Double-click to change the colour.")
        ticked = Qt.CheckState.Checked if info.background else Qt.CheckState.Unchecked
        if self._sparse:
            items[_BACKGROUND].setFlags(fixed | Qt.ItemFlag.ItemIsUserCheckable)
        items[_BACKGROUND].setCheckState(ticked)
        for column, item in enumerate(items):
            self.setItem(row, column, item)

    def _fit_height(self) -> None:
        shown = min(max(1, self.rowCount()), _MOST_ROWS_SHOWN)
        header: Any = self.horizontalHeader()
        rows: Any = self.verticalHeader()
        row = self.rowHeight(0) if self.rowCount() else rows.defaultSectionSize()
        self.setFixedHeight(header.sizeHint().height() + 4 + shown * row)

    def _on_item(self, item: QTableWidgetItem) -> None:
        info = self._classes[item.row()]
        if item.column() == _NAME and item.text() != info.name:
            self.rename(info.id, item.text())
        elif item.column() == _BACKGROUND:
            self.choose_background(info.id)  # there is always one: unticking it ticks it again

    def _on_double_click(self, item: QTableWidgetItem) -> None:
        if item.column() != _COLOUR:
            return
        info = self._classes[item.row()]
        colour = QColorDialog.getColor(QColor(info.color or GREY), self)
        if colour.isValid():
            self.choose_colour(info.id, colour.name())
