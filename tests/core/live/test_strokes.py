import numpy as np
import pytest

from napari_unet.core.errors import LabelsError
from napari_unet.core.live.strokes import Canvas, StrokeScores


def canvas(labels=None):
    labels = np.zeros((20, 30), np.uint8) if labels is None else labels
    return Canvas(np.zeros((1, *labels.shape), np.float32), labels)


def test_an_edit_returns_the_pixels_with_a_new_class():
    painted = canvas()
    block = np.array([[0, 2], [1, 1]], np.uint8)
    assert painted.edit((5, 7), block).tolist() == [5 * 30 + 8, 6 * 30 + 7, 6 * 30 + 8]
    assert painted.edit((5, 7), block).size == 0, "nothing changed"
    assert painted.edit((5, 7), np.array([[1, 0]], np.uint8)).tolist() == [5 * 30 + 7]
    assert {i: p.tolist() for i, p in painted.by_class.items()} == {1: [157, 187, 188]}


def test_erased_pixels_that_are_painted_again_are_not_new():
    painted = canvas()
    painted.edit((5, 7), np.array([[1, 2]], np.uint8))
    painted.edit((5, 7), np.zeros((1, 2), np.uint8))
    assert painted.edit((5, 7), np.array([[1, 1]], np.uint8)).tolist() == [5 * 30 + 8]
    assert {i: p.tolist() for i, p in painted.by_class.items()} == {1: [157, 158]}


def test_labels_may_exceed_the_first_data_type():
    painted = canvas()
    painted.edit((0, 0), np.array([[1, 256, 300]], np.uint16))
    painted.edit((1, 0), np.array([[70_000]], np.uint32))
    assert sorted(painted.by_class) == [1, 256, 300, 70_000]


def test_new_strokes_are_drawn_only_while_new_and_never_from_erased_pixels():
    painted, rng = canvas(), np.random.default_rng(0)
    painted.edit((2, 2), np.ones((1, 6), np.uint8))
    painted.edit((2, 2), np.zeros((1, 3), np.uint8))
    drawn = []
    while (pixel := painted.take_new(rng)) is not None:
        drawn.append(pixel)
    assert 5 < len(drawn) < 20
    assert set(drawn) == {2 * 30 + x for x in (5, 6, 7)}


def test_each_of_several_new_strokes_is_drawn_and_then_none():
    painted, rng = canvas(), np.random.default_rng(0)
    for row in (2, 5, 8):
        painted.edit((row, 0), np.ones((1, 4), np.uint8))
    drawn = []
    while (pixel := painted.take_new(rng)) is not None:
        drawn.append(pixel // 30)
    assert set(drawn) == {2, 5, 8}


def test_the_digest_depends_on_the_values_and_not_on_their_type():
    labels = np.arange(600, dtype=np.uint16).reshape(20, 30) % 5
    assert canvas(labels).digest() == canvas(labels.astype(np.int32)).digest()
    other = labels.copy()
    other[0, 0] += 1
    assert canvas(labels).digest() != canvas(other).digest()


def test_the_score_is_balanced_and_forgets_old_strokes():
    scores = StrokeScores(window=4, least=2)
    for _ in range(2):
        scores.add(np.array([1] * 98 + [2] * 2), np.ones(100, int))
    assert scores.balanced_accuracy({1, 2}) == 0.5
    for _ in range(4):
        scores.add(np.array([1, 2]), np.array([1, 2]))
    assert scores.balanced_accuracy({1, 2}) == 1
    assert scores.counts == {1: 4, 2: 4}


def test_the_pieces_of_a_stroke_count_as_one_stroke():
    scores = StrokeScores(least=2)
    scores.add(np.array([1] * 3), np.array([1] * 3))
    scores.add(np.array([1]), np.array([2]), continues=True)
    scores.add(np.array([2, 2]), np.array([2, 2]), continues=True)  # into another class
    scores.add(np.array([1] * 4), np.array([1] * 4), continues=True)  # and back
    assert scores.counts == {1: 1, 2: 1}
    scores.add(np.array([1, 2]), np.array([1, 1]))
    assert scores.counts == {1: 2, 2: 2}
    assert scores.balanced_accuracy({1, 2}) == np.mean([(7 / 8 + 1) / 2, (1 + 0) / 2])


def test_classes_painted_by_mistake_do_not_delay_the_score():
    scores = StrokeScores(least=2)
    for _ in range(2):
        scores.add(np.array([1, 2]), np.array([1, 2]))
    scores.add(np.array([3]), np.array([1]))
    assert scores.balanced_accuracy({1, 2, 3}) is None
    assert scores.balanced_accuracy({1, 2}) == 1


def test_a_stroke_that_was_not_judged_is_not_joined_with_the_previous_one():
    scores = StrokeScores()
    scores.add(np.array([1]), np.array([1]))
    scores.begin_stroke()
    scores.add(np.array([1]), np.array([2]), continues=True)
    assert scores.dump() == {"1": [1, 0]}


def test_labels_learned_before_are_not_new(rng):
    before = np.array([[1, 0], [2, 0]])
    now = np.array([[1, 1], [3, 0]])
    some = Canvas(np.zeros((1, 2, 2), np.float32), now, before)
    assert {some.take_new(rng) for _ in range(30)} == {1, 2, None}
    assert Canvas(np.zeros((1, 2, 2), np.float32), now, now).take_new(rng) is None
    assert Canvas(np.zeros((1, 2, 2), np.float32), now, np.ones((3, 3))).take_new(rng) is not None


def test_negative_labels_are_refused():
    labels = np.array([[0, -1], [2, 0]])
    with pytest.raises(LabelsError, match=r"negative labels \(-1\)"):
        Canvas(np.zeros((1, 2, 2), np.float32), labels)
    one = Canvas(np.zeros((1, 2, 2), np.float32), abs(labels))
    with pytest.raises(LabelsError, match=r"negative labels \(-1\)"):
        one.edit((0, 0), labels)
    np.testing.assert_array_equal(one.labels, abs(labels))
