"""Plots for a dock: they follow napari's theme and stay readable at 300 px."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_unet.gui.layers.colours import CURVES

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent

__all__ = ["CurvePlot", "ThresholdPlot"]

_REFRESH_MS = 1000
"""Beside napari's canvas, any repaint composes the whole window: tens of ms without a GPU."""

_MOST_POINTS = 1000
_PANEL_HEIGHT_PX = 125
_LEAST_WIDTH_PX = 220
_AXIS_WIDTH_PX = 38
_SMOOTHING = 0.1

_LOSSES = {"train_loss": ("training", "grey"), "validation_loss": ("validation", "orange")}
_THRESHOLD_CURVES = {"ap": ("AP", "blue"), "f1": ("F1", "orange"), "pq": ("PQ", "green")}


class CurvePlot(QWidget):
    """Curves of a training run: losses above, the validation score on a separate axis below.

    The first instance imports pyqtgraph, so create one only when there is something to show.

    Parameters
    ----------
    score_name
        Name of the score.
    parent
        Qt parent.
    """

    def __init__(self, score_name: str = "score", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._losses = _Panel("loss", "", self)
        self._scores = _Panel(score_name, "step", self)
        self._scores.link_to(self._losses)
        self._scores.setVisible(False)
        self._series: dict[str, _Series] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._losses)
        layout.addWidget(self._scores)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)

    def add(self, series: str, x: float, y: float) -> None:
        """Add a point; the curve is redrawn a little later.

        Parameters
        ----------
        series
            ``"train_loss"`` (one point per step, smoothed), ``"validation_loss"``, or the name of
            a score between 0 and 1.
        x
            Training step.
        y
            Value; values that are not finite are left out.
        """
        if not math.isfinite(y):
            return
        if series not in self._series:
            smooth = _SMOOTHING if series == "train_loss" else 1.0
            self._series[series] = _Series(smooth)
            if series not in _LOSSES:
                self._scores.setVisible(True)
                self._losses.hide_steps()
        self._series[series].add(x, y)
        if not self._timer.isActive():
            self._timer.start()

    def clear(self) -> None:
        """Remove all points."""
        self._series.clear()
        self._scores.setVisible(False)
        self.refresh()

    def points(self, series: str) -> tuple[list[float], list[float]]:
        """Return the x and y coordinates of a series as drawn."""
        found = self._series.get(series)
        return ([], []) if found is None else (list(found.x), list(found.y))

    def refresh(self) -> None:
        """Draw the points added so far."""
        self._timer.stop()
        losses = {
            label: (colour, self._series[name])
            for name, (label, colour) in _LOSSES.items()
            if name in self._series
        }
        self._losses.draw({k: (c, s.x, s.y) for k, (c, s) in losses.items()})
        self._losses.fit_above_zero([s.settled() for _, s in losses.values()])
        scores = {n: ("blue", s.x, s.y) for n, s in self._series.items() if n not in _LOSSES}
        self._scores.draw(scores)


