"""Choosing layers: lists that follow the viewer when layers come, go, move or get another name."""

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
        for emitter in (*known, *renamed):  # older napari: each layer for itself
            emitter.connect(changed)

    listen()


def _of_types(viewer: napari.Viewer, kinds: Sequence[str], wanted: Wanted | None) -> list[Layer]:
    """Layers of some types, the topmost first: what was added last is what people mean."""
    from napari import layers

    classes = tuple(getattr(layers, kind.capitalize()) for kind in kinds)
    found = [layer for layer in viewer.layers if isinstance(layer, classes)]
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
        self._viewer, self._kinds = unwrapped(viewer), kinds
        self._wanted, self._none = wanted, none
        super().__init__(choices=self._choices, tooltip=tooltip)
        narrow(self)
        follow_layers(viewer, self.refresh, self.native)

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        return self.value

    @layer.setter
    def layer(self, layer: Layer | None) -> None:
        self.value = unwrapped(layer)

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
