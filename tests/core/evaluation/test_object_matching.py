import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.evaluation.object_matching import classify_objects, match_objects, overlaps

ROWS = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        *[hnp.arrays(np.uint8, (n, 6), elements=st.integers(0, 4)) for _ in ("prediction", "truth")]
    )
)


def line(text):
    """Return a one-row label image from text: one digit per pixel, a dot for background."""
    return np.array([[0 if c == "." else int(c) for c in text]])


def classify(prediction, truth, **kwargs):
    return classify_objects(overlaps(line(prediction), line(truth), **kwargs))


def test_overlaps_list_areas_and_shared_pixels():
    table = overlaps(line("..7779"), line("33333."))
    assert table.truth_ids.tolist() == [3]
    assert table.predicted_ids.tolist() == [7, 9]
    assert (table.truth_area.tolist(), table.predicted_area.tolist()) == ([5], [3, 1])
    assert table.shared.tolist() == [3]
    assert table.iou.tolist() == [3 / 5]


def brute_force(table, threshold):
    """Find the most matches and then the largest sum of IoU, by trying every assignment."""
    iou = np.zeros((table.truth_ids.size, table.predicted_ids.size))
    iou[table.truth_index, table.predicted_index] = table.iou
    if iou.shape[0] > iou.shape[1]:
        iou = iou.T
    best = (0, 0.0)
    for columns in itertools.permutations(range(iou.shape[1]), iou.shape[0]):
        values = [iou[r, c] for r, c in enumerate(columns) if iou[r, c] >= threshold]
        best = max(best, (len(values), sum(values)))
    return best


@given(ROWS, st.sampled_from([0.01, 0.1, 0.2, 1 / 3, 0.5, 0.75, 1.0]))
def test_matching_is_optimal(images, threshold):
    table = overlaps(*images)
    truth_index, predicted_index = match_objects(table, threshold)
    assert len(set(truth_index)) == len(set(predicted_index)) == len(truth_index)
    iou = {
        (t, p): i
        for t, p, i in zip(table.truth_index, table.predicted_index, table.iou, strict=True)
    }
    matched = [iou[pair] for pair in zip(truth_index, predicted_index, strict=True)]
    assert all(i >= threshold for i in matched)
    n, iou_sum = brute_force(table, threshold)
    assert len(matched) == n
    assert sum(matched) == pytest.approx(iou_sum)


def test_more_matches_win_over_a_better_one():
    # Truth 1 overlaps prediction 1 best (2/6), but matching them leaves the others unmatched.
    truth, prediction = line("1111222"), line("3114444")
    table = overlaps(prediction, truth)
    assert match_objects(table, 0.1)[0].size == 2
    truth, prediction = line("11111222"), line("33344444")
    # 1-3: 3/5, 1-4: 2/8, 2-4: 3/5
    table = overlaps(prediction, truth)
    assert match_objects(table, 0.2)[1].tolist() == [0, 1]


def test_a_threshold_is_reached_by_exactly_that_overlap():
    table = overlaps(line("111..."), line("11111."))
    assert match_objects(table, 0.6)[0].size == 1
    assert match_objects(table, 0.65)[0].size == 0


def test_iou_of_one_half_on_both_sides_matches_once():
    assert match_objects(overlaps(line("12"), line("11")), 0.5)[0].size == 1


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan")])
def test_impossible_threshold_gets_a_sentence(threshold):
    with pytest.raises(SettingsError, match="above 0 and at most 1"):
        match_objects(overlaps(line("1"), line("1")), threshold)


def test_missed_and_invented():
    errors = classify("11....2", "11.33..")
    assert errors.truth_category == ("hit", "missed")
    assert errors.predicted_category == ("hit", "invented")
    assert errors.truth_match.tolist() == [0, -1]
    assert errors.predicted_match.tolist() == [0, -1]


