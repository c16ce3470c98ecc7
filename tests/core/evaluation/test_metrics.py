import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation.metrics import (
    PixelCounts,
    foreground_counts,
    pixel_counts,
    pixel_summary,
)
from napari_unet.core.images.labels import planes

SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, max_side=6)


def labels_of(shape, top=3):
    return hnp.arrays(np.uint8, shape, elements=st.integers(0, top))


two_label_images = SHAPES.flatmap(lambda s: st.tuples(labels_of(s), labels_of(s)))


def test_scores_of_one_class_by_hand():
    # 4 true pixels, 3 predicted, 2 in common, 1 x 8 image.
    truth = np.array([[1, 1, 1, 1, 0, 0, 0, 0]])
    prediction = np.array([[0, 0, 1, 1, 1, 0, 0, 0]])
    summary = pixel_summary([pixel_counts(prediction, truth)])
    assert summary["iou_foreground_pooled"] == pytest.approx(2 / 5)
    assert summary["dice_foreground_pooled"] == pytest.approx(4 / 7)
    assert summary["precision_foreground_pooled"] == pytest.approx(2 / 3)
    assert summary["recall_foreground_pooled"] == pytest.approx(2 / 4)
    assert summary["pixel_accuracy_pooled"] == pytest.approx(5 / 8)
    # background: 4 true, 5 predicted, 3 in common
    assert summary["mean_iou_with_background_pooled"] == pytest.approx((2 / 5 + 3 / 6) / 2)
    assert summary["mean_iou_without_background_pooled"] == pytest.approx(2 / 5)


def test_three_classes_by_hand():
    truth = np.array([[0, 0, 1, 1, 2, 2]])
    prediction = np.array([[0, 1, 1, 2, 2, 2]])
    counts = pixel_counts(prediction, truth)
    np.testing.assert_array_equal(counts.confusion, [[1, 1, 0], [0, 1, 1], [0, 0, 2]])
    np.testing.assert_allclose(counts.score("iou"), [1 / 2, 1 / 3, 2 / 3])
    np.testing.assert_allclose(counts.score("recall"), [1 / 2, 1 / 2, 1])
    assert counts.accuracy == pytest.approx(4 / 6)
    # 1 and 2 together: 4 true, 5 predicted, 4 in common, although two are of the wrong class
    assert counts.foreground().score("iou")[1] == pytest.approx(4 / 5)


def test_class_absent_in_both_is_undefined_and_left_out_of_means():
    counts = pixel_counts(np.array([[0, 1]]), np.array([[0, 1]]), classes=[0, 1, 2])
    assert np.isnan(counts.score("dice")[2])
    assert counts.mean("dice", with_background=False) == 1


@pytest.mark.parametrize("score", ["iou", "dice", "precision", "recall"])
def test_class_present_on_one_side_only_scores_zero(score):
    empty, full = np.zeros((2, 2), int), np.ones((2, 2), int)
    assert pixel_counts(empty, full).score(score)[1] == 0
    assert pixel_counts(full, empty).score(score)[1] == 0


def test_by_image_and_pooled_differ_and_an_empty_image_is_left_out():
    small = pixel_counts(np.array([[1, 0, 0, 0]]), np.array([[1, 0, 0, 0]]))  # IoU 1
    large = pixel_counts(np.array([[1, 1, 0, 0]]), np.array([[1, 1, 1, 1]]))  # IoU 1/2
    empty = pixel_counts(np.array([[0, 0, 0, 0]]), np.array([[0, 0, 0, 0]]))
    summary = pixel_summary([small, large, empty])
    assert summary["iou_foreground_by_image"] == pytest.approx(3 / 4)
    assert summary["iou_foreground_pooled"] == pytest.approx(3 / 5)


def test_class_scores_are_named_after_the_class():
    counts = pixel_counts(np.array([[0, 1, 2]]), np.array([[0, 1, 1]]))
    summary = pixel_summary([counts], {1: "Nucleus", 2: "Cell border", 3: "never"})
    assert summary["recall_nucleus_pooled"] == 0.5
    assert summary["dice_cell_border_by_image"] == 0
    assert np.isnan(summary["dice_never_pooled"])


def test_names_of_classes_do_not_take_the_place_of_other_scores():
    counts = pixel_counts(np.array([[0, 1, 2, 3]]), np.array([[0, 1, 1, 3]]))
    names = {1: "Foreground", 2: "Cell border", 3: "cell  border"}
    summary = pixel_summary([counts], names)
    assert summary["recall_foreground_pooled"] == 1
    assert summary["recall_foreground_1_pooled"] == 0.5
    assert summary["dice_cell_border_2_pooled"] == 0
    assert summary["dice_cell_border_3_pooled"] == 1


