"""Showing the result of the data check: summary of the run, classes, label issues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_unet.core.errors import UNetError
from napari_unet.core.images.palette import rgb_hex
from napari_unet.gui.live.session_layers import session_of
from napari_unet.gui.train.run_summary import RunSummary

if TYPE_CHECKING:
    from napari_unet.core.tasks.semantic import ClassInfo
    from napari_unet.gui.train.data import TracedPair
    from napari_unet.gui.train.form import TrainForm
    from napari_unet.gui.train.layout import TrainLayout
    from napari_unet.gui.train.prepare import Look

__all__ = ["SummaryView"]


class SummaryView:
    """Shows the result of the data check in the form.

    Parameters
    ----------
    layout
        The controls of the Train widget.

    Attributes
    ----------
    summary
        Summary of the run to come.
    pairs
        The pairs that were checked.
    """

    def __init__(self, layout: TrainLayout) -> None:
        self._layout = layout
        self.summary = RunSummary()
        self.pairs: Sequence[TracedPair] = []

    def show(self, result: Look | UNetError, *, live: bool) -> None:
        """Show the result of a check; while Live runs, only the parts that concern Live."""
        if isinstance(result, UNetError):
            self.summary, self.pairs = RunSummary(problem=str(result)), []
        else:
            self.summary, self.pairs = result.summary, result.pairs
            self._show_meaning(result.form)
        if live:  # issues and summary are about Train only
            self.summary = replace(self.summary, issues=())
            self._layout.outlook.say("")
        else:
            self._say(nothing=not self.pairs and not isinstance(result, UNetError))
        self._show_issues()

    def say_slow(self) -> None:
        """Show that the check takes a while."""
        reading = self._layout.from_folder
        self._layout.outlook.say("Reading the folder …" if reading else "Counting labels …")

    def _say(self, *, nothing: bool) -> None:
        layout = self._layout
        if not self.summary.problem:
            sentences = [self.summary.warning, self._note_on_live()]
            warning = "".join(f" {sentence}" for sentence in sentences if sentence)
            text = f"{self.summary.summary}.{warning}"
            layout.outlook.say(text, "warning" if warning else "info")
            return
        if nothing and not layout.from_folder and layout.pairs.missing:
            self.summary = replace(self.summary, problem=layout.pairs.missing)
        layout.outlook.say(self.summary.problem, "info" if nothing else "warning")

    def _note_on_live(self) -> str:
        """Describe how Train and Live read the labels differently, if it matters; else empty."""
        layout = self._layout
        if layout.from_folder or layout.fields.meaning.value != "objects":
            return ""
        layers = [r.labels for r in layout.pairs.rows if session_of(r.labels) is not None]
        if not layers:
            return ""
        return (
            f"'{layers[0].name}' was painted for Live. In Train, label 1 is another object and "
            "unpainted pixels are background."
        )

    def _show_meaning(self, form: TrainForm) -> None:
        layout = self._layout
        if layout.guess_meaning:
            with layout.fields.meaning.changed.blocked():
                layout.fields.meaning.value = form.meaning
        classes = form.meaning != "objects"
        layout.classes_host.visible = classes and bool(form.classes)
        if classes:
            layout.classes.set_classes(
                self._add_colours(form.classes),
                self.summary.counts,
                sparse=form.meaning == "strokes",
            )

    def _add_colours(self, classes: Sequence[ClassInfo]) -> list[ClassInfo]:
        """Set missing colours of classes to those of the first Labels layer."""
        rows = self._layout.pairs.rows
        if not rows or self._layout.from_folder:
            return list(classes)
        found = []
        for info in classes:
            rgba: Any = None
            if info.color is None and info.id:
                rgba = rows[0].labels.get_color(info.id)
            if rgba is not None:
                info = info.model_copy(update={"color": rgb_hex(rgba)})
            found.append(info)
        return found

    def _show_issues(self) -> None:
        layout = self._layout
        issues = [issue for _, issue in self.summary.issues]
        count = f" (1 of {len(issues)})" if len(issues) > 1 else ""
        layout.check.say(f"Label check{count}: {issues[0].message}" if issues else "", "warning")
        layout.repair_button.text = (
            "Repair when reading" if layout.from_folder else "Repair in a new layer"
        )
        layout.repair_button.visible = any(issue.repairable for issue in issues)
