"""Figure of the loss and the validation scores of a training run, drawn without a screen."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.evaluation.plotting import DPI, save_png
from napari_unet.core.images.palette import BLUE, FAINT, GREEN, INK, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_unet.core.tasks.scores import ScoreName

__all__ = ["curves_figure"]

Values = NDArray[np.float64]

_COLOURS = (BLUE, VERMILION, GREEN)


def curves_figure(
    path: str | os.PathLike[str],
    history: Sequence[Mapping[str, Any]],
    curves: Sequence[ScoreName],
) -> None:
    """Draw the loss and the validation scores over the epochs of a run, and save them as PNG.

    Parameters
    ----------
    path
        Path of the PNG file.
    history
        One row per epoch, as in ``history.csv``: ``epoch``, ``train_loss``, ``validation_loss`` and
        scores by their flat names. Missing values are not drawn.
    curves
        Scores to draw, as in `TaskScores.curves`; the epoch with the best first score is marked.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure

    scores = {
        score.key: (score.title or score.label, colour)
        for score, colour in zip(curves, itertools.cycle(_COLOURS), strict=False)
        if np.isfinite(_column(history, score.key)).any()
    }
    n = 2 if scores else 1
    figure = Figure(figsize=(5 * n, 3.4), dpi=DPI, facecolor="white")
    margins = {"left": 0.55 / (5 * n), "right": 1 - 0.15 / (5 * n), "bottom": 0.15, "top": 0.9}
    panels = figure.subplots(1, n, squeeze=False, gridspec_kw={**margins, "wspace": 0.15})[0]
    epochs = _column(history, "epoch")
    if not np.isfinite(epochs).all():
        epochs = np.arange(1.0, len(history) + 1)
    _draw_losses(panels[0], epochs, history)
    if scores:
        _draw_scores(panels[1], epochs, history, scores)
    for axes in panels:
        _plain_axes(axes, epochs)
    save_png(figure, path)


def _column(history: Sequence[Mapping[str, Any]], key: str) -> Values:
    """Return the values of one column; missing ones are NaN."""
    values = [row.get(key) for row in history]
    return np.array([float("nan") if v in (None, "") else float(v) for v in values], np.float64)


def _draw_losses(axes: Axes, epochs: Values, history: Sequence[Mapping[str, Any]]) -> None:
    drawn = []
    for key, label, colour in (
        ("train_loss", "training", FAINT),
        ("validation_loss", "validation", VERMILION),
    ):
        values = _column(history, key)
        if np.isfinite(values).any():
            _draw_curve(axes, epochs, values, label, colour)
            drawn.append(values[np.isfinite(values)])
    axes.set_title("loss", loc="left", fontsize=10, fontweight="bold", color=INK)
    if not drawn:
        return
    every = np.concatenate(drawn)
    if every.min() > 0 and every.max() / every.min() > 10:
        axes.set_yscale("log")
    elif every.min() >= 0:
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK)


def _draw_scores(
    axes: Axes,
    epochs: Values,
    history: Sequence[Mapping[str, Any]],
    scores: Mapping[str, tuple[str, str]],
) -> None:
    for key, (label, colour) in scores.items():
        values = _column(history, key)
        last = values[np.isfinite(values)][-1]
        _draw_curve(axes, epochs, values, f"{label}  {last:.3f}", colour)
    best = _column(history, next(iter(scores)))
    at = int(np.nanargmax(best))
    axes.plot(epochs[at], best[at], "o", mfc="none", mec=INK, ms=9)
    axes.annotate(
        f"best {best[at]:.3f}", (float(epochs[at]), float(best[at])), (4, -10),
        textcoords="offset points", ha="right", va="top", fontsize=8, color=INK,
    )  # fmt: skip
    axes.set_ylim(0, 1)
    axes.set_title("validation scores", loc="left", fontsize=10, fontweight="bold", color=INK)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower right")


def _draw_curve(axes: Axes, x: Values, y: Values, label: str, colour: str) -> None:
    known = np.isfinite(y)
    marker = "o" if known.sum() < 30 else ""
    axes.plot(x[known], y[known], color=colour, label=label, lw=1.6, marker=marker, ms=3)


def _plain_axes(axes: Axes, epochs: Values) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch", fontsize=9, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if 0 < len(epochs) < 3:
        axes.set_xlim(epochs[0] - 1, epochs[-1] + 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=FAINT, alpha=0.25, lw=0.6)
    axes.tick_params(labelsize=8, colors=INK)
