"""Choosing layers: lists that follow the viewer when layers come, go, move or get another name."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, PushButton, Widget
from psygnal import Signal
from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QComboBox, QListWidget, QListWidgetItem

from napari_unet.gui.forms.pieces import is_alive, plain_container

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Labels, Layer

__all__ = ["LayerChooser", "LayersChooser", "PairTable", "follow_layers"]

_EVENTS = ("inserted", "removed", "reordered", "renamed")
_LINE_PX = 25
_FRAME_PX = 8
_LINES = 5

Wanted = Callable[["Layer"], bool]


def follow_layers(viewer: napari.Viewer, callback: Callable[[], None], owner: QObject) -> None:
    """Call back when layers are added, removed, moved or renamed, as long as a Qt object lives.

    Parameters
    ----------
    viewer
        Whose layers.
    callback
        Called without arguments; of a method only a weak reference is kept.
    owner
        What the callback works on. Nothing is connected to its `destroyed`: Python code that runs
        from there has crashed.
    """
    events = viewer.layers.events
    known = [getattr(events, name) for name in _EVENTS if hasattr(events, name)]
    is_method = hasattr(callback, "__self__")
    find: Callable[[], Any] = weakref.WeakMethod(callback) if is_method else lambda: callback
    find_owner = weakref.ref(owner)

    def changed(_event: Any = None) -> None:
        call, qt_object = find(), find_owner()
        if call is not None and qt_object is not None and is_alive(qt_object):
            listen()
            call()
            return
        for emitter in (*known, *(layer.events.name for layer in viewer.layers)):
            emitter.disconnect(changed)

    def listen() -> None:
        renamed = [] if hasattr(events, "renamed") else [x.events.name for x in viewer.layers]
        for emitter in (*known, *renamed):  # older napari: each layer for itself
            emitter.connect(changed)

    listen()


def _of_types(viewer: napari.Viewer, kinds: Sequence[str], wanted: Wanted | None) -> list[Layer]:
    """Layers of some types, the topmost first: what was added last is what people mean."""
    names = {kind.lower() for kind in kinds}
    found = [layer for layer in viewer.layers if layer._type_string in names]
    return [layer for layer in reversed(found) if wanted is None or wanted(layer)]


class LayerChooser(ComboBox):
    """One layer of some types.

    Keeps what was chosen while it exists, also under a new name.

    Parameters
    ----------
    viewer
        Whose layers.
    kinds
        ``"image"``, ``"labels"``, ``"shapes"``.
    none
        What stands for no layer, for example ``"everywhere"``; None: one has to be chosen.
    wanted
        Which of them; None: all.
    tooltip
        A plain sentence.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        kinds: Sequence[str],
        *,
        none: str | None = None,
        wanted: Wanted | None = None,
        tooltip: str = "",
    ) -> None:
        self._viewer, self._kinds, self._wanted, self._none = viewer, kinds, wanted, none
        super().__init__(choices=self._choices, tooltip=tooltip)
        box = self.native
        assert isinstance(box, QComboBox)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(6)
        follow_layers(viewer, self.refresh, box)

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        return self.value

    @layer.setter
    def layer(self, layer: Layer | None) -> None:
        self.value = layer

    def refresh(self) -> None:
        """Read the layer list anew."""
        before = self.value
        with self.changed.blocked():
            blocked = self.native.blockSignals(True)
            self.native.clear()
            self.reset_choices()
            if before is not None and before in self.choices:
                self.value = before
            self.native.blockSignals(blocked)
        for i in range(self.native.count()):
            tip = Qt.ItemDataRole.ToolTipRole
            self.native.setItemData(i, self.native.itemText(i), tip)
        if self.value is not before:
            self.changed.emit(self.value)

    def _choices(self, _widget: Any = None) -> list[tuple[str, Any]]:
        none = [] if self._none is None else [(self._none, None)]
        layers = _of_types(self._viewer, self._kinds, self._wanted)
        return none + [(layer.name, layer) for layer in layers]


