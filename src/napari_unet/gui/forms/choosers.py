"""Layer choosers that follow the viewer when layers are added, removed, moved or renamed."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import QObject, Qt

from napari_unet.gui.forms.fields import narrow
from napari_unet.gui.forms.pieces import is_alive
from napari_unet.gui.layers.proxies import unwrapped

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

__all__ = ["LayerChooser", "follow_layers"]

_EVENTS = ("inserted", "removed", "reordered", "renamed")

Wanted = Callable[["Layer"], bool]


def follow_layers(viewer: napari.Viewer, callback: Callable[[], None], owner: QObject) -> None:
    """Call a function whenever layers are added, removed, moved or renamed.

    Parameters
    ----------
    viewer
        Viewer whose layers are followed.
    callback
        Function without arguments. Methods are referenced weakly.
    owner
        Qt object that the callback works on; calls end when it is deleted. Its signal `destroyed`
        is not used, because Python code called from it can crash.
    """
    viewer = unwrapped(viewer)
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
        for emitter in (*known, *renamed):  # older napari: connect every layer
            emitter.connect(changed)

    listen()


def _of_types(viewer: napari.Viewer, kinds: Sequence[str], wanted: Wanted | None) -> list[Layer]:
    """Return layers of some types, topmost first: users usually mean the newest one."""
    from napari import layers

    classes = tuple(getattr(layers, kind.capitalize()) for kind in kinds)
    found = [layer for layer in viewer.layers if isinstance(layer, classes)]
    return [layer for layer in reversed(found) if wanted is None or wanted(layer)]


class LayerChooser(ComboBox):
    """Choice of one layer of some types.

    The chosen layer stays chosen while it exists, even if it is renamed.

    Parameters
    ----------
    viewer
        Viewer whose layers are listed.
    kinds
        Types of layers: ``"image"``, ``"labels"``, ``"shapes"``.
    none
        Text of the choice without a layer, for example ``"everywhere"``. If None, a layer must be
        chosen.
    wanted
        Function that returns whether to list a layer. If None, all are listed.
    tooltip
        Tooltip of the list.
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
        self._viewer, self._kinds = unwrapped(viewer), kinds
        self._wanted, self._none = wanted, none
        super().__init__(choices=self._choices, tooltip=tooltip)
        narrow(self)
        follow_layers(viewer, self.refresh, self.native)

    @property
    def layer(self) -> Any:
        """Chosen layer, or None."""
        return self.value

    @layer.setter
    def layer(self, layer: Layer | None) -> None:
        self.value = unwrapped(layer)

    def refresh(self) -> None:
        """Read the layer list again."""
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
