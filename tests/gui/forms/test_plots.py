"""Curves show the added points in colours that are readable in both themes."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from qtpy.QtGui import QColor

from napari_unet.gui.forms.plots import CurvePlot, ThresholdPlot


@pytest.fixture
def curves(qtbot) -> CurvePlot:
    plot = CurvePlot("mean IoU")
    qtbot.addWidget(plot)
    plot.show()
    return plot


def legend(panel: Any) -> str:
    return panel._legend.text()


def test_losses_and_score_are_drawn_on_their_own_axes(curves: CurvePlot) -> None:
    curves.add("train_loss", 1, 2.0)
    curves.add("validation_loss", 1, 1.5)
    curves.refresh()
    assert not curves._scores.isVisible()  # nothing validated yet: no empty plot
    curves.add("mean IoU", 1, 0.75)
    curves.refresh()
    assert curves._scores.isVisible()
    assert "2.000" in legend(curves._losses)
    assert "1.500" in legend(curves._losses)
    assert "0.750" in legend(curves._scores)
    low, high = curves._losses.plot.viewRange()[1]
    assert low == pytest.approx(0)
    assert high > 2.0


def test_points_appear_without_being_asked_for(curves: CurvePlot, qtbot) -> None:
    curves.add("train_loss", 1, 2.0)
    qtbot.waitUntil(lambda: "2.000" in legend(curves._losses), timeout=2000)


def test_a_long_run_is_thinned_and_keeps_both_ends(curves: CurvePlot) -> None:
    for step in range(1, 20_001):
        curves.add("train_loss", step, 1 / step)
    x, y = curves.points("train_loss")
    assert len(x) <= 1000
    assert x[0] == 1
    assert x[-1] > 19_900
    assert x == sorted(x)
    assert y[-1] < 0.001


def test_values_that_are_not_numbers_are_left_out(curves: CurvePlot) -> None:
    curves.add("mean IoU", 1, math.nan)
    curves.add("mean IoU", 2, 0.5)
    assert curves.points("mean IoU") == ([2], [0.5])


def test_clear_starts_anew(curves: CurvePlot) -> None:
    curves.add("train_loss", 1, 2.0)
    curves.add("mean IoU", 1, 0.5)
    curves.refresh()
    curves.clear()
    assert curves.points("train_loss") == ([], [])
    assert not curves._scores.isVisible()
    assert "2.000" not in legend(curves._losses)


def threshold_rows(value: Callable[[float], float]) -> list[dict[str, float]]:
    names = [f"{score}_{how}" for score in ("ap", "f1", "pq") for how in ("pooled", "by_image")]
    return [
        {"iou_threshold": t} | {n: value(t) / (2 if n.endswith("image") else 1) for n in names}
        for t in (0.5, 0.75, 0.9)
    ]


def test_scores_against_threshold(qtbot) -> None:
    plot = ThresholdPlot()
    qtbot.addWidget(plot)
    plot.show(threshold_rows(lambda t: 1 - t))
    assert plot.points("AP") == ([0.5, 0.75, 0.9], pytest.approx([0.5, 0.25, 0.1]))
    assert "at&nbsp;IoU" in legend(plot._panel) or "at IoU 0.5" in legend(plot._panel)
    assert "0.500" in legend(plot._panel)
    plot.show(threshold_rows(lambda t: 1 - t), how="by_image")
    assert plot.points("F1")[1] == pytest.approx([0.25, 0.125, 0.05])


def test_undefined_scores_are_gaps_not_zeros(qtbot) -> None:
    plot = ThresholdPlot()
    qtbot.addWidget(plot)
    plot.show(threshold_rows(lambda t: math.nan))
    assert plot.points("PQ") == ([], [])


@pytest.mark.parametrize(("paper", "ink"), [("#23242b", "#f0f1f2"), ("#ebe7e6", "#1e1e21")])
def test_colours_follow_the_theme_and_stand_out(qtbot, paper: str, ink: str) -> None:
    plot = ThresholdPlot()
    qtbot.addWidget(plot)
    plot.show(threshold_rows(lambda t: 1 - t))
    plot.setStyleSheet(f"QWidget {{ background-color: {paper}; color: {ink} }}")
    background = plot._panel.plot.backgroundBrush().color()
    assert background == QColor(paper)
    for _, curve in plot._panel._curves.values():
        line = QColor(curve.opts["pen"].color())
        assert abs(line.lightness() - background.lightness()) > 60