def test_split_in_three():
    errors = classify("111.222.333", "11111111111")
    assert errors.truth_category == ("split",)
    assert errors.predicted_category == ("split",) * 3
    counts = errors.counts
    assert (counts.split, counts.merged, counts.missed, counts.invented) == (1, 0, 0, 0)
    assert (counts.missed_in_split, counts.invented_in_split) == (1, 3)


def test_a_split_with_a_large_part_is_still_a_hit():
    errors = classify("111111.222", "1111111111")
    assert errors.truth_category == ("hit",)
    assert errors.predicted_category == ("hit", "split")
    assert (errors.counts.split, errors.counts.missed_in_split) == (1, 0)


def test_one_big_prediction_over_three_truths():
    errors = classify("1111111111", "111.222.33")
    assert errors.truth_category == ("merged",) * 3
    assert errors.predicted_category == ("merged",)
    counts = errors.counts
    assert (counts.split, counts.merged, counts.missed, counts.invented) == (0, 1, 0, 0)
    assert (counts.missed_in_merge, counts.invented_in_merge) == (3, 1)


def test_a_merge_that_matches_its_larger_truth_is_still_a_hit():
    errors = classify("1111111111", "1111111.22")
    assert errors.truth_category == ("hit", "merged")
    assert errors.predicted_category == ("hit",)
    assert (errors.counts.merged, errors.counts.missed_in_merge) == (1, 1)


def test_covering_exactly_half_is_neither_split_nor_merged():
    # The prediction covers half of each true object; each half of a prediction is in the truth.
    assert classify(".11.", "1122").counts.merged == 0
    assert classify("1122", ".33.").counts.split == 0


def test_objects_mostly_outside_the_annotated_area_are_left_out():
    annotated = np.array([[True] * 4 + [False] * 4])
    table = overlaps(line("..11.222"), line(".111.2.."), annotated=annotated)
    assert table.predicted_ids.tolist() == [1]
    assert table.truth_ids.tolist() == [1]
    # An object half inside is kept and only its inside counts; one mostly outside is excluded.
    table = overlaps(line("..1111.."), line("...11111"), annotated=annotated)
    assert table.predicted_area.tolist() == [2]
    assert table.truth_ids.size == 0


@given(ROWS, st.permutations(range(1, 5)), st.sampled_from([1, 1000, 10**6, 2**40]))
def test_nothing_depends_on_the_ids(images, order, factor):
    prediction, truth = (a.astype(np.int64) for a in images)
    other = np.array([0, *order])[prediction] * factor
    errors, renamed = (classify_objects(overlaps(p, truth)) for p in (prediction, other))
    assert errors.counts == renamed.counts
    assert errors.truth_category == renamed.truth_category


@given(ROWS)
def test_errors_subdivide_what_does_not_match(images):
    table = overlaps(*images)
    errors = classify_objects(table)
    counts, hits = errors.counts, match_objects(table, 0.5)[0].size
    missed = counts.missed + counts.missed_in_split + counts.missed_in_merge
    invented = counts.invented + counts.invented_in_split + counts.invented_in_merge
    assert missed == table.truth_ids.size - hits
    assert invented == table.predicted_ids.size - hits
    assert errors.truth_category.count("hit") == errors.predicted_category.count("hit") == hits


@pytest.mark.parametrize("top", [30, 200])
def test_pairs_of_volumes_share_what_they_share(top):  # few pairs and many are counted differently
    truth, prediction = np.random.default_rng(0).integers(0, top, (2, 3, 8, 9))
    table = overlaps(prediction, truth)
    for t, p, shared in zip(table.truth_index, table.predicted_index, table.shared, strict=True):
        both = (truth == table.truth_ids[t]) & (prediction == table.predicted_ids[p])
        assert both.sum() == shared
    assert table.shared.sum() == ((truth > 0) & (prediction > 0)).sum()


def test_floats_are_no_labels():
    with pytest.raises(LabelsError, match="prediction has data type float32"):
        overlaps(np.zeros((2, 2), np.float32), np.zeros((2, 2), int))
