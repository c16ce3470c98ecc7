import numpy as np
import pytest
from matplotlib.figure import Figure

from napari_unet.core.tasks.scores import CLASS_SCORES, OBJECT_SCORES
from napari_unet.core.training.curves import curves_figure


@pytest.fixture
def drawn(monkeypatch):
    """Collect the figures that are saved."""
    figures, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))[1]
    )
    return figures


def history(n, **columns):
    return [{"epoch": i + 1, **{k: v[i] for k, v in columns.items()}} for i in range(n)]


def test_losses_and_scores_are_drawn_beside_each_other(tmp_path, drawn):
    rows = history(
        3,
        train_loss=[0.9, 0.5, 0.4],
        validation_loss=[1.0, 0.6, 0.5],
        mean_ap_by_image=[0.1, 0.5, 0.4],
        dice_foreground_by_image=[0.5, 0.8, 0.9],
    )
    curves_figure(tmp_path / "curves.png", rows, OBJECT_SCORES.curves)
    losses, scores = drawn[0].axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation"]
    np.testing.assert_allclose(losses.lines[1].get_ydata(), [1.0, 0.6, 0.5])
    assert losses.get_yscale() == "linear"
    assert "best 0.500" in [text.get_text() for text in scores.texts]
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


def test_losses_over_several_magnitudes_get_a_logarithmic_axis(tmp_path, drawn):
    curves_figure(tmp_path / "c.png", history(2, train_loss=[30.0, 0.1]), CLASS_SCORES.curves)
    assert drawn[0].axes[0].get_yscale() == "log"


def test_without_validation_there_is_one_panel(tmp_path, drawn):
    curves_figure(tmp_path / "c.png", history(1, train_loss=[0.3]), OBJECT_SCORES.curves)
    assert len(drawn[0].axes) == 1


def test_gaps_are_left_out(tmp_path, drawn):
    rows = history(3, train_loss=[0.3, float("nan"), 0.2])
    rows[0]["ap50_by_image"] = ""
    rows[2]["ap50_by_image"] = "0.5"  # as a CSV reader returns it
    curves_figure(tmp_path / "c.png", rows, OBJECT_SCORES.curves)
    losses, scores = drawn[0].axes
    assert list(losses.lines[0].get_xdata()) == [1, 3]
    assert list(scores.lines[0].get_ydata()) == [0.5]


def test_an_empty_history_still_gives_a_picture(tmp_path):
    curves_figure(tmp_path / "c.png", [], CLASS_SCORES.curves)
    assert (tmp_path / "c.png").exists()
