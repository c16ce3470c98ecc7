import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.evaluation.object_scores import (
    THRESHOLDS,
    ObjectScores,
    object_scores,
    object_summary,
)

IMAGE = hnp.arrays(np.uint8, (4, 6), elements=st.integers(0, 4))


def line(text):
    return np.array([[0 if c == "." else int(c) for c in text]])


def test_scores_by_hand():
    # Truth 1: IoU 4/5; truth 2: IoU 2/5 (no match at 0.5); prediction 3 overlaps nothing.
    scores = object_scores(line("1111..222...3"), line("11111..2222.."))
    half = scores.at[0]
    assert (half.tp, half.fp, half.fn) == (1, 2, 1)
    assert half.iou_sum == pytest.approx(0.8)
    assert half.ap == pytest.approx(1 / 4)
    assert half.f1 == half.rq == pytest.approx(2 / 5)
    assert half.precision == pytest.approx(1 / 3)
    assert half.recall == pytest.approx(1 / 2)
    assert half.sq == pytest.approx(0.8)
    assert half.pq == pytest.approx(0.8 * 2 / 5)
    # It matches up to 0.8, at seven of the ten thresholds; AP is 1/4 at these and 0 above.
    assert [c.tp for c in scores.at] == [1] * 7 + [0] * 3
    assert scores.mean_ap == pytest.approx(0.7 / 4)
    assert (scores.errors.missed, scores.errors.invented) == (1, 2)


def test_thresholds_are_the_ten_from_half_to_095():
    np.testing.assert_allclose(THRESHOLDS, np.arange(10) * 0.05 + 0.5)


def test_empty_in_both_is_undefined():
    scores = object_scores(line("...."), line("...."))
    assert scores.empty
    assert np.isnan([scores.at[0].ap, scores.at[0].f1, scores.at[0].pq, scores.mean_ap]).all()


@pytest.mark.parametrize(("prediction", "truth"), [("1122", "...."), ("....", "1122")])
def test_empty_on_one_side_scores_zero(prediction, truth):
    scores = object_scores(line(prediction), line(truth))
    half = scores.at[0]
    assert [half.ap, half.f1, half.pq, half.sq, half.precision, half.recall] == [0] * 6
    assert scores.mean_ap == 0


def test_by_image_and_pooled_differ_and_empty_images_are_counted():
    perfect = object_scores(line("1.2.3.4"), line("1.2.3.4"))  # AP 1, four objects
    wrong = object_scores(line("1...."), line("..1.."))  # AP 0, one object missed, one invented
    empty = object_scores(line("...."), line("...."))
    summary = object_summary([perfect, wrong, empty])
    assert summary["ap50_by_image"] == pytest.approx(1 / 2)
    assert summary["ap50_pooled"] == pytest.approx(4 / 6)
    assert summary["mean_ap_by_image"] == pytest.approx(1 / 2)
    assert summary["mean_ap_pooled"] == pytest.approx(4 / 6)
    assert summary["f1_50_pooled"] == pytest.approx(8 / 10)
    assert summary["images_empty"] == 1
    assert (summary["objects_true"], summary["objects_predicted"]) == (5, 5)
    assert (summary["missed"], summary["invented"]) == (1, 1)


def test_summary_names_each_threshold():
    summary = object_summary([object_scores(line("1"), line("1"), thresholds=(0.5, 0.75))])
    assert {"ap50_by_image", "ap75_pooled", "pq_75_by_image"} <= set(summary)
    assert "ap55_pooled" not in summary


def test_nothing_but_empty_images_gives_no_number():
    summary = object_summary([object_scores(line(".."), line(".."))] * 2)
    assert np.isnan(summary["ap50_by_image"])
    assert np.isnan(summary["mean_ap_pooled"])
    assert summary["images_empty"] == 2
    assert object_summary([]) == {}


@given(IMAGE.filter(np.any))
def test_labels_score_one_against_themselves(labels):
    scores = object_scores(labels, labels)
    for at in scores.at:
        assert (at.ap, at.f1, at.pq, at.precision, at.recall) == (1, 1, 1, 1, 1)
    errors = scores.errors
    assert errors.missed == errors.invented == errors.split == errors.merged == 0


@given(IMAGE, IMAGE, st.permutations(range(1, 5)))
def test_scores_do_not_depend_on_ids(prediction, truth, order):
    renamed = np.array([0, *order])[prediction]
    before, after = object_scores(prediction, truth), object_scores(renamed, truth)
    assert before.errors == after.errors
    for a, b in zip(before.at, after.at, strict=True):
        assert (a.tp, a.fp, a.fn) == (b.tp, b.fp, b.fn)
        assert a.iou_sum == pytest.approx(b.iou_sum)


@given(IMAGE, IMAGE)
def test_counts_add_up_to_the_objects_and_fall_with_the_threshold(prediction, truth):
    scores = object_scores(prediction, truth)
    for at in scores.at:
        assert at.tp + at.fn == at.n_true == np.unique(truth[truth > 0]).size
        assert at.tp + at.fp == at.n_predicted == np.unique(prediction[prediction > 0]).size
    hits = [at.tp for at in scores.at]
    assert hits == sorted(hits, reverse=True)


@given(IMAGE, IMAGE)
def test_pooled_scores_of_one_image_equal_by_image(prediction, truth):
    summary = object_summary([object_scores(prediction, truth)])
    for name, value in summary.items():
        if name.endswith("_pooled"):
            np.testing.assert_equal(value, summary[name.replace("_pooled", "_by_image")])


@given(IMAGE, IMAGE)
def test_pooling_equals_scoring_side_by_side(prediction, truth):
    # Two copies that do not touch and have different ids equal one image twice as large.
    one = object_scores(prediction, truth)
    wide = [np.hstack([a, np.where(a, a + 10, 0)]) for a in (prediction, truth)]
    pooled, whole = ObjectScores.pool([one, one]), object_scores(*wide)
    assert pooled.errors == whole.errors
    assert [(c.tp, c.fp, c.fn) for c in pooled.at] == [(c.tp, c.fp, c.fn) for c in whole.at]
