"""Live inside the Train widget: its buttons, and its share of the form."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.core.errors import UNetError
from napari_unet.core.training.run_folder import next_run_folder
from napari_unet.gui.app.preferences import preferences
from napari_unet.gui.live.controller import LiveController
from napari_unet.gui.live.form import LiveForm

if TYPE_CHECKING:
    import napari

    from napari_unet.gui.train.layout import TrainLayout

__all__ = ["LiveSection"]


class LiveSection:
    """Starts and stops a live training with the settings of the form.

    Parameters
    ----------
    viewer
        The viewer whose layers are painted on.
    layout
        The controls of the Train widget.
    live
        Runs the live training.
    tell
        Shows a message of a kind.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        layout: TrainLayout,
        live: LiveController,
        tell: Callable[[str, Any], None],
    ) -> None:
        self._viewer, self._layout = viewer, layout
        self._live, self._tell = live, tell
        layout.live_button.changed.connect(self.toggle)
        layout.suggest_button.changed.connect(live.suggest)
        layout.accept_button.changed.connect(live.accept)
        layout.reject_button.changed.connect(live.reject)
        layout.uncertainty.changed.connect(partial(live.show_map, "uncertainty"))
        layout.probability.changed.connect(partial(live.show_map, "probability"))
        live.told.connect(tell)
        live.proposed.connect(self._on_proposal)
        live.map_removed.connect(self._on_map_removed)

    def toggle(self) -> None:
        """Stop Live if it runs; otherwise start it with the current settings and strokes."""
        if self._live.running:
            self._live.stop()
        else:
            self._start(self._new_form)

    def resume(self, folder: Path) -> None:
        """Resume the session in `folder`."""
        self._start(partial(self._resumed_form, folder))

    def show_running(self, running: bool) -> None:
        """Show or hide the buttons that are for a running training."""
        layout = self._layout
        layout.live_button.text = "Stop live" if running else "Live"
        layout.live_row.visible = layout.maps_row.visible = running

    def _start(self, make_form: Callable[[], LiveForm]) -> None:
        try:
            self._live.start(make_form())
        except UNetError as error:
            self._tell(str(error), "error")

    def _new_form(self) -> LiveForm:
        """Fill empty fields of the form and return its settings.

        If there are no labels, a Labels layer is added to the selected image. If there is no start
        model, a shipped one is chosen in the form.
        """
        from napari_unet.gui.live.start import notice_about, rows_to_paint, shipped_model_for

        layout, choice, objects = self._layout, self._layout.choice(), self._layout.wants_objects
        rows = rows_to_paint(self._viewer, choice.rows, choice.axes, objects=objects)
        if not choice.rows:
            layout.pairs.set_rows(rows)
        if not objects:
            layout.fields.meaning.value = "strokes"
        start = layout.fields.start
        if start.path is None and not layout.live_started:
            start.choose(shipped_model_for(rows[0].images[0]))
        layout.live_started = True
        form = layout.form()  # after a name was proposed for the new layer
        name = form.name.strip() or "live"
        return LiveForm(
            rows=rows,
            axes=choice.axes,
            channels=choice.channels,
            classes=layout.classes.classes,
            start=start.path,
            folder=next_run_folder(preferences().data_folder / "runs", f"{name}-live"),
            name=name,
            objects=objects,
            device=form.device,
            notice=notice_about(rows, choice.axes, objects=objects),
        )

    def _resumed_form(self, folder: Path) -> LiveForm:
        """Find the images of a session, and show its settings in the form."""
        from napari_unet.gui.live.resume import resumed_form

        layout = self._layout
        form = resumed_form(self._viewer, folder, layout.form().device)
        layout.pairs.set_rows(form.rows)
        layout.fields.meaning.value = "objects" if form.objects else "strokes"
        layout.fields.start.choose(form.start)
        layout.live_started = True
        if form.classes:  # else a change in the table would restore its old classes
            layout.classes.set_classes(form.classes, {}, sparse=True)
        return form

    def _on_proposal(self, proposed: bool) -> None:
        layout = self._layout
        layout.suggest_button.visible = not proposed
        layout.accept_button.visible = layout.reject_button.visible = proposed
        if proposed:
            text = (
                "The network is least certain here. Correct the proposal with the brush, then "
                "press Accept."
            )
            self._tell(text, "info")

    def _on_map_removed(self, kind: str) -> None:
        layout = self._layout
        {"uncertainty": layout.uncertainty, "probability": layout.probability}[kind].value = False
