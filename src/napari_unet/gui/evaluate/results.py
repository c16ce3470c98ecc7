"""Display of the results of an evaluation: scores, colours, tables and definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, Widget
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QTabWidget

from napari_unet.gui.evaluate import help_texts as words
from napari_unet.gui.evaluate import tables as rows_of
from napari_unet.gui.forms import Collapsible, Legend, Message, plain_container, row
from napari_unet.gui.forms.table import Table

if TYPE_CHECKING:
    from napari_unet.core.evaluation.error_map import ErrorMap
    from napari_unet.core.evaluation.report import Report
    from napari_unet.gui.evaluate.tables import How
    from napari_unet.gui.forms.plots import ThresholdPlot

__all__ = ["ResultsView"]

_TABLE_HEIGHT_PX = 236
"""Shows all thresholds without scrolling."""
_LEAST_COLUMN_PX = 34


class ResultsView(Container[Widget]):
    """Scores, legend of the error layer, and tables of objects, classes, thresholds and planes.

    Parameters
    ----------
    views
        Buttons below the legend.
    """

    object_chosen = Signal(dict)
    """Emitted with a row of `ErrorMap.objects` when the user clicks it."""
    image_chosen = Signal(str)
    """Emitted with the name of an image or plane when the user clicks its row."""
    failed = Signal(str)
    """Emitted with the error message when a table could not be saved."""

    def __init__(self, views: Widget) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._views = views
        self._report: Report | None = None
        self._errors: ErrorMap | None = None
        self._plot: ThresholdPlot | None = None
        self.headline, self.overall, self._definitions = _text(), _text(), _text()
        self.notes, self.legend = Message(), Legend()
        self.over = ComboBox(choices=[("pooled", "pooled"), ("by image", "by_image")])
        self.show_which = ComboBox(choices=["errors"], tooltip="Objects to list.")
        self.objects = _table(words.OBJECT_HELP, headings={"category": "what", "area_px": "px"})
        self.classes, self.thresholds, self.images = (_table(words.score_help()) for _ in range(3))
        self._over_row = row("Over images", self.over)
        self.help = Collapsible("What do these mean?")
        self._lay_out()
        self._connect()

    def show_result(
        self,
        report: Report,
        errors: ErrorMap | None,
        iou_threshold: float,
        notes: Sequence[str] = (),
        name: str = "",
    ) -> None:
        """Show the results.

        Parameters
        ----------
        report, errors
            Results of the evaluation. `errors` is None for files.
        iou_threshold
            Threshold of the error map.
        notes
            Sentences to show besides those of the report.
        name
            Name of the stack in the report. If set, planes are named by their position alone.
        """
        self._report, self._errors = report, errors
        first, _, rest = rows_of.headline(report, errors, iou_threshold).partition("<br>")
        self.headline.setText(f"<b>{first}</b>" + (f"<br>{rest}" if rest else ""))
        self.notes.say(" ".join([*notes, *report.notes, *words.left_out(report)]), "warning")
        self._fill_legend()
        self._choose_tabs()
        self._explain()
        self._fill_scores()
        rows = rows_of.image_rows(report, name)
        self.images.show_rows(rows, [column for column in rows[0] if column != "image"])
        _fit_columns(self.images, wide=0, width_px=90 if not name else 44)
        self._offer_categories()
        self._fill_objects()

    # -- parts -----------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        overall = plain_container()
        overall.native.layout().addWidget(self.overall)
        pages = [
            plain_container([self.show_which, self.objects]),
            plain_container([overall, self.classes]),
            plain_container([self.thresholds]),
            plain_container([self.images]),
        ]
        self._pages = dict(zip(words.TABS, pages, strict=True))
        self.tabs = QTabWidget()
        for page in pages:  # without a parent, pages never shown would outlive the window
            page.native.setParent(self.tabs)
            page.native.hide()
        self.tabs.setDocumentMode(True)
        bar: Any = self.tabs.tabBar()
        bar.setDrawBase(False)  # a white line in napari's dark theme
        self.help.inner.native.layout().addWidget(self._definitions)
        layout: Any = self.native.layout()
        layout.setSpacing(4)
        parts = (self.notes, self.legend, self._views, self._over_row)
        for part in (self.headline, *(p.native for p in parts), self.tabs, self.help.native):
            layout.addWidget(part)

    def _connect(self) -> None:
        self.over.changed.connect(self._fill_scores)
        self.show_which.changed.connect(self._fill_objects)
        for table in (self.objects, self.classes, self.thresholds, self.images):
            table.failed.connect(self.failed.emit)
        self.objects.row_clicked.connect(self.object_chosen.emit)
        self.images.row_clicked.connect(lambda row: self.image_chosen.emit(row["image"]))

    def _fill_legend(self) -> None:
        from napari_unet.core.evaluation.error_map import ERROR_COLOURS

        assert self._report is not None
        self.legend.visible = self._errors is not None
        if self._errors is not None:
            counts = rows_of.fates(self._report, self._errors)
            # Name and number are joined so that no line breaks between them.
            colours = {f"{name} {n:,}": ERROR_COLOURS[name] for name, n in counts.items()}
            self.legend.show_colours(colours)
            self.legend.native.setToolTip(words.category_help(self._report.kind, counts))

    def _choose_tabs(self) -> None:
        """Show the tabs that apply to these results."""
        assert self._report is not None
        instances = self._report.kind == "instances"
        several = len(self._report.images) > 1
        wanted = (instances and self._errors is not None, True, instances, several)
        current = self.tabs.tabText(self.tabs.currentIndex())
        self.tabs.clear()
        for (name, page), is_wanted in zip(self._pages.items(), wanted, strict=True):
            if is_wanted:
                self.tabs.addTab(page.native, name)
                self.tabs.setTabToolTip(self.tabs.count() - 1, words.TABS[name])
        names = [self.tabs.tabText(i) for i in range(self.tabs.count())]
        self.tabs.setCurrentIndex(names.index(current) if current in names else 0)
        self._over_row.visible = several

    def _explain(self) -> None:
        from napari_unet.core.evaluation.report import DEFINITIONS

        assert self._report is not None
        self._definitions.setText(words.definitions(self._report.kind))
        how = {n: DEFINITIONS[n] for n in ("pooled", "by_image")}
        self.over.native.setToolTip(words.explained(how))

    def _fill_scores(self) -> None:
        """Fill the tables that differ between pooled scores and scores by image."""
        if self._report is None:
            return
        how: How = self.over.value
        self.classes.show_rows(rows_of.class_rows(self._report, how))
        _fit_columns(self.classes, wide=0, width_px=84)
        self.overall.setText(rows_of.overall_scores(self._report, how))
        if self._report.kind == "instances":
            self.thresholds.show_rows(rows_of.threshold_rows(self._report, how))
            _fit_columns(self.thresholds)
            self._draw(how)

    def _draw(self, how: How) -> None:
        assert self._report is not None
        if self._plot is None:
            from napari_unet.gui.forms.plots import ThresholdPlot

            self._plot = ThresholdPlot()
            layout: Any = self._pages["Thresholds"].native.layout()
            layout.insertWidget(0, self._plot)
        self._plot.show(self._report.threshold_rows(), how=how)

    def _offer_categories(self) -> None:
        """List the filters for the table of objects and keep the current one."""
        assert self._report is not None
        if self._errors is None or self._report.kind == "semantic":
            return
        counts = rows_of.category_counts(self._errors)
        total = sum(counts.values())
        offers = {"errors": total - counts["hit"], "all": total} | counts
        names = {"errors": "errors only", "all": "all objects"}
        chosen = self.show_which.value
        with self.show_which.changed.blocked():
            self.show_which.choices = [
                (f"{names.get(offer, offer)} ({count})", offer) for offer, count in offers.items()
            ]
            self.show_which.value = chosen

    def _fill_objects(self) -> None:
        if self._errors is None:
            return
        rows = rows_of.object_rows(self._errors, self.show_which.value)
        in_stack = any(row["plane"] for row in self._errors.objects)
        self.objects.show_rows(rows, [c for c in words.OBJECT_HELP if in_stack or c != "plane"])
        _fit_columns(self.objects, wide=int(in_stack), width_px=62)


def _table(tooltips: Mapping[str, str], headings: Mapping[str, str] | None = None) -> Table:
    table = Table(headings=headings, tooltips=tooltips)
    table.view.setMinimumHeight(_TABLE_HEIGHT_PX)
    header: Any = table.view.horizontalHeader()
    header.setResizeContentsPrecision(0)  # measure only visible rows: there may be thousands
    return table


def _fit_columns(table: Table, wide: int = -1, width_px: int = 0) -> None:
    """Fit all columns into a narrow dock: one may have a fixed width, the others share the rest."""
    header: Any = table.view.horizontalHeader()
    header.setMinimumSectionSize(_LEAST_COLUMN_PX)
    header.setStretchLastSection(False)
    for index in range(header.count()):
        own = index == wide
        header.setSectionResizeMode(
            index, header.ResizeMode.Interactive if own else header.ResizeMode.Stretch
        )
    if 0 <= wide < header.count():
        header.resizeSection(wide, width_px)


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label
