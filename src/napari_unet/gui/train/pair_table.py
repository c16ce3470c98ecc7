"""The table of pairs of image layers and labels, proposed and editable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtGui import QAction  # type: ignore[attr-defined, unused-ignore]
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from napari_unet.gui.layers.pair_row import PairRow

__all__ = ["PairTable"]

_EVERYWHERE = "everywhere"
_NOTHING = "–"
_ARROW_PX = 30


class PairTable(QWidget):
    """Rows of images, labels and, if there are Shapes layers, annotated areas.

    Parameters
    ----------
    parent
        The Qt parent.

    Attributes
    ----------
    changed
        Signal: the user changed the pairs.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[PairRow] = []
        self._images: list[Any] = []
        self._labels: list[Any] = []
        self._areas: list[Any] = []
        self._shown: object = None
        self.touched = False
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)

    @property
    def rows(self) -> list[PairRow]:
        """The complete pairs."""
        return [r for r in self._rows if r.images and r.labels is not None]

    @property
    def missing(self) -> str:
        """What to choose for a first pair, as a sentence; empty if layers are missing."""
        if not self._images or not self._labels or self.rows:
            return ""
        if not self._rows:
            return "Press '+ add a pair' in the table above and choose an image and its labels."
        names = " + ".join(str(i.name) for i in self._rows[0].images)
        return f"Choose the labels of '{names}' in the table above; no labels are selected."

    def set_layers(
        self, images: Sequence[Any], labels: Sequence[Any], areas: Sequence[Any]
    ) -> None:
        """Set the available layers; remove rows whose layers are no longer open."""
        self._images, self._labels, self._areas = list(images), list(labels), list(areas)
        kept = []
        for row in self._rows:
            open_images = tuple(i for i in row.images if _among(i, self._images))
            label = row.labels if _among(row.labels, self._labels) else None
            area = row.area if _among(row.area, self._areas) else None
            if open_images and (label is not None or row.labels is None):
                kept.append(PairRow(open_images, label, area))
        self._rows = kept
        self._build()

    def set_rows(self, rows: Sequence[PairRow]) -> None:
        """Show these pairs."""
        self._rows = list(rows)
        self._build()

    def show_labels(self, layer: Any) -> None:
        """Add a Labels layer to the choices."""
        if not _among(layer, self._labels):
            self._labels.append(layer)

    def add_row(self) -> None:
        """Add a pair with the first image that is in no pair."""
        used = [image for row in self._rows for image in row.images]
        free = next((i for i in self._images if not _among(i, used)), None)
        if free is None and not self._images:
            return
        self._rows.append(PairRow((free if free is not None else self._images[0],)))
        self._on_user_change()

    def remove_row(self, index: int) -> None:
        """Remove a pair from the table; its layers stay open."""
        del self._rows[index]
        self._on_user_change()

    def change_row(self, index: int, **changes: Any) -> None:
        """Change fields of a row, as the user would."""
        self._rows[index] = replace(self._rows[index], **changes)
        self._on_user_change()

    def _on_user_change(self) -> None:
        self.touched = True
        self._build()
        self.changed.emit()

    def _build(self) -> None:
        """Rebuild the table if it has changed; called for every layer added or removed."""
        shown = self._content()
        if shown == self._shown:
            return
        self._shown = shown
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        if self._rows:
            titles = ["Image", "Labels", *(["Area"] if self._areas else [])]
            for column, title in enumerate(titles):
                self._grid.addWidget(QLabel(title, self), 0, column)
        for index, row in enumerate(self._rows):
            self._build_row(index, row)
        self._grid.addWidget(self._add_button(), len(self._rows) + 1, 0, 1, 4)

    def _content(self) -> object:
        layers = (self._images, self._labels, self._areas)
        chosen = [([id(i) for i in r.images], id(r.labels), id(r.area)) for r in self._rows]
        return chosen, [[(id(x), str(x.name)) for x in some] for some in layers]

    def _build_row(self, index: int, row: PairRow) -> None:
        self._grid.addWidget(self._image_button(index, row), index + 1, 0)
        self._grid.addWidget(self._combo(index, "labels", row.labels, self._labels), index + 1, 1)
        if self._areas:
            combo = self._combo(index, "area", row.area, self._areas)
            self._grid.addWidget(combo, index + 1, 2)
        remove = QToolButton(self)
        remove.setText("×")
        remove.setToolTip("Remove this pair from the table. Its layers stay open.")
        remove.setAutoRaise(True)
        remove.clicked.connect(lambda: self.remove_row(index))
        self._grid.addWidget(remove, index + 1, 3)
        for column in range(3):
            self._grid.setColumnStretch(column, 1 if column < 2 or self._areas else 0)

    def _add_button(self) -> QToolButton:
        button = QToolButton(self)
        button.setText("+ add a pair")
        button.setToolTip("Add another image with its labels.")
        button.setAutoRaise(True)
        button.setEnabled(bool(self._images))
        button.clicked.connect(self.add_row)
        return button

    def _image_button(self, index: int, row: PairRow) -> QPushButton:
        """Build a button with a menu to tick images; several are the channels of one image."""
        names = " + ".join(str(i.name) for i in row.images)
        button = _NameButton(names, self)
        button.setStyleSheet("QPushButton { text-align: left; padding-left: 6px }")
        button.setToolTip(f"{names}\nTick several layers to use them as channels of one image.")
        button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        menu = QMenu(button)
        for layer in self._images:
            action = QAction(str(layer.name), menu)
            menu.addAction(action)
            action.setCheckable(True)
            action.setChecked(_among(layer, row.images))
            action.toggled.connect(lambda on, layer=layer: self._toggle(index, layer, on))
        button.setMenu(menu)
        return button

    def _toggle(self, index: int, layer: Any, on: bool) -> None:
        images = [i for i in self._rows[index].images if i is not layer]
        if on:
            images = [i for i in self._images if _among(i, [*images, layer])]
        self.change_row(index, images=tuple(images) or (layer,))

    def _combo(self, index: int, what: str, chosen: Any, layers: Sequence[Any]) -> QComboBox:
        combo = QComboBox(self)
        combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        combo.addItem(_EVERYWHERE if what == "area" else _NOTHING)
        for place, layer in enumerate(layers):
            combo.addItem(str(layer.name))
            if layer is chosen:
                combo.setCurrentIndex(place + 1)
        combo.setToolTip(
            "Shapes around the annotated area. Everything outside is ignored."
            if what == "area"
            else "The Labels layer of this image."
        )
        combo.activated.connect(
            lambda place: self.change_row(index, **{what: layers[place - 1] if place else None})
        )
        return combo


class _NameButton(QPushButton):
    """Button that shortens a long name in the middle to fit its width."""

    def __init__(self, names: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._names = names

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Fit the text to the new width."""
        super().resizeEvent(event)
        room = max(self.width() - _ARROW_PX, 0)
        middle = Qt.TextElideMode.ElideMiddle
        self.setText(self.fontMetrics().elidedText(self._names, middle, room))


def _among(layer: Any, layers: Sequence[Any]) -> bool:
    return any(layer is other for other in layers)
