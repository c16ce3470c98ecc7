import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.evaluation.evaluation import (
    class_map,
    evaluate,
    evaluate_many,
    scored_area,
    with_true_ids,
)

IMAGE = hnp.arrays(np.uint8, (4, 6), elements=st.integers(0, 4))


def line(text):
    return np.array([[0 if c == "." else int(c) for c in text]])


def test_one_image_of_objects():
    summary = evaluate(line("11.22...."), line("11.22.333")).summary()
    assert summary["ap50_by_image"] == summary["ap50_pooled"] == pytest.approx(2 / 3)
    assert summary["dice_foreground_pooled"] == pytest.approx(8 / 11)
    assert (summary["missed"], summary["invented"]) == (1, 0)
    assert (summary["images"], summary["images_empty"]) == (1, 0)


def test_many_images_by_image_and_pooled():
    report = evaluate_many(
        [
            ("good", line("1.2.3.4"), line("1.2.3.4")),
            ("bad", line("1......"), line("..1....")),
            ("empty", line("......."), line(".......")),
        ]
    )
    summary = report.summary()
    assert summary["ap50_by_image"] == 0.5
    assert summary["ap50_pooled"] == pytest.approx(4 / 6)
    assert (summary["images"], summary["images_empty"]) == (3, 1)
    assert [row["image"] for row in report.to_rows()] == ["good", "bad", "empty"]
    assert [row["ap50"] for row in report.to_rows()] == [1, 0, None]


def test_a_stack_is_scored_plane_by_plane():
    # In a volume, the object is a hit in both planes; per plane, the second is missed.
    truth = np.stack([line("1111"), line("1...")])
    prediction = np.stack([line("1111"), line("....")])
    per_plane = evaluate(prediction, truth, name="film")
    assert [i.name for i in per_plane.images] == ["film 0", "film 1"]
    assert per_plane.summary()["ap50_by_image"] == 0.5
    assert evaluate(prediction, truth, ndim=3).summary()["ap50_by_image"] == 1


def test_planes_without_labels_are_left_out_and_counted_unless_they_are_background():
    truth = np.stack([line("11.."), line("....")])
    prediction = np.stack([line("11.."), line(".22.")])
    report = evaluate(prediction, truth)
    assert (len(report.images), report.not_annotated) == (1, 1)
    assert report.summary()["ap50_by_image"] == 1
    looked_at = evaluate(prediction, truth, empty_planes="background")
    assert looked_at.summary()["ap50_by_image"] == 0.5
    # A single image is always scored: ground truth without objects is valid.
    assert evaluate(line("11"), line("..")).summary()["ap50_by_image"] == 0


def test_a_stack_without_any_label_gets_a_sentence():
    with pytest.raises(LabelsError, match=r"None of the 2 planes.*empty_planes='background'"):
        evaluate(np.ones((2, 3, 3), int), np.zeros((2, 3, 3), int))


def test_nothing_to_evaluate_gets_a_sentence():
    with pytest.raises(LabelsError, match="nothing to evaluate"):
        evaluate_many([])


def test_annotated_area_limits_objects_and_pixels():
    annotated = np.array([[True] * 4 + [False] * 4])
    summary = evaluate(line("11...222"), line("11.....3"), annotated=annotated).summary()
    assert (summary["ap50_pooled"], summary["pixel_accuracy_pooled"]) == (1, 1)


def test_classes_are_compared_by_name_and_never_by_id():
    truth, prediction = line("..1122"), line("..2211")
    names = {0: "background", 1: "nucleus", 2: "border"}
    swapped = {0: "Background", 1: "border", 2: " Nucleus"}
    report = evaluate(prediction, truth, kind="semantic", classes=names, prediction_classes=swapped)
    assert report.summary()["iou_nucleus_pooled"] == 1
    assert report.summary()["mean_iou_with_background_pooled"] == 1
    same = evaluate(prediction, truth, kind="semantic", classes=names)
    assert same.summary()["iou_nucleus_pooled"] == 0
    assert same.summary()["dice_foreground_pooled"] == 1


def test_class_map_maps_names_and_the_unnamed_background():
    assert class_map({1: "cell"}, {1: "Background", 2: "CELL"}, background=1) == {1: 2, 0: 1}
    with pytest.raises(LabelsError, match=r"'tissue'.*the ground truth has 'cell'"):
        class_map({1: "tissue"}, {1: "cell"})
    with pytest.raises(LabelsError, match="two classes"):
        class_map({1: "cell", 2: "Cell"}, {1: "cell"})
    with pytest.raises(LabelsError, match="two classes named 'Cell'"):
        class_map({1: "cell"}, {1: "cell", 2: "Cell"})


