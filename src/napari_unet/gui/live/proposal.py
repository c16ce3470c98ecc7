"""Proposal of labels to correct, at the place where painting would help most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.live.label_meaning import BACKGROUND_ID

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from napari_unet.core.live.events import LiveSuggestion
    from napari_unet.core.tasks.base import Task
    from napari_unet.gui.live.planes import LivePlane

__all__ = ["Proposal"]


class Proposal:
    """A window with proposed labels, in a separate Labels layer that can be painted on.

    Parameters
    ----------
    viewer
        The viewer that shows the layer; its camera moves to the window.
    plane
        The plane that the proposal is for.
    suggestion
        Position of the window, and the proposed labels.
    task
        Task of the training; its classes have colours.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        plane: LivePlane,
        suggestion: LiveSuggestion,
        task: Task,
    ) -> None:
        from napari_unet.gui.layers import add_labels, jump_to
        from napari_unet.gui.layers.colours import class_colours

        assert suggestion.origin is not None
        assert suggestion.labels is not None
        self._viewer = viewer
        self.plane = plane
        (y, x), (height, width) = suggestion.origin, suggestion.labels.shape
        self.window = (slice(y, y + height), slice(x, x + width))
        labels = suggestion.labels
        self._objects = task.labels_are_objects
        if self._objects:
            labels = _renumber(labels, plane.layer)
        self._suggested = np.unique(labels)
        whole = np.zeros(plane.sent.shape, labels.dtype)
        whole[self.window] = labels
        self.layer: Labels = add_labels(
            viewer,
            plane.image_layer,
            whole,
            name=f"{plane.image.name} proposal",
            metadata={"kind": "proposal"},
            position=plane.position,
            axes=plane.axes,
            colours=class_colours(task),
        )
        self.layer.opacity = 0.5
        strokes = plane.layer
        self.layer.mode, self.layer.brush_size = "paint", strokes.brush_size
        self.layer.selected_label = strokes.selected_label
        if self._objects:  # each stroke starts a new object
            self._take_next(self.layer)
            self.layer.bind_key("M", self._take_next, overwrite=True)
        centre = (y + height / 2, x + width / 2)
        jump_to(
            viewer,
            plane.image_layer,
            plane.position,
            centre,
            diameter_px=max(height, width) / 3,
            axes=plane.axes,
        )
        viewer.layers.selection.active = self.layer

    def _take_next(self, layer: Labels) -> None:
        """Select the number after all of both layers; napari would check only the proposal."""
        layer.selected_label = 1 + max(int(np.max(x.data)) for x in (self.plane.layer, layer))

    @property
    def corrected(self) -> bool:
        """Whether the user painted on it."""
        from napari_unet.gui.layers import was_edited

        return was_edited(self.layer)

    def accept(self) -> None:
        """Paint the proposal, with all corrections, where nothing is painted yet.

        Raises
        ------
        LabelsError
            If the data type of the painted layer is too small for the object numbers.
        """
        if self.layer in self._viewer.layers:
            data, (height, width) = np.asarray(self.layer.data), self.plane.sent.shape
            swapped = self.plane.axes.index("X") < self.plane.axes.index("Y")
            proposed = data.reshape(width, height).T if swapped else data.reshape(height, width)
            everywhere = (slice(0, height), slice(0, width))
            if self._objects:
                proposed = self._renumber_clashes(proposed)
            self.plane.write(everywhere, proposed)
        self.remove()

    def _renumber_clashes(self, proposed: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        """Renumber objects whose numbers are in use, unless they extend that very object."""
        from scipy.ndimage import binary_dilation

        painted = np.asarray(self.plane.layer.data)
        numbers = np.unique(proposed[proposed > BACKGROUND_ID])
        first = 1 + max(int(painted.max()), int(proposed.max()))
        found = proposed.astype(np.uint32)
        for number in numbers[np.isin(numbers, painted)]:
            one = proposed == number
            near = binary_dilation(one) & (self.plane.sent == number)
            if number in self._suggested or not near.any():
                found[one] = first
                first += 1
        return found

    def give_up(self) -> None:
        """Remove the proposal unless the user painted on it."""
        if not self.corrected:
            self.remove()

    def remove(self) -> None:
        """Remove the proposal."""
        if self.layer in self._viewer.layers:
            self._viewer.layers.remove(self.layer)
        if self.plane.layer in self._viewer.layers:
            self._viewer.layers.selection.active = self.plane.layer


def _renumber(labels: NDArray[np.integer[Any]], layer: Labels) -> NDArray[np.uint32]:
    """Renumber proposed objects with numbers that are not used in a layer."""
    last = max(BACKGROUND_ID, int(np.max(layer.data)))
    shift = last - BACKGROUND_ID
    return np.where(labels > BACKGROUND_ID, labels + np.uint32(shift), labels).astype(np.uint32)