def test_pixels_outside_the_annotated_area_do_not_count():
    truth, prediction = np.array([[1, 1, 0, 0]]), np.array([[1, 1, 1, 1]])
    annotated = np.array([[True, True, True, False]])
    for count in (pixel_counts, foreground_counts):
        counts = count(prediction, truth, annotated=annotated)
        assert counts.pixels == 3
        assert counts.foreground().score("iou")[1] == pytest.approx(2 / 3)
    nowhere = pixel_counts(prediction, truth, annotated=np.zeros((1, 4), bool))
    assert np.isnan(nowhere.accuracy)


def test_the_background_need_not_be_zero():
    counts = pixel_counts(np.array([[1, 2, 2]]), np.array([[1, 1, 2]]), background=1)
    assert counts.mean("recall", with_background=False) == 1
    assert counts.foreground().score("precision")[1] == 0.5


@given(two_label_images)
def test_foreground_counts_equal_the_table_of_a_binary_image(images):
    prediction, truth = images
    fast = foreground_counts(prediction, truth)
    table = pixel_counts(prediction > 0, truth > 0, classes=(0, 1))
    np.testing.assert_array_equal(fast.confusion, table.confusion)


@given(SHAPES.flatmap(labels_of))
def test_labels_score_one_against_themselves(labels):
    counts = pixel_counts(labels, labels)
    for score in ("iou", "dice", "precision", "recall"):
        assert set(counts.score(score)[counts.present]) == {1.0}
    assert counts.accuracy == 1


@given(two_label_images)
def test_pooled_scores_of_one_image_equal_by_image(images):
    summary = pixel_summary([pixel_counts(*images)], {1: "one", 2: "two"})
    for name, value in summary.items():
        if name.endswith("_pooled"):
            np.testing.assert_equal(value, summary[name.replace("_pooled", "_by_image")])


@given(two_label_images)
def test_pooling_planes_equals_counting_the_stack(images):
    prediction, truth = np.stack([images[0]] * 2), np.stack(images)
    halves = [pixel_counts(p, t) for p, t in zip(prediction, truth, strict=True)]
    pooled, whole = PixelCounts.pool(halves), pixel_counts(prediction, truth)
    np.testing.assert_array_equal(pooled.confusion, whole.confusion)
    assert pooled.classes == whole.classes


def test_stack_comes_apart_into_planes_or_volumes():
    stack = np.zeros((2, 3, 4, 5), int)
    assert [where for where, *_ in planes(stack, stack)] == list(np.ndindex(2, 3))
    assert [t.shape for _, _, t, _ in planes(stack, stack, ndim=3)] == [(3, 4, 5)] * 2
    assert [where for where, *_ in planes(stack[0, 0], stack[0, 0])] == [()]
    with pytest.raises(LabelsError, match="2 dimension"):
        next(planes(stack[0, 0], stack[0, 0], ndim=3))


@pytest.mark.parametrize(
    ("prediction", "truth", "sentence"),
    [
        (np.zeros((2, 2)), np.zeros((2, 2), int), "prediction has data type float64"),
        (np.zeros((2, 2), int), np.full((2, 2), -1), "lowest id of the ground truth is -1"),
        (np.zeros((2, 2), int), np.zeros((2, 3), int), r"\(2, 2\) and the ground truth \(2, 3\)"),
        (np.zeros((2, 2), int), np.array([["a", "b"]] * 2), "data type <U1"),
        (np.arange(400).reshape(20, 20), np.zeros((20, 20), int), "as instances"),
        (np.full((2, 2), 70_000), np.zeros((2, 2), int), "as instances"),
    ],
)
def test_what_is_not_labels_gets_a_sentence(prediction, truth, sentence):
    with pytest.raises(LabelsError, match=sentence):
        pixel_counts(prediction, truth)


def test_unknown_class_and_foreign_area_get_a_sentence():
    labels = np.array([[0, 7]])
    with pytest.raises(LabelsError, match=r"\[7\].*not among the classes \[0, 1\]"):
        pixel_counts(labels, labels, classes=(0, 1))
    with pytest.raises(LabelsError, match="annotated area has shape"):
        foreground_counts(labels, labels, annotated=np.ones((3, 3), bool))


def test_every_integer_type_is_welcome():
    for dtype in (bool, np.uint8, np.int16, np.uint32, np.uint64, np.int64):
        labels = np.array([[0, 1]]).astype(dtype)
        assert pixel_counts(labels, labels).accuracy == 1