def test_a_predicted_id_outside_its_class_table_gets_a_sentence():
    tables = {"classes": {1: "a", 2: "b"}, "prediction_classes": {1: "b"}}
    with pytest.raises(LabelsError, match=r"'cells': The prediction contains.*\[7\]"):
        evaluate(line("17"), line("11"), kind="semantic", name="cells", **tables)


def test_two_binary_masks_need_no_names():
    report = evaluate(line("..1.") * 255, line("..1."), kind="semantic")
    assert report.summary()["dice_foreground_pooled"] == 1
    assert report.summary()["mean_iou_with_background_by_image"] == 1
    assert report.notes == (
        "Class 255 of the prediction was compared with class 1 of the ground truth.",
    )


def test_unnamed_classes_in_common_are_compared_by_id_and_others_refused():
    report = evaluate(line(".122"), line(".112"), kind="semantic")
    assert report.summary()["recall_class_1_pooled"] == 0.5
    assert "compared by id: [1, 2]" in report.notes[0]
    with pytest.raises(LabelsError, match="none in common"):
        evaluate(line(".345"), line(".112"), kind="semantic")


def test_sparse_truth_scores_painted_pixels_only():
    truth, prediction = line("..1122..2"), line("212121111")
    names = {1: "background", 2: "cell"}
    summary = evaluate(prediction, truth, kind="semantic", sparse=True, classes=names).summary()
    # painted: 1 1 2 2 2, predicted there: 2 1 2 1 1
    assert summary["pixel_accuracy_pooled"] == pytest.approx(2 / 5)
    assert summary["recall_foreground_pooled"] == pytest.approx(1 / 3)
    assert summary["precision_cell_pooled"] == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"kind": "panoptic"}, "'instances' or 'semantic'"),
        ({"kind": "instances", "sparse": True}, "annotated area"),
        ({"kind": "semantic", "sparse": True}, "background class is unknown"),
    ],
)
def test_contradicting_settings_get_a_sentence(settings, sentence):
    with pytest.raises(SettingsError, match=sentence):
        evaluate(line("1"), line("1"), **settings)


def test_errors_name_the_image():
    with pytest.raises(LabelsError, match=r"'b\.tif': The prediction has shape \(1, 2\)"):
        evaluate_many([("a.tif", line("1"), line("1")), ("b.tif", line("11"), line("1"))])


@given(IMAGE.filter(np.any), st.sampled_from(["instances", "semantic"]))
def test_labels_score_one_against_themselves(labels, kind):
    summary = evaluate(labels, labels, kind=kind).summary()
    scores = [v for k, v in summary.items() if k.endswith(("_by_image", "_pooled"))]
    assert set(scores) == {1.0}


@given(IMAGE, IMAGE)
def test_rows_of_one_image_equal_the_summary(prediction, truth):
    report = evaluate(prediction, truth)
    summary, (row,) = report.summary(), report.to_rows()
    for score in ("ap50", "mean_ap", "dice_foreground", "pixel_accuracy"):
        for how in ("by_image", "pooled"):
            value = summary[f"{score}_{how}"]
            assert row[score] == (None if np.isnan(value) else value)


def test_json_survives_undefined_scores():
    report = evaluate(line("...."), line("...."))
    text = json.dumps(report.as_dict(), allow_nan=False)
    assert json.loads(text)["summary"]["ap50_pooled"] is None


def test_the_report_says_which_id_stands_for_which() -> None:
    truth = np.array([[0, 0, 1, 1]])
    mask = np.array([[0, 255, 255, 255]])  # its only class is compared with the only true class
    report = evaluate(mask, truth, kind="semantic")
    assert with_true_ids(mask, report.class_ids).tolist() == [[0, 1, 1, 1]]
    swapped = np.array([[2, 1, 1, 1]])
    report = evaluate(
        swapped,
        truth,
        kind="semantic",
        classes={0: "background", 1: "cell"},
        prediction_classes={1: "cell", 2: "background"},
    )
    assert with_true_ids(swapped, report.class_ids).tolist() == [[0, 1, 1, 1]]
    assert with_true_ids(truth, evaluate(truth, truth, kind="semantic").class_ids) is truth


def test_the_scored_area_is_what_is_scored() -> None:
    truth = np.zeros((2, 4, 4), np.uint8)
    truth[1, :2] = 1
    area = np.ones(truth.shape, np.uint8)
    area[:, :, 3] = 0
    assert scored_area(truth, empty_planes="background") is None
    scored = scored_area(truth, area)
    assert scored is not None
    assert scored.sum() == 12  # three columns of the plane with labels
    sparse = scored_area(truth, area, sparse=True)
    assert sparse is not None
    assert sparse.sum() == 6
    counts = evaluate(truth, truth, kind="semantic", annotated=area).images[0].pixels
    assert counts.pixels == scored.sum()
