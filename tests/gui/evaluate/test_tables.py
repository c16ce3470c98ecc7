"""Rows and headlines of the evaluation tables."""

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.evaluation.error_map import error_map
from napari_unet.core.evaluation.evaluation import evaluate, evaluate_many
from napari_unet.gui.evaluate import tables as tables


@pytest.fixture
def truth() -> np.ndarray:
    labels = np.zeros((60, 60), np.uint16)
    for n, (y, x) in enumerate(np.ndindex(3, 3), start=1):
        labels[20 * y : 20 * y + 10, 20 * x : 20 * x + 10] = n
    return labels


@pytest.fixture
def prediction(truth: np.ndarray) -> np.ndarray:
    """Object 1 is missed, 2 and 3 are merged, 4 is split, one is invented; five are hit."""
    labels = np.roll(truth, 1, axis=1)
    labels[truth == 1] = 0
    labels[:10, 1:3] = 0
    labels[0:10, 20:51] = 2
    labels[25:30][labels[25:30] == 4] = 40
    labels[50:, 50:] = 99
    labels[labels == 1] = 0
    return labels


def test_objects_and_headline_agree(truth: np.ndarray, prediction: np.ndarray) -> None:
    report, errors = evaluate(prediction, truth), error_map(prediction, truth)
    counts = tables.category_counts(errors)
    assert {k: v for k, v in counts.items() if k in ("missed", "invented")} == {
        "missed": 1,
        "invented": 1,
    }
    for category, count in counts.items():
        assert len(tables.object_rows(errors, category)) == count
    wrong = tables.object_rows(errors, "errors")
    assert {row["category"] for row in wrong} == {"missed", "invented", "split", "merged"}
    assert len(tables.object_rows(errors, "all")) == len(wrong) + counts["hit"]
    line = tables.headline(report, errors, 0.5)
    assert f"found {counts['hit']} of 9 objects" in line
    fates = tables.fates(report, errors)
    assert fates == {"hit": 5, "missed": 1, "split": 1, "merged": 2, "invented": 1}
    assert sum(fates.values()) - fates["invented"] == 9
    assert f"AP {report.summary()['ap50_pooled']:.3f}" in line


def test_headline_follows_the_threshold(truth: np.ndarray) -> None:
    moved = np.roll(truth, 2, axis=1)  # IoU 0.67
    report = evaluate(moved, truth)
    strict = tables.headline(report, error_map(moved, truth, iou_threshold=0.7), 0.7)
    assert "AP 0.000" in strict
    assert "found 0 of 9 objects" in strict
    assert "At IoU 0.7" in strict


def test_nothing_at_all_has_no_score() -> None:
    empty = np.zeros((8, 8), np.uint8)
    report = evaluate(empty, empty)
    assert "no score" in tables.headline(report, error_map(empty, empty), 0.5)
    assert np.isnan(tables.class_rows(report, "pooled")[0]["IoU"])


def test_every_class_has_a_row() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:5, :5], truth[5:, :5] = 1, 2
    prediction = truth.copy()
    prediction[4, :5] = 2
    names = {0: "background", 1: "cell", 2: "Cell border"}
    report = evaluate(prediction, truth, kind="semantic", classes=names)
    rows = {row["class"]: row for row in tables.class_rows(report, "pooled")}
    assert set(rows) == {"foreground", *names.values()}
    assert rows["cell"] == pytest.approx(
        {"class": "cell", "IoU": 0.8, "Dice": 0.889, "precis.": 1.0, "recall": 0.8}
    )
    assert "Pixel accuracy 0.950" in tables.overall_scores(report, "pooled")
    errors = error_map(prediction, truth, kind="semantic")
    counts = tables.fates(report, errors)
    found = np.bincount(errors.labels.ravel(), minlength=7)
    assert counts == {"hit": found[1], "missed": 0, "invented": 0, "wrong class": found[6]}
    assert counts["wrong class"] == 5


def test_planes_have_rows(truth: np.ndarray, prediction: np.ndarray) -> None:
    stack = np.stack([truth, truth]), np.stack([prediction, np.roll(truth, 1, axis=0)])
    report = evaluate(stack[1], stack[0], name="stack")
    rows = tables.image_rows(report)
    assert [row["image"] for row in rows] == ["stack 0", "stack 1"]
    assert rows[1]["AP"] == 1.0
    assert rows[0]["AP"] < 1


def test_by_image_and_pooled_differ(truth: np.ndarray, prediction: np.ndarray) -> None:
    small = truth[:20, :40], np.zeros((20, 40), np.uint8)
    report = evaluate_many([("a", prediction, truth), ("b", small[1], small[0])])
    pooled, by_image = (tables.threshold_rows(report, how)[0] for how in ("pooled", "by_image"))
    assert pooled["IoU"] == 0.5
    assert pooled["AP"] > by_image["AP"]


def test_export_writes_every_table(
    tmp_path: Path, truth: np.ndarray, prediction: np.ndarray
) -> None:
    report, errors = evaluate(prediction, truth), error_map(prediction, truth)
    written = tables.export_csv(report, errors, tmp_path, {"prediction": "p", "truth": "t"})
    assert {path.name for path in written} == {
        "scores.csv",
        "scores_by_image.csv",
        "scores_by_threshold.csv",
        "object_errors.csv",
        "evaluation.csv",
    }
    with (tmp_path / "object_errors.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(errors.objects)
    assert {row["category"] for row in rows} >= {"hit", "missed", "merged", "split"}


def test_an_export_leaves_no_table_of_another_evaluation(
    tmp_path: Path, truth: np.ndarray, prediction: np.ndarray
) -> None:
    report = evaluate(prediction, truth)
    (tmp_path / "objects.csv").write_text("measured before")  # of Predict
    tables.export_csv(report, error_map(prediction, truth), tmp_path, {})
    tables.export_csv(report, None, tmp_path, {})
    assert not (tmp_path / "object_errors.csv").exists()
    assert (tmp_path / "objects.csv").read_text() == "measured before"
