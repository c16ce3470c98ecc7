"""Buttons that show the compared layers side by side, as outlines or as errors."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Literal

from magicgui.widgets import Container, PushButton, Widget

from napari_unet.core.images.palette import CLEAR
from napari_unet.gui.forms import Legend, plain_container
from napari_unet.gui.layers.colours import OUTLINES

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Labels, Layer

__all__ = ["How", "Views"]

How = Literal["side by side", "overlay", "errors", "back"]


class Views(Container[Widget]):
    """Views of image, ground truth, prediction and errors.

    Parameters
    ----------
    viewer
        Viewer whose layers are arranged.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._viewer = viewer
        self._image: Image | None = None
        self._compared: dict[str, Labels] = {}
        self._errors: Labels | None = None
        self._colours_before: list[tuple[weakref.ref[Labels], Any]] = []
        self._legend = Legend(OUTLINES)
        buttons = [
            self._button(
                "Side by side", "side by side", "Show image, ground truth and prediction in a row."
            ),
            self._button(
                "Overlay",
                "overlay",
                "Show the outlines of ground truth and prediction on the image.",
            ),
            self._button("Errors", "errors", "Show the errors in colour on the image."),
            self._button("Back", "back", "Show the layers as they were before."),
        ]
        self.append(plain_container(buttons, layout="horizontal"))
        self.append(self._legend)
        self._legend.visible = False

    def show_compared(
        self, image: Image | None, truth: Labels, prediction: Labels, errors: Labels | None
    ) -> None:
        """Set the layers that the buttons show."""
        self._image, self._errors = image, errors
        self._compared = {"truth": truth, "prediction": prediction}

    def look(self, how: How) -> None:
        """Arrange the layers that are still in the viewer."""
        from napari_unet.gui.layers import restore_view, show_overlay, show_side_by_side

        self._restore_colours()
        restore_view(self._viewer)
        self._legend.visible = how == "overlay"
        labels: list[Layer | None] = [*self._compared.values()]
        shown = self._present([self._image, *([self._errors] if how == "errors" else labels)])
        if how == "side by side":
            show_side_by_side(self._viewer, shown)
        elif how != "back":
            show_overlay(self._viewer, shown)
        if how == "overlay":
            self._paint_outlines()

    def _button(self, text: str, how: How, tooltip: str) -> PushButton:
        button = PushButton(text=text, tooltip=tooltip)
        button.clicked.connect(lambda _on: self.look(how))
        return button

    def _present(self, layers: list[Layer | None]) -> list[Layer]:
        return [layer for layer in layers if layer is not None and layer in self._viewer.layers]

    def _paint_outlines(self) -> None:
        """Paint ground truth and prediction in one colour each."""
        from napari.utils.colormaps import DirectLabelColormap

        for name, layer in self._compared.items():
            if layer in self._viewer.layers:
                self._colours_before.append((weakref.ref(layer), layer.colormap))
                layer.colormap = DirectLabelColormap(color_dict={None: OUTLINES[name], 0: CLEAR})

    def _restore_colours(self) -> None:
        for ref, colours in self._colours_before:
            if (layer := ref()) is not None:
                layer.colormap = colours
        self._colours_before = []
