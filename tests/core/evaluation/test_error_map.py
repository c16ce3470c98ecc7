import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.evaluation.error_map import ERROR_CATEGORIES, error_map

IMAGE = hnp.arrays(np.uint8, (4, 6), elements=st.integers(0, 4))


def line(text):
    return np.array([[0 if c == "." else int(c) for c in text]])


def letters(errors):
    """Return the map as text: h(it), m(issed), i(nvented), s(plit), M(erged), w(rong class)."""
    return "".join(".hmisMw"[n] for n in errors.labels.ravel())


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        ("111......", "1111...2.", "hhhh...m."),
        (".....33..", "..1......", "..m..ii.."),
        ("11.22.33.", "11111111.", "ssssssss."),
        ("11111111.", "11.22.33.", "MMMMMMMM."),
        ("111111111", "1111111.2", "hhhhhhhhM"),
        (".........", ".........", "........."),
    ],
)
def test_objects_are_painted_by_what_became_of_them(prediction, truth, expected):
    assert letters(error_map(line(prediction), line(truth))) == expected


def test_classes_are_compared_pixel_by_pixel():
    errors = error_map(line("0011223"), line("0100220"), kind="semantic")
    assert letters(errors) == ".miihhi"
    assert letters(error_map(line("12"), line("21"), kind="semantic")) == "ww"
    other = error_map(line("112"), line("121"), kind="semantic", background=1)
    assert letters(other) == ".mi"


def test_table_lists_every_object():
    rows = error_map(line("111..4"), line("1111.."), iou_threshold=0.7).objects
    assert rows == (
        {
            "plane": "",
            "object": "truth",
            "id": 1,
            "category": "hit",
            "iou": 0.75,
            "area_px": 4,
            "centroid_y": 0.0,
            "centroid_x": 1.5,
        },
        {
            "plane": "",
            "object": "prediction",
            "id": 1,
            "category": "hit",
            "iou": 0.75,
            "area_px": 3,
            "centroid_y": 0.0,
            "centroid_x": 1.0,
        },
        {
            "plane": "",
            "object": "prediction",
            "id": 4,
            "category": "invented",
            "iou": 0.0,
            "area_px": 1,
            "centroid_y": 0.0,
            "centroid_x": 5.0,
        },
    )


def test_an_unmatched_object_still_says_how_close_it_was():
    rows = error_map(line("1......"), line("1111..."), iou_threshold=0.5).objects
    assert [(r["category"], r["iou"]) for r in rows] == [("missed", 0.25), ("invented", 0.25)]


def test_planes_of_a_stack_are_looked_at_one_by_one():
    truth = np.stack([line("11..")] * 2)
    prediction = np.stack([line("11.."), line("....")])
    errors = error_map(prediction, truth)
    assert letters(errors) == "hh..mm.."
    assert [row["plane"] for row in errors.objects] == ["0", "0", "1"]
    assert letters(error_map(prediction, truth, ndim=3)) == "hh..hh.."


def test_nothing_is_marked_outside_the_annotated_area():
    annotated = np.array([[True] * 4 + [False] * 4])
    for kind in ("instances", "semantic"):
        errors = error_map(line(".111..22"), line(".111.33."), annotated=annotated, kind=kind)
        assert letters(errors) == ".hhh...."


@given(IMAGE, IMAGE)
def test_every_object_is_marked_and_nothing_else(prediction, truth):
    for kind in ("instances", "semantic"):
        errors = error_map(prediction, truth, kind=kind)
        np.testing.assert_array_equal(errors.labels > 0, (prediction > 0) | (truth > 0))
        assert set(np.unique(errors.labels)) <= {0, *errors.colours}


def test_every_category_has_a_colour_of_its_own():
    colours = error_map(line("1"), line("1")).colours
    assert sorted(colours) == list(range(1, len(ERROR_CATEGORIES)))
    assert len(set(colours.values())) == len(colours)


def test_bad_input_gets_a_sentence():
    with pytest.raises(LabelsError, match="expected the same"):
        error_map(line("11"), line("111"))
    with pytest.raises(SettingsError, match="'instances' or 'semantic'"):
        error_map(line("11"), line("11"), kind="panoptic")
