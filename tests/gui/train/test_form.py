"""Summaries, problems and requests of the Train form, without a window."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import SettingsError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo
from napari_unet.core.training.division import divide
from napari_unet.gui.train.form import (
    EFFORTS,
    TrainForm,
    propose_classes,
    request_from,
    task_from,
    training_settings,
)
from napari_unet.gui.train.run_summary import (
    everywhere_annotated,
    label_facts,
    propose_meaning,
    separate_planes,
    summarise_run,
)

OBJECTS = TrainForm(meaning="objects", name="nuclei")
CLASSES = replace(OBJECTS, meaning="classes")
STROKES = replace(OBJECTS, meaning="strokes")
MODEL = ModelInfo(
    unet=UNetConfig(depth=3, base_channels=8, out_channels=4),
    task=Instances(),
    normalization=Normalization(),
    name="nuclei-10x",
)


def field(name: str = "cells", seed: int = 0, **kwargs) -> Pair:
    image, labels = synthetic_nuclei((256, 256), 20, seed=seed, diameter_px=(12, 24))
    image = (image / image.max() * 60_000).astype(np.uint16)
    return Pair(Image(image, "YX", name=name, pixel_size=PixelSize((0.65, 0.65))), labels, **kwargs)


def stack_with_three_painted_planes() -> Pair:
    labels = np.zeros((100, 128, 300), np.uint8)
    labels[[3, 50, 70], 10:20] = 1
    labels[[3, 50, 70], 30:40] = 2
    labels[3, 60:70] = 3
    image = np.broadcast_to(np.uint16(7), labels.shape)
    return Pair(Image(image, "TYX", name="movie", pixel_size=PixelSize((0.65, 0.65))), labels)


def test_one_line_says_what_will_happen() -> None:
    pairs = [field("a"), field("b", seed=1)]
    outlook = summarise_run(pairs, OBJECTS, device="cpu")
    assert outlook.problem == ""
    held_back = divide(pairs, UNetConfig(), 0.15, 0).counts["validation_objects"]
    objects = sum(len(np.unique(p.labels)) - 1 for p in pairs)
    assert outlook.summary == (
        f"2 pairs, YX uint16, 0.65 µm, {objects} objects, 2-D, "
        f"validation: 1 image with {held_back} objects, about 3 min on cpu"
    )


def test_the_line_counts_annotated_planes_and_classes() -> None:
    outlook = summarise_run(
        [stack_with_three_painted_planes()], replace(STROKES, effort="standard")
    )
    assert outlook.summary == (
        "1 pair, TYX uint16, 0.65 µm, 3 classes, 3 of 100 planes annotated, 2-D, "
        "validation: a strip of each image, about 15 min"
    )
    assert outlook.counts[3] == 10 * 300


def test_the_line_says_colours_and_unknown_pixel_sizes() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[:32] = 1
    image = Image(np.zeros((3, 64, 64), np.uint8), "CYX", name="tissue", rgb=True)
    outlook = summarise_run([Pair(image, labels)], CLASSES)
    assert "YX uint8, RGB, pixel size unknown, 2 classes" in outlook.summary


def test_a_start_model_is_named_and_its_schedule_is_gentle() -> None:
    tuned = replace(OBJECTS, start=Path("m.safetensors"), start_info=MODEL)
    assert summarise_run([field()], tuned).summary.startswith("starting from 'nuclei-10x', 1 pair")
    for effort in EFFORTS:
        scratch = training_settings(replace(OBJECTS, effort=effort))
        fine = training_settings(replace(tuned, effort=effort))
        assert fine.learning_rate < scratch.learning_rate / 2
        assert fine.budget.minutes < scratch.budget.minutes
        assert (fine.depth, fine.base_channels) == (3, 8)


def test_efforts_differ_and_the_fields_below_win() -> None:
    minutes = [training_settings(replace(OBJECTS, effort=e)).budget.minutes for e in EFFORTS]
    assert minutes == sorted(minutes)
    assert minutes[0] == 3
    form = replace(
        OBJECTS, budget={"epochs": 7}, learning_rate=1e-4, augmentation="none", device="cuda:1",
        settings={
            "depth": 2, "base_channels": 8, "patch_px": 64, "seed": 5, "validation_fraction": 0,
        },
    )  # fmt: skip
    settings = training_settings(form)
    assert settings.budget.epochs == 7
    assert (settings.depth, settings.base_channels, settings.patch_px) == (2, 8, 64)
    assert (settings.learning_rate, settings.seed, settings.device) == (1e-4, 5, "cuda:1")
    assert settings.augmentation.flips is False


@given(pixels=st.integers(0, 10**10), effort=st.sampled_from(list(EFFORTS)))
def test_the_curve_has_several_points_within_any_budget(pixels: int, effort: str) -> None:
    settings = training_settings(replace(OBJECTS, effort=effort), pixels)
    assert 20 <= settings.epoch_steps <= 250


@pytest.mark.parametrize(
    ("pairs", "form", "words"),
    [
        ([], OBJECTS, ["Open an image", "Labels layer", "folder"]),
        ([replace(field(), labels=np.zeros((256, 256), int))], OBJECTS, ["Nothing is painted"]),
        (
            [replace(field(), labels=np.eye(256, dtype=int))],
            STROKES,
            ["Only class 1", "background"],
        ),
        (
            [field()],
            replace(OBJECTS, settings={"patch_px": 100}),
            ["The patch size is 100 px", "Use 96"],
        ),
        ([field()], replace(OBJECTS, budget={"minutes": -1}), ["minutes", "-1"]),
        ([field()], replace(OBJECTS, name="a/b"), ["cannot be called 'a/b'"]),
        ([field()], replace(OBJECTS, name=""), ["cannot be called"]),
        (
            [replace(field(), labels=np.arange(256 * 256).reshape(256, 256) // 256)],
            CLASSES,
            ["255 different numbers", "choose objects"],
        ),
        (
            [field()],
            replace(OBJECTS, start=Path("m"), start_info=MODEL.model_copy(
                update={"unet": MODEL.unet.model_copy(update={"ndim": 3})})),
            ["has axes YX", "trained on ZYX"],
        ),
        (
            [field(), Pair(Image(np.zeros((2, 256, 256)), "CYX", name="two"), field().labels)],
            OBJECTS,
            ["differ in their number of channels", "2 in 'two'"],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_way_out(pairs, form, words) -> None:
    outlook = summarise_run(pairs, form)
    assert outlook.summary == ""
    for word in words:
        assert word in outlook.problem


def test_an_image_too_small_to_hold_anything_back_is_warned_about() -> None:
    image, labels = synthetic_nuclei((96, 96), 5, diameter_px=(10, 16))
    outlook = summarise_run([Pair(Image(image, "YX"), labels)], OBJECTS)
    assert "no validation" in outlook.summary
    assert "no score" in outlook.warning


def test_issues_say_which_pair_they_are_about() -> None:
    binary = field("binary")
    binary = replace(binary, labels=(binary.labels > 0) * np.uint8(255))
    outlook = summarise_run([field(), binary], OBJECTS)
    assert [(i, issue.kind) for i, issue in outlook.issues] == [(1, "0_255")]
    assert summarise_run([field(), binary], STROKES).problem == ""


@given(st.integers(0, 3), st.sampled_from([0.0, 0.15, 0.4]), st.sampled_from([OBJECTS, CLASSES]))
def test_the_line_foresees_the_division_that_training_makes(n, fraction, form) -> None:
    pairs = [field(f"cells {i}", seed=i) for i in range(n)] + [stack_with_three_painted_planes()]
    division = divide(pairs, UNetConfig(), fraction, 0)
    outlook = summarise_run(pairs, replace(form, settings={"validation_fraction": fraction}))
    expected = {"none": "no validation", "block": "a strip of each image", "groups": "validation: "}
    assert expected[division.kind] in outlook.summary
    if division.kind == "groups":
        assert f"validation: {division.counts['validation_images']} image" in outlook.summary


def test_the_request_carries_what_the_form_says(tmp_path: Path) -> None:
    pair = field()
    counts = label_facts(pair, OBJECTS).counts
    form = replace(OBJECTS, name=" nuclei ", sources={"layers": ["cells"]})
    request = request_from(form, [pair], tmp_path / "run", counts)
    assert request.name == "nuclei"
    assert request.task == Instances(sparse=False)
    assert request.run_folder == tmp_path / "run"
    assert request.pairs == (pair,)
    assert request.sources == {"layers": ["cells"]}
    with pytest.raises(SettingsError, match="cannot be called"):
        request_from(replace(form, name=".."), [pair], tmp_path, counts)


def test_an_annotated_area_makes_objects_sparse_everywhere() -> None:
    area = np.zeros((256, 256), bool)
    area[:200] = True
    pairs = everywhere_annotated([field(annotated=area), field("b", seed=1)], OBJECTS)
    assert pairs[1].annotated is not None
    assert pairs[1].annotated.all()
    assert task_from(OBJECTS, {1: 5}, any_area=True).sparse
    assert summarise_run(pairs, OBJECTS).problem == ""


def test_classes_keep_names_and_the_background_that_a_person_chose() -> None:
    table = (
        ClassInfo(id=1, name="nucleus"),
        ClassInfo(id=2, name="glass", background=True),
        ClassInfo(id=9, name="gone"),
    )
    classes = propose_classes({0: 9, 1: 5, 2: 5, 4: 1}, True, known=table, colours={4: "#ff0000"})
    assert [(c.id, c.name, c.background) for c in classes] == [
        (1, "nucleus", False),
        (2, "glass", True),
        (4, "class 4", False),
    ]
    assert classes[2].color == "#ff0000"
    dense = propose_classes({0: 9, 1: 5}, False)
    assert [(c.id, c.name, c.background) for c in dense] == [
        (0, "background", True),
        (1, "class 1", False),
    ]


def test_the_lowest_painted_class_is_background_unless_said_otherwise() -> None:
    classes = propose_classes({0: 100, 3: 5, 7: 5}, True)
    assert [c.id for c in classes if c.background] == [3]


@pytest.mark.parametrize(
    ("ids", "share", "meaning"),
    [(20, 0.3, "objects"), (1, 0.3, "classes"), (3, 0.9, "classes"), (2, 0.02, "strokes")],
)
def test_what_labels_mean_is_guessed(ids: int, share: float, meaning: str) -> None:
    labels = np.zeros(10_000, np.uint8)
    painted = int(share * labels.size)
    labels[:painted] = np.arange(painted) % ids + 1
    pair = Pair(Image(np.zeros((100, 100)), "YX"), labels.reshape(100, 100))
    assert propose_meaning([label_facts(pair, OBJECTS)]) == meaning


def test_planes_of_unrelated_images_become_pairs_of_their_own() -> None:
    pair = stack_with_three_painted_planes()
    planes, positions = zip(*separate_planes(pair), strict=True)
    assert positions == ({"T": 3}, {"T": 50}, {"T": 70})
    assert [p.name for p in planes] == ["movie T=3", "movie T=50", "movie T=70"]
    assert {p.image.axes for p in planes} == {"YX"}
    np.testing.assert_array_equal(planes[1].labels, pair.labels[50])
    assert "validation: 1 image" in summarise_run(list(planes), STROKES).summary
