import itertools

import numpy as np
import pytest

from napari_unet.core.live import view_previews
from napari_unet.core.live.commands import ShowView
from napari_unet.core.live.label_meaning import ClassMeaning, ObjectMeaning
from napari_unet.core.live.view_previews import ViewPreviews
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

CLASSES = tuple(ClassInfo(id=i, name=str(i), background=i == 1) for i in (1, 2))


class Painted:
    """A stand-in for live training on one image, with a constant prediction."""

    def __init__(self, shape, meaning) -> None:
        self.began, self.steps, self.meaning = True, 0, meaning
        self._labels = np.zeros(shape, np.uint8)
        self.predicted: list[tuple[slice, slice]] = []

    def labels(self):
        return {"a": self._labels}

    def outputs(self, name, region):
        self.predicted.append(region)
        shape = self._labels[region].shape
        channels = 3 if isinstance(self.meaning, ObjectMeaning) else 2
        return np.full((channels, *shape), 0.5, np.float32)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(view_previews, "_LEAST_PREVIEW_S", 0.0)
    monkeypatch.setattr(view_previews, "_PREVIEW_SHARE", 1e9)


def classes(shape):
    return Painted(shape, ClassMeaning(Semantic(classes=CLASSES, sparse=True)))


def shown(training, view, count):
    """Return the first parts that are shown, as (y, x, height, width), with a step before each."""
    previews, parts = ViewPreviews(training), []
    previews.show(view)
    for _ in range(count):
        training.steps += 1
        preview = previews.next_preview(0)
        parts.append((*preview.origin, *preview.labels.shape))
    return parts


def test_the_view_alternates_with_the_tiles_of_the_rest():
    parts = shown(classes((300, 500)), ShowView("a", (0, 0, 256, 256)), 8)
    assert parts[::2] == [(0, 0, 256, 256)] * 4
    rest = [(0, 256, 256, 244), (256, 0, 44, 256), (256, 256, 44, 244)]
    assert parts[1::2] == [*rest, rest[0]]


def test_the_whole_image_is_shown_unless_a_part_is_requested():
    assert shown(classes((300, 500)), ShowView("a"), 2) == [(0, 0, 300, 500)] * 2


def test_only_the_view_of_a_large_plane_is_shown(monkeypatch):
    monkeypatch.setattr(view_previews, "_LARGEST_PLANE_PX", 300 * 500 - 1)
    view = (5, 6, 100, 200)
    assert shown(classes((300, 500)), ShowView("a", view), 3) == [view] * 3


def test_objects_are_shown_whole(monkeypatch):
    objects = Painted((80, 90), ObjectMeaning(Instances(sparse=True)))
    view = ShowView("a", (10, 10, 20, 20))
    assert shown(objects, view, 2) == [(0, 0, 80, 90)] * 2
    monkeypatch.setattr(view_previews, "_LARGEST_DECODED_PX", 80 * 90 - 1)
    assert shown(objects, view, 2) == [(10, 10, 20, 20)] * 2


def test_nothing_is_shown_twice_unless_something_changed():
    training = classes((50, 50))
    previews = ViewPreviews(training)
    previews.show(ShowView("a"))
    assert previews.next_preview(0) is not None
    assert previews.next_preview(0) is None
    assert previews.next_preview(1) is not None, "a stroke was applied"
    training.steps += 1
    assert previews.next_preview(1) is not None, "a step was taken"
    previews.show(ShowView("a"))
    assert previews.next_preview(1) is not None, "the view was set again"


def test_nothing_is_shown_without_a_network_a_view_or_its_image():
    training = classes((50, 50))
    previews = ViewPreviews(training)
    assert previews.next_preview(0) is None
    previews.show(ShowView("missing"))
    assert previews.next_preview(0) is None
    previews.show(ShowView("a"))
    training.began = False
    assert previews.next_preview(0) is None
    training.began = True
    previews.show(ShowView(""))
    assert previews.next_preview(0) is None
    assert training.predicted == []


def test_previews_take_a_share_of_the_time(monkeypatch):
    monkeypatch.setattr(view_previews, "_LEAST_PREVIEW_S", 2.0)
    monkeypatch.setattr(view_previews, "_PREVIEW_SHARE", 0.25)
    clock = itertools.count(100.0)  # one second passes between two calls
    monkeypatch.setattr(view_previews.time, "monotonic", lambda: next(clock))
    training = classes((50, 50))
    previews = ViewPreviews(training)
    previews.show(ShowView("a"))
    assert previews.next_preview(0) is not None  # from 100 to 101, so the next is due at 104
    assert [previews.next_preview(n) is not None for n in range(1, 5)] == [
        False,
        False,
        True,
        False,
    ]


def test_probabilities_are_included_on_request():
    previews = ViewPreviews(classes((50, 50)))
    previews.show(ShowView("a"))
    assert previews.next_preview(0).probability is None
    previews.show(ShowView("a", probability=True))
    preview = previews.next_preview(0)
    assert preview.probability.shape == (1, 50, 50)
    assert preview.probability.dtype == preview.uncertainty.dtype == np.uint8
    assert (preview.probability == 128).all()
    assert (preview.uncertainty == 255).all()
