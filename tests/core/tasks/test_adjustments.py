import pytest

from napari_unet.core.errors import SettingsError
from napari_unet.core.tasks.any_task import possible_adjustments
from napari_unet.core.tasks.decoders import WatershedDecoder
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

TWO = (ClassInfo(id=0, name="background", background=True), ClassInfo(id=1, name="cell"))
THREE = (*TWO, ClassInfo(id=2, name="border"))


def test_what_may_be_adjusted_is_what_the_decoder_declares() -> None:
    votes = {a.name: a for a in Instances().adjustments}
    assert list(votes) == ["threshold", "min_area_px", "min_votes"]
    assert [a.flag for a in votes.values()] == ["--threshold", "--min-area", "--min-votes"]
    assert votes["min_area_px"].is_integer
    assert not votes["min_votes"].is_integer
    assert votes["threshold"].maximum == 0.98
    watershed = Instances(decoder=WatershedDecoder(min_area_px=7))
    assert [(a.name, a.value) for a in watershed.adjustments] == [
        ("threshold", 0.5),
        ("min_area_px", 7),
    ]
    assert [a.name for a in Semantic(classes=TWO).adjustments] == ["threshold"]
    assert Semantic(classes=THREE).adjustments == ()


def test_every_adjustment_of_any_task_is_listed_once_with_words_for_people() -> None:
    every = possible_adjustments()
    assert [a.name for a in every] == ["threshold", "min_area_px", "min_votes"]
    assert all(a.title and a.description.endswith(".") for a in every)


def test_the_slider_grows_with_the_objects() -> None:
    area = next(a for a in Instances().adjustments if a.name == "min_area_px")
    assert area.maximum_for(20) == pytest.approx(628, abs=1)
    assert area.maximum_for(None) == pytest.approx(982, abs=1)
    assert area.maximum_for(1) == 24  # never below the current value


def test_an_adjusted_task_differs_in_what_was_adjusted_alone() -> None:
    task = Instances(object_name="cell")
    changed = task.adjusted({"threshold": 0.3, "min_area_px": 5})
    assert changed == Instances(
        object_name="cell",
        decoder=task.decoder.model_copy(update={"threshold": 0.3, "min_area_px": 5}),
    )
    assert Semantic(classes=TWO).adjusted({"threshold": 0.2}) == Semantic(
        classes=TWO, threshold=0.2
    )
    assert task.adjusted({}) is task


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        (Instances(), {"threshold": 2}, "threshold: input should be less than 1"),
        (Instances(decoder=WatershedDecoder()), {"min_votes": 2}, "has no min-votes: expected"),
        (
            Semantic(classes=TWO),
            {"min_area_px": 5},
            "has no min-area: its labels are classes, not objects",
        ),
        (Semantic(classes=THREE), {"threshold": 0.5}, "the most probable of its classes"),
    ],
)
def test_values_that_a_task_cannot_take_are_refused(task, values, message) -> None:
    with pytest.raises(SettingsError, match=message):
        task.adjusted(values)
