"""Issues in labels are reported with a count and a repair, and repaired labels have none."""

import time

import numpy as np
import pytest

from napari_unet.core.datasets.label_check import check_labels, repair_labels
from napari_unet.core.errors import LabelsError


def squares(n=4, dtype=np.uint16, size=6):
    """Draw `n` separate squares with ids 1 to n."""
    labels = np.zeros((size + 2, n * (size + 2)), dtype)
    for i in range(n):
        start = i * (size + 2) + 1
        labels[1 : size + 1, start : start + size] = i + 1
    return labels


def kinds(labels, **options):
    return [issue.kind for issue in check_labels(labels, **({"instances": True} | options))]


def test_good_labels_have_no_issue():
    assert kinds(squares()) == []
    assert kinds(squares() > 0, instances=False) == []
    assert kinds(np.zeros((8, 8), np.uint8)) == []
    assert kinds(squares().astype(float)) == []
    assert kinds(squares(n=1, dtype=np.uint8) * 255) == []


def test_touching_objects_are_not_pieces():
    labels = np.zeros((10, 20), int)
    labels[2:8, 2:8], labels[2:8, 8:14] = 1, 2
    assert kinds(labels) == []


def test_id_in_several_pieces():
    labels = squares()
    labels[labels == 3] = 1
    (issue,) = check_labels(labels, instances=True, name="cells")
    assert (issue.kind, issue.ids, issue.repairable) == ("pieces", (1,), True)
    assert "'cells': id 1 is in several pieces" in issue.message
    repaired = repair_labels(labels, [issue])
    assert kinds(repaired) == []
    assert len(np.unique(repaired)) == 5
    assert set(np.unique(labels)) == {0, 1, 2, 4}, "the input stays as it is"


def test_pieces_of_classes_and_of_scribbles_are_normal():
    labels = squares()
    labels[labels == 3] = 1
    assert kinds(labels, instances=False) == []
    assert kinds(labels, sparse=True) == []


def test_fragments():
    labels = squares()
    labels[0, 0] = 9
    labels[-1, :2] = 4
    (pieces, fragments) = check_labels(labels, instances=True)
    assert (pieces.kind, fragments.kind) == ("pieces", "fragments")
    assert fragments.ids == (4, 9)
    assert fragments.count == 2
    repaired = repair_labels(labels, [pieces, fragments])
    assert kinds(repaired) == []
    assert repaired[0, 0] == 0


@pytest.mark.parametrize(("value", "kind"), [(1, "single_id"), (255, "0_255")])
def test_one_id_for_all_objects(value, kind):
    labels = (squares() > 0).astype(np.uint8) * value
    (issue,) = check_labels(labels, instances=True)
    assert issue.kind == kind
    assert issue.count == 4
    repaired = repair_labels(labels, [kind])
    np.testing.assert_array_equal(repaired > 0, labels > 0)
    assert sorted(np.unique(repaired)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("sparse", [False, True])
def test_black_and_white_picture_as_class(sparse):
    labels = (squares() > 0).astype(np.uint8) * 255
    (issue,) = check_labels(labels, instances=False, sparse=sparse)
    assert issue.kind == "class_255"
    np.testing.assert_array_equal(repair_labels(labels, [issue]), labels > 0)


def test_no_background():
    labels = squares() + 1
    (issue,) = check_labels(labels, instances=True)
    assert issue.kind == "no_background"
    assert issue.ids == (1,)
    assert repair_labels(labels, [issue])[0, 0] == 0
    (classes,) = check_labels(labels, instances=False)
    assert "sparse" in classes.message
    assert kinds(labels, instances=False, sparse=True) == []


def test_ids_that_started_again_in_uint8():
    many = squares(300)
    wrapped = np.where(many > 255, many - 255, many).astype(np.uint8)
    (issue,) = check_labels(wrapped, instances=True)
    assert issue.kind == "wrapped_ids"
    assert issue.count == 45
    assert "uint8" in issue.message
    repaired = repair_labels(wrapped, [issue])
    assert repaired.dtype == np.uint16
    assert len(np.unique(repaired)) == 301


def test_all_ids_of_uint8_used_once_are_fine():
    assert kinds(squares(255, np.uint8)) == []


def test_colours():
    labels = squares()
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [255, 1, 0], [9, 9, 9]], np.uint8)
    (issue,) = check_labels(palette[labels], instances=True)
    assert (issue.kind, issue.count, issue.repairable) == ("colours", 5, True)
    repaired = repair_labels(palette[labels], [issue])
    assert kinds(repaired) == []
    pairs = set(zip(labels.ravel(), repaired.ravel(), strict=True))
    assert len(pairs) == 5, "one number for each colour"
    assert (0, 0) in pairs


def test_photograph_is_not_labels():
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    (issue,) = check_labels(picture, instances=True)
    assert not issue.repairable
    assert "Choose the file that holds the labels" in issue.message


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (np.full((4, 4), 0.3), "fractions"),
        (np.full((4, 4), np.nan), "fractions"),
        (np.full((4, 4), np.inf), "fractions"),
        (np.array([[-1, 0]]), "negative"),
        (np.array([[1j, 0]]), "not_numbers"),
    ],
)
def test_values_that_no_repair_mends(labels, kind):
    (issue,) = check_labels(labels, instances=True)
    assert issue.kind == kind
    assert not issue.repairable
    with pytest.raises(LabelsError, match="cannot be repaired"):
        repair_labels(labels, [issue])


def test_stack_is_looked_at_plane_by_plane():
    stack = np.stack([squares(), squares()])
    assert kinds(stack) == [], "a tracked object keeps its id in every plane"
    stack[1][stack[1] == 2] = 3
    (issue,) = check_labels(stack, instances=True)
    assert issue.ids == (3,)
    repaired = repair_labels(stack, [issue])
    assert kinds(repaired) == []
    np.testing.assert_array_equal(repaired[0], stack[0])


def test_volume_is_looked_at_as_a_whole():
    volume = np.zeros((5, 12, 12), np.uint8)
    volume[0, 2:6, 2:6] = volume[4, 2:6, 2:6] = 1
    assert kinds(volume, ndim=3, is_colour=False) == ["single_id"]
    assert kinds(volume, ndim=2, is_colour=False) == []


def test_quick_on_a_field_of_300_nuclei():
    labels = np.zeros((520, 696), np.uint16)
    for i in range(300):
        y, x = divmod(i, 20)
        labels[y * 34 + 4 : y * 34 + 28, x * 34 + 4 : x * 34 + 28] = i + 1
    check_labels(labels, instances=True)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        assert check_labels(labels, instances=True) == []
        times.append(time.perf_counter() - start)
    assert min(times) < 0.2
