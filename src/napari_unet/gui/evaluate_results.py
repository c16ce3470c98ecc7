"""What an evaluation found, as it is shown: scores, colours, tables, definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, Widget
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QTabWidget

from napari_unet.gui import evaluate_tables as rows_of
from napari_unet.gui.forms import Collapsible, Legend, Message, plain_container, row
from napari_unet.gui.tables import Table

if TYPE_CHECKING:
    from napari_unet.core.error_map import ErrorMap
    from napari_unet.core.report import Report
    from napari_unet.gui.evaluate_tables import How
    from napari_unet.gui.plots import ThresholdPlot

__all__ = ["ResultsView"]

_EXPLAINED = {
    "instances": {
        "ap": "AP", "mean_ap": "Mean AP", "f1": "F1", "pq": "PQ", "sq": "SQ",
        "object_precision": "Precision of objects", "object_recall": "Recall of objects",
        "missed": "Missed", "invented": "Invented", "split": "Split", "merged": "Merged",
        "iou": "IoU", "dice": "Dice", "precision": "Precision of pixels",
        "recall": "Recall of pixels", "pixel_accuracy": "Pixel accuracy",
        "pooled": "Pooled", "by_image": "By image",
    },
    "semantic": {
        "iou": "IoU", "dice": "Dice", "precision": "Precision", "recall": "Recall",
        "mean_iou": "Mean IoU", "pixel_accuracy": "Pixel accuracy", "foreground": "Foreground",
        "pooled": "Pooled", "by_image": "By image",
    },
}  # fmt: skip
_COLUMNS = {
    "AP": "ap", "F1": "f1", "PQ": "pq", "SQ": "sq", "prec.": "object_precision",
    "rec.": "object_recall", "IoU": "iou", "Dice": "dice", "precision": "precision",
    "recall": "recall", "accuracy": "pixel_accuracy",
}  # fmt: skip
_OBJECT_HELP = {
    "plane": "Position in the stack.",
    "category": "What became of the object.",
    "in": "Whether it is in the truth or in the prediction.",
    "id": "Its label.",
    "IoU": "Intersection over union with the object that it overlaps most.",
    "area_px": "Its area in pixels.",
}
_HELP = {
    "hit": "True objects that a prediction matches.",
    "wrong class": "Pixels of a class that were predicted as another class.",
}
_PIXEL_HELP = {
    "hit": "Pixels of a class that were predicted as it.",
    "missed": "Pixels of a class that were predicted as background.",
    "invented": "Background that was predicted as a class.",
}
_TABLE_HEIGHT_PX = 200


class ResultsView(Container[Widget]):
    """Scores, legend of the error layer, tables of objects, classes, thresholds and planes.

    Parameters
    ----------
    views
        Buttons that go below the legend.
    """

    object_chosen = Signal(dict)
    """Emitted with a row of `ErrorMap.objects` that a person clicked."""
    image_chosen = Signal(str)
    """Emitted with the name of an image or plane of the report that a person clicked."""

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
        self.show_which = ComboBox(choices=["errors"], tooltip="Which objects are listed.")
        self.objects = _table(_OBJECT_HELP, headings={"category": "what", "area_px": "px"})
        self.classes, self.thresholds, self.images = (_table(_score_help()) for _ in range(3))
        self._over_row = row("Scores over images", self.over)
        self.help = Collapsible("What do these mean?")
        self._lay_out()
        self._connect()

    def show_result(
        self,
        report: Report,
        errors: ErrorMap | None,
        iou_threshold: float,
        notes: Sequence[str] = (),
    ) -> None:
        """Show what was found.

        Parameters
        ----------
        report, errors
            Result of the evaluation; `errors` is None for files.
        iou_threshold
            That of the error map.
        notes
            Sentences beside those of the report.
        """
        self._report, self._errors = report, errors
        first, _, rest = rows_of.headline(report, errors, iou_threshold).partition("<br>")
        self.headline.setText(f"<b>{first}</b>" + (f"<br>{rest}" if rest else ""))
        self.notes.say(" ".join([*notes, *report.notes, *_left_out(report)]), "warning")
        self._fill_legend()
        self._choose_tabs()
        self._explain()
        self._fill_scores()
        self.images.show_rows(rows_of.image_rows(report))
        self._offer_categories()
        self._fill_objects()

    # -- parts -----------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        pages = [
            plain_container([self.show_which, self.objects]),
            plain_container([self.classes]),
            plain_container([self.thresholds]),
            plain_container([self.images]),
        ]
        pages[1].native.layout().addWidget(self.overall)
        self._pages = dict(zip(_TABS, pages, strict=True))
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.help.inner.native.layout().addWidget(self._definitions)
        layout: Any = self.native.layout()
        layout.setSpacing(4)
        parts = (self.notes, self.legend, self._views, self._over_row)
        for part in (self.headline, *(p.native for p in parts), self.tabs, self.help.native):
            layout.addWidget(part)

    def _connect(self) -> None:
        self.over.changed.connect(self._fill_scores)
        self.show_which.changed.connect(self._fill_objects)
        self.objects.row_clicked.connect(self.object_chosen.emit)
        self.images.row_clicked.connect(lambda row: self.image_chosen.emit(row["image"]))

    def _fill_legend(self) -> None:
        from napari_unet.core.error_map import ERROR_COLOURS

        assert self._report is not None
        self.legend.visible = self._errors is not None
        if self._errors is not None:
            counts = rows_of.category_counts(self._report, self._errors)
            # Name and number in one, so that no line ends between them.
            colours = {f"{name} {n:,}": ERROR_COLOURS[name] for name, n in counts.items()}
            self.legend.show_colours(colours)
            self.legend.native.setToolTip(_explained(self._category_help(counts)))

    def _category_help(self, categories: Mapping[str, int]) -> dict[str, str]:
        from napari_unet.core.report import DEFINITIONS

        assert self._report is not None
        texts = DEFINITIONS | _HELP
        unit = "objects"
        if self._report.kind == "semantic":
            texts, unit = texts | _PIXEL_HELP, "pixels"
        helped = {name.capitalize(): texts[name] for name in categories}
        return helped | {"Numbers": f"The {unit} that the error layer shows in this colour."}

    def _choose_tabs(self) -> None:
        """Show the tabs that have something to say."""
        assert self._report is not None
        instances = self._report.kind == "instances"
        several = len(self._report.images) > 1
        wanted = (instances and self._errors is not None, True, instances, several)
        current = self.tabs.tabText(self.tabs.currentIndex())
        self.tabs.clear()
        for (name, page), is_wanted in zip(self._pages.items(), wanted, strict=True):
            if is_wanted:
                self.tabs.addTab(page.native, name)
                self.tabs.setTabToolTip(self.tabs.count() - 1, _TABS[name])
        names = [self.tabs.tabText(i) for i in range(self.tabs.count())]
        self.tabs.setCurrentIndex(names.index(current) if current in names else 0)
        self._over_row.visible = several

    def _explain(self) -> None:
        from napari_unet.core.report import DEFINITIONS

        assert self._report is not None
        names = _EXPLAINED[self._report.kind]
        self._definitions.setText(_explained({n: DEFINITIONS[k] for k, n in names.items()}))
        self.over.native.setToolTip(_explained({n: DEFINITIONS[n] for n in ("pooled", "by_image")}))

    def _fill_scores(self) -> None:
        """Fill the tables that depend on pooled or by image."""
        if self._report is None:
            return
        how: How = self.over.value
        self.classes.show_rows(rows_of.class_rows(self._report, how))
        self.overall.setText(rows_of.overall_scores(self._report, how))
        if self._report.kind == "instances":
            self.thresholds.show_rows(rows_of.threshold_rows(self._report, how))
            self._draw(how)

    def _draw(self, how: How) -> None:
        assert self._report is not None
        if self._plot is None:
            from napari_unet.gui.plots import ThresholdPlot

            self._plot = ThresholdPlot()
            layout: Any = self._pages["Thresholds"].native.layout()
            layout.insertWidget(0, self._plot)
        self._plot.show(self._report.threshold_rows(), how=how)

    def _offer_categories(self) -> None:
        """List what the table of objects can be narrowed to; keep what was chosen."""
        assert self._report is not None
        if self._errors is None or self._report.kind == "semantic":
            return
        counts = rows_of.category_counts(self._report, self._errors)
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
        self.objects.show_rows(rows, [c for c in _OBJECT_HELP if in_stack or c != "plane"])


_TABS = {
    "Objects": "Every object, and what became of it: click a row to go there.",
    "Classes": "Pixel scores of each class.",
    "Thresholds": "Object scores against the threshold of intersection over union.",
    "Planes": "A row per image or plane: click one to go there.",
}


def _table(tooltips: Mapping[str, str], headings: Mapping[str, str] | None = None) -> Table:
    table = Table(headings=headings, tooltips=tooltips)
    table.view.setMinimumHeight(_TABLE_HEIGHT_PX)
    return table


def _score_help() -> dict[str, str]:
    """Definition of each column's score."""
    from napari_unet.core.report import DEFINITIONS

    return {column: DEFINITIONS[key] for column, key in _COLUMNS.items()}


def _left_out(report: Report) -> list[str]:
    """Say what the scores do not cover."""
    sentences = []
    if report.not_annotated:
        sentences.append(
            f"{report.not_annotated} plane(s) without any label in the truth were left out as not "
            "annotated."
        )
    if report.unmatched:
        listed = ", ".join(report.unmatched[:3]) + (", ..." if len(report.unmatched) > 3 else "")
        sentences.append(f"{len(report.unmatched)} file(s) have no partner: {listed}.")
    empty = sum(image.empty for image in report.images)
    if empty and len(report.images) > 1:
        sentences.append(
            f"{empty} image(s) hold nothing in truth and prediction: they have no score of their "
            "own and are left out of means by image."
        )
    return sentences


def _explained(texts: Mapping[str, str]) -> str:
    return "".join(f"<p style='margin:2px 0'><b>{k}</b>: {v}</p>" for k, v in texts.items())


def _text() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label
