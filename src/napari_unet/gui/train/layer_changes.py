"""Counting the changes of layers, so that only changed ones are read again. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari

__all__ = ["LayerChanges"]


class LayerChanges:
    """Counts the changes of layers, and notices the first stroke on predictions.

    Parameters
    ----------
    viewer
        The viewer; its sliders distinguish a change from a move to another plane.
    changed
        Called after a followed layer has changed.
    edited
        Called after the user painted on a layer that `wait_for_edits` watches.

    Attributes
    ----------
    versions
        Number of changes of each layer, by ``id``.
    """

    def __init__(
        self, viewer: napari.Viewer, changed: Callable[[], None], edited: Callable[[], None]
    ) -> None:
        self._viewer = viewer
        self._changed, self._edited = changed, edited
        self._followed: list[Any] = []
        self._watched: list[Any] = []
        self._step: tuple[int, ...] = ()
        self.versions: dict[int, int] = {}

    def follow(self, layers: Sequence[Any]) -> None:
        """Follow these layers from now on, and no others."""
        for layer in self._followed:
            for emitter in _emitters(layer):
                emitter.disconnect(self._on_changed)
        self._followed = list({id(x): x for x in layers if x is not None}.values())
        for layer in self._followed:
            self._count(layer)
            for emitter in _emitters(layer):
                emitter.connect(self._on_changed)

    def wait_for_edits(self, layers: Sequence[Any]) -> None:
        """Watch these layers, and no others, for a first stroke from now on."""
        for layer in self._watched:
            layer.events.paint.disconnect(self._on_edited)
        self._watched = list(layers)
        for layer in layers:
            layer.events.paint.connect(self._on_edited)

    def _on_edited(self, _event: Any) -> None:
        self._edited()

    def _on_changed(self, event: Any) -> None:
        # napari also emits set_data if a slider moves, and emits only set_data for an undo.
        step = tuple(self._viewer.dims.current_step)
        moved, self._step = step != self._step, step
        if event.type == "set_data" and moved:
            return
        self._count(event.source)
        self._changed()

    def _count(self, layer: Any) -> None:
        self.versions[id(layer)] = self.versions.get(id(layer), 0) + 1


def _emitters(layer: Any) -> list[Any]:
    names = ("paint", "set_data", "data", "name")
    found = (getattr(layer.events, name, None) for name in names)
    return [emitter for emitter in found if emitter is not None]