class ThresholdPlot(QWidget):
    """Plot of AP, F1 and PQ against the threshold of intersection over union.

    Parameters
    ----------
    parent
        Qt parent.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._panel = _Panel("score", "IoU threshold", self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._panel)
        self._curves: dict[str, tuple[str, list[float], list[float]]] = {}

    def show(
        self, rows: Sequence[Mapping[str, float]] | None = None, *, how: str = "pooled"
    ) -> None:
        """Draw the scores; without rows, only make the widget visible, like `QWidget.show`.

        Parameters
        ----------
        rows
            Rows of `napari_unet.core.evaluation.report.Report.threshold_rows`.
        how
            Kind of average: ``"pooled"`` or ``"by_image"``.
        """
        if rows is not None:
            self._curves = {
                label: (colour, *_finite_points(rows, f"{key}_{how}"))
                for key, (label, colour) in _THRESHOLD_CURVES.items()
            }
            first = next((x[0] for _, x, _ in self._curves.values() if x), 0.5)
            self._panel.draw(self._curves, f"at IoU {first:g}:", value_at=0)
        super().show()

    def points(self, curve: str) -> tuple[list[float], list[float]]:
        """Return the thresholds and scores of the curve ``"AP"``, ``"F1"`` or ``"PQ"``."""
        _, x, y = self._curves.get(curve, ("", [], []))
        return list(x), list(y)


class _Series:
    """Points of a curve, smoothed as they arrive and thinned to keep long runs fast."""

    def __init__(self, smoothing: float) -> None:
        self._smoothing = smoothing
        self._mean: float | None = None
        self._every = 1
        self._count = 0
        self.x: list[float] = []
        self.y: list[float] = []

    def add(self, x: float, y: float) -> None:
        before = y if self._mean is None else self._mean
        # Early points count more; otherwise the curve would stay close to the very first one.
        share = max(self._smoothing, 1 / (self._count + 1))
        self._mean = before + share * (y - before)
        self._count += 1
        if self._count % self._every and self._count > 1:
            return
        self.x.append(x)
        self.y.append(self._mean)
        if len(self.x) > _MOST_POINTS:
            self.x, self.y = self.x[::2], self.y[::2]
            self._every *= 2

    def settled(self) -> list[float]:
        """Return the values without the steep beginning, to choose the range of the axis."""
        return self.y[len(self.y) // 20 :]


class _Panel(QWidget):
    """One plot under a line with the name, colour and last value of each curve."""

    def __init__(self, title: str, x_name: str, parent: QWidget) -> None:
        import pyqtgraph  # type: ignore[import-untyped, unused-ignore]

        super().__init__(parent)
        self._title = title
        self._curves: dict[str, tuple[str, Any]] = {}
        self._values: dict[str, float] = {}
        self._legend = QLabel(title, self)
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        self._legend.setWordWrap(True)
        self.plot = pyqtgraph.PlotWidget(self)
        self.plot.setMouseEnabled(False, False)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setFixedHeight(_PANEL_HEIGHT_PX)
        self.plot.setMinimumWidth(_LEAST_WIDTH_PX)
        self.plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.plot.getAxis("left").setWidth(_AXIS_WIDTH_PX)
        self.plot.wheelEvent = self._leave_wheel
        for side in ("left", "bottom"):
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        if title != "loss":
            self.plot.setYRange(-0.05, 1.06, padding=0)
            self.plot.getAxis("left").setTicks([[(v, f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)]])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._legend)
        layout.addWidget(self.plot)
        if x_name:  # pyqtgraph's label would be cut off at this height
            below = QLabel(x_name, self)
            below.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(below)
        self._follow_theme()

    def link_to(self, other: _Panel) -> None:
        """Share the x axis of another panel."""
        self.plot.setXLink(other.plot)

    def hide_steps(self) -> None:
        """Hide the numbers of the x axis, which the plot below shows."""
        self.plot.getAxis("bottom").setStyle(showValues=False)
        self.plot.getAxis("bottom").setHeight(8)

    def draw(self, curves: _Curves, title: str | None = None, value_at: int = -1) -> None:
        """Draw curves by label (colour, x, y) and remove all others.

        The line above lists their values at the last point, or at the index `value_at`.
        """
        self._title = self._title if title is None else title
        for label in [n for n in self._curves if n not in curves]:
            self.plot.removeItem(self._curves.pop(label)[1])
        for label, (colour, x, y) in curves.items():
            if label not in self._curves:
                self._curves[label] = (colour, self.plot.plot())
                self._paint_curve(label)
            few = "o" if len(x) < 40 else None
            self._curves[label][1].setData(list(x), list(y), symbol=few)
        self._values = {label: y[value_at] for label, (_, _, y) in curves.items() if len(y)}
        self._write_legend()

    def fit_above_zero(self, series: Sequence[Sequence[float]]) -> None:
        """Set the range of the y axis from 0 to the largest value."""
        largest = max((max(values) for values in series if len(values)), default=1.0)
        self.plot.setYRange(0, 1.05 * largest, padding=0)

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Adopt the colours of a new theme."""
        super().changeEvent(event)
        kinds = (QEvent.Type.StyleChange, QEvent.Type.PaletteChange)
        if event is not None and event.type() in kinds and hasattr(self, "plot"):
            self._follow_theme()

    @property
    def _dark(self) -> bool:
        ink, paper = (self._legend.palette().color(role) for role in _ROLES)
        return bool(ink.lightness() > paper.lightness())

    def _follow_theme(self) -> None:
        self._legend.ensurePolished()
        ink, paper = (QColor(self._legend.palette().color(role)) for role in _ROLES)
        self.plot.setBackground(paper)
        faint = QColor(ink)
        faint.setAlpha(110)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(faint)
            axis.setTextPen(ink)
        self.plot.showGrid(x=False, y=True, alpha=0.2)
        for label in self._curves:
            self._paint_curve(label)
        self._write_legend()

    def _paint_curve(self, label: str) -> None:
        import pyqtgraph

        colour, curve = self._curves[label]
        shade = CURVES[colour][self._dark]
        curve.setPen(pyqtgraph.mkPen(shade, width=2))
        curve.setSymbolBrush(shade)
        curve.setSymbolPen(None)
        curve.setSymbolSize(5)

    def _write_legend(self) -> None:
        parts = [
            f'<span style="color:{CURVES[colour][self._dark]}">●</span>&nbsp;'
            f"{label.replace(' ', '&nbsp;')}&nbsp;<b>{self._values[label]:.3f}</b>"
            for label, (colour, _) in self._curves.items()
            if label in self._values
        ]
        names = [label for label in self._curves if label != self._title]
        start = [self._title] if names or not parts else []
        self._legend.setText(" &nbsp;".join([*start, *parts]))

    def _leave_wheel(self, event: QWheelEvent) -> None:
        """Pass the wheel event to the dock, which scrolls: plots do not zoom."""
        event.ignore()


_Curves = Mapping[str, tuple[str, Sequence[float], Sequence[float]]]

_ROLES = (QPalette.ColorRole.WindowText, QPalette.ColorRole.Window)


def _finite_points(
    rows: Sequence[Mapping[str, float]], key: str
) -> tuple[list[float], list[float]]:
    points = [(row["iou_threshold"], row[key]) for row in rows if math.isfinite(row[key])]
    return [x for x, _ in points], [y for _, y in points]
