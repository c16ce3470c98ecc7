import csv

import numpy as np
import pytest

from napari_unet.core.evaluation.evaluation import evaluate_many
from napari_unet.core.evaluation.report import DEFINITIONS, format_score, write_report


@pytest.fixture
def report():
    truth = np.zeros((20, 20), int)
    truth[2:8, 2:8], truth[12:18, 12:18] = 1, 2
    half = np.where(truth == 1, 1, 0)
    return evaluate_many([("a", truth, truth), ("b", half, truth), ("c", truth * 0, truth * 0)])


def test_table_shows_by_image_beside_pooled_with_a_definition(report):
    rows = {row.score: row for row in report.score_rows()}
    ap = rows["AP at IoU 0.5"]
    assert (ap.by_image, ap.pooled) == (0.75, 0.75)
    assert "not COCO" in ap.definition
    dice = rows["Dice, foreground"]
    assert dice.by_image == pytest.approx((1 + 2 / 3) / 2)
    assert dice.pooled == pytest.approx(2 * 108 / (108 + 144))
    assert next(iter(rows)) == "AP at IoU 0.5"


def test_classes_get_lines_of_their_own():
    labels = np.array([[0, 1, 2]])
    report = evaluate_many(
        [("a", labels, labels)], kind="semantic", classes={1: "Nucleus", 2: "Border"}
    )
    scores = [row.score for row in report.score_rows()]
    assert {"Dice, Nucleus", "IoU, Border", "mean IoU with background"} <= set(scores)
    assert not any("AP" in score for score in scores)
    assert report.threshold_rows() == []


def test_thresholds_have_a_row_each(report):
    rows = report.threshold_rows()
    assert [row["iou_threshold"] for row in rows][:2] == [0.5, 0.55]
    assert len(rows) == 10
    assert rows[9]["ap_pooled"] == 0.75


def test_undefined_scores_are_a_dash():
    assert [format_score(v) for v in (float("nan"), None, 0.12345, 1)] == [
        "–",
        "–",
        "0.123",
        "1.000",
    ]


def test_every_definition_is_a_sentence():
    assert all(text.endswith(".") for text in DEFINITIONS.values())


def test_csv_files_hold_what_the_report_says(report, tmp_path):
    scores, by_image = write_report(report, tmp_path / "results")
    with scores.open(newline="", encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert (first["score"], float(first["pooled"])) == ("AP at IoU 0.5", 0.75)
    with by_image.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["ap50"]) for row in rows] == [("a", "1.0"), ("b", "0.5"), ("c", "")]
    assert [row["fn"] for row in rows] == ["0", "1", "0"]