class LayersChooser(Container[Widget]):
    """Any number of layers of some types, ticked in a list.

    Parameters
    ----------
    viewer, kinds, wanted, tooltip
        As in `LayerChooser`.
    """

    changed = Signal(list)
    """Emitted with the ticked layers."""

    def __init__(
        self,
        viewer: napari.Viewer,
        kinds: Sequence[str],
        *,
        wanted: Wanted | None = None,
        tooltip: str = "",
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer, self._kinds, self._wanted = viewer, kinds, wanted
        self._layers: list[Any] = []
        self._ticks = QListWidget()
        self._ticks.setToolTip(tooltip)
        self._ticks.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._ticks.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._ticks.itemChanged.connect(lambda _item: self.changed.emit(self.value))
        self.native.layout().addWidget(self._ticks)
        self.refresh()
        follow_layers(viewer, self.refresh, self._ticks)

    @property
    def value(self) -> list[Any]:
        """The ticked layers, from bottom to top of the layer list."""
        ticked = Qt.CheckState.Checked
        return [
            layer
            for i, layer in enumerate(self._layers)
            if (item := self._ticks.item(i)) is not None and item.checkState() == ticked
        ]

    @value.setter
    def value(self, layers: Sequence[Layer]) -> None:
        self._fill(layers)
        self.changed.emit(self.value)

    def refresh(self) -> None:
        """Read the layer list anew."""
        before = self.value
        self._fill(before)
        if self.value != before:
            self.changed.emit(self.value)

    def _fill(self, ticked: Sequence[Layer]) -> None:
        self._layers = _of_types(self._viewer, self._kinds, self._wanted)[::-1]
        blocked = self._ticks.blockSignals(True)
        self._ticks.clear()
        for layer in self._layers:
            item = QListWidgetItem(layer.name)
            item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
            on = any(layer is other for other in ticked)
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            item.setToolTip(layer.name)
            self._ticks.addItem(item)
        lines = min(max(len(self._layers), 1), _LINES)
        self._ticks.setFixedHeight(lines * _LINE_PX + _FRAME_PX)
        self._ticks.blockSignals(blocked)


class PairTable(Container[Widget]):
    """Pairs of an Image and a Labels layer, a row each, paired by name and shape until edited.

    Parameters
    ----------
    viewer
        Whose layers.
    """

    changed = Signal(list)
    """Emitted with the complete pairs."""

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self.native.layout().setSpacing(3)
        self._viewer = viewer
        self._touched = False
        self._rows: list[_PairRow] = []
        self._add = PushButton(text="Add a pair", tooltip="One more image and its labels.")
        self._match = PushButton(
            text="Pair by name", tooltip="Pair all images and labels by their names and shapes."
        )
        self._add.clicked.connect(self._on_add)
        self._match.clicked.connect(self.match)
        self.append(plain_container([self._add, self._match], layout="horizontal"))
        self.match()
        follow_layers(viewer, self._on_layers, self.native)

    @property
    def value(self) -> list[tuple[Image, Labels]]:
        """The complete pairs."""
        rows = [(row.image_layer.layer, row.labels_layer.layer) for row in self._rows]
        return [(image, labels) for image, labels in rows if image and labels]

    @value.setter
    def value(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        self._touched = True
        self._show(pairs)

    def match(self) -> None:
        """Pair by name and shape, and again whenever layers come and go."""
        from napari_unet.gui.layers import match_layers

        self._touched = False
        self._show(match_layers(self._viewer))

    def _show(self, pairs: Sequence[tuple[Any, Any]]) -> None:
        before = self.value
        while self._rows:
            self.remove(self._rows.pop())
        for image, labels in pairs or [(None, None)]:
            self._append_row(image, labels)
        if self.value != before:
            self.changed.emit(self.value)

    def _append_row(self, image: Any, labels: Any) -> None:
        row = _PairRow(self._viewer, image, labels)
        row.edited.connect(self._on_edit)
        row.dropped.connect(partial(self._on_drop, row))
        self.insert(len(self._rows), row)
        self._rows.append(row)

    def _on_add(self) -> None:
        self._touched = True
        self._append_row(None, None)
        self.changed.emit(self.value)

    def _on_drop(self, row: _PairRow) -> None:
        self._touched = True
        self._rows.remove(row)
        self.remove(row)
        if not self._rows:
            self._append_row(None, None)
        self.changed.emit(self.value)

    def _on_edit(self) -> None:
        self._touched = True
        self.changed.emit(self.value)

    def _on_layers(self) -> None:
        if not self._touched:
            self.match()


class _PairRow(Container[Widget]):
    edited = Signal()
    dropped = Signal()

    def __init__(self, viewer: napari.Viewer, image: Any, labels: Any) -> None:
        self.image_layer = LayerChooser(viewer, ["image"], none="image …", tooltip="The image.")
        self.labels_layer = LayerChooser(
            viewer, ["labels"], none="labels …", tooltip="What was drawn on it."
        )
        drop = PushButton(text="✕", tooltip="Leave this pair out.")
        drop.native.setFixedWidth(24)
        super().__init__(
            widgets=[self.image_layer, self.labels_layer, drop], layout="horizontal", labels=False
        )
        self.margins = (0, 0, 0, 0)
        self.native.layout().setSpacing(3)
        self.image_layer.layer, self.labels_layer.layer = image, labels
        self.image_layer.changed.connect(lambda _layer: self.edited.emit())
        self.labels_layer.changed.connect(lambda _layer: self.edited.emit())
        drop.clicked.connect(lambda _on: self.dropped.emit())
