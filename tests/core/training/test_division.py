from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unet.core.datasets.splits import Split
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.fingerprint import image_hash
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.training.division import divide

SMALL = UNetConfig(depth=1, base_channels=2)
DEEP = UNetConfig(depth=4)


@lru_cache
def drawing(shape):
    return synthetic_nuclei(shape, 8, diameter_px=(8, 16))


def field(name="field", group=None, shape=(64, 64), annotated=None):
    image, labels = drawing(shape)
    return Pair(Image(image, "YX", name=name), labels, annotated, group)


def stack(name, labelled_planes, planes=4):
    image, labels = drawing((64, 64))
    painted = np.zeros((planes, 64, 64), labels.dtype)
    painted[list(labelled_planes)] = labels
    return Pair(Image(np.stack([image] * planes), "TYX", name=name), painted)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=12), st.integers(0, 99))
def test_validation_never_shares_a_group_with_training(groups, seed):
    pairs = [field(f"field {i}", group=f"plate {g}") for i, g in enumerate(groups)]
    division = divide(pairs, DEEP, 0.3, seed)
    if len(set(groups)) == 1:
        assert division.kind == "none"
        return
    sides = [{p.group for p in side} for side in (division.train, division.validation)]
    assert division.kind == "groups"
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == {f"plate {g}" for g in groups}
    assert division.counts["train_images"] + division.counts["validation_images"] == len(pairs)
    assert division.counts["validation_groups"] == len(sides[1])
    roles = {t.name: t.role for t in division.trained_on}
    assert all(roles[p.name] == "validation" for p in division.validation)
    assert all(roles[p.name] == "training" for p in division.train)


def test_planes_of_one_stack_stay_together():
    division = divide([stack("a", range(4)), stack("b", range(4))], DEEP, 0.5, 0)
    names = [{p.name.split()[0] for p in side} for side in (division.train, division.validation)]
    assert sorted(map(sorted, names)) == [["a"], ["b"]]


@pytest.mark.parametrize("unet", [SMALL, UNetConfig(depth=3)])
def test_one_image_keeps_a_block_beyond_a_gap(unet):
    division = divide([field(shape=(320, 150))], unet, 0.15, 0)
    assert division.kind == "block"
    (train,), (validation,) = division.train, division.validation
    assert not (train.annotated & validation.annotated).any()
    rows = [np.flatnonzero(p.annotated.any(axis=1)) for p in (train, validation)]
    gap = max(rows[1].min() - rows[0].max(), rows[0].min() - rows[1].max()) - 1
    assert gap >= unet.receptive_radius_px
    assert len(rows[1]) == 48
    assert train.image is validation.image
    assert division.counts["train_objects"] > 0
    assert division.counts["validation_objects"] > 0
    assert [t.role for t in division.trained_on] == ["both"]
    assert "a block of the same image, separated by a gap" in division.describe()


def test_the_planes_of_a_stack_keep_the_same_block():
    """Neighbouring planes show the same objects: none may be in training and in validation."""
    labels = np.zeros((4, 160, 64), np.uint8)
    labels[0, :30, 10:20] = labels[1, 130:, 10:20] = labels[2, ::4] = labels[3, 2:5] = 1
    division = divide([Pair(Image(labels * 0.5, "ZYX", name="s"), labels)], SMALL, 0.25, 0)
    assert division.kind == "block"
    train, validation = (
        np.any([p.annotated for p in side], axis=0)
        for side in (division.train, division.validation)
    )
    rows = [np.flatnonzero(area.any(axis=1)) for area in (train, validation)]
    gap = max(rows[1].min() - rows[0].max(), rows[0].min() - rows[1].max()) - 1
    assert gap >= SMALL.receptive_radius_px
    assert all(p.labelled for p in (*division.train, *division.validation))
    assert {len(division.train), len(division.validation)} == {2, 3}


def test_a_block_lies_within_the_annotated_area():
    area = np.zeros((200, 150), bool)
    area[:, 20:120] = True
    division = divide([field(shape=(200, 150), annotated=area)], SMALL, 0.15, 0)
    for plane in (*division.train, *division.validation):
        assert plane.annotated.any()
        assert not (plane.annotated & ~area).any()


def test_an_image_too_small_for_the_gap_is_not_validated_on():
    division = divide([field()], DEEP, 0.15, 0)
    assert division.kind == "none"
    assert division.validation == []
    assert len(division.train) == 1
    assert "no validation images, so no best model is saved" in division.describe()


def test_no_validation_when_none_is_wanted():
    division = divide([field("a"), field("b")], SMALL, 0, 0)
    assert division.kind == "none"
    assert len(division.train) == 2


def test_a_given_split_is_kept():
    pairs = [field(f"{i}") for i in range(4)]
    division = divide(pairs, SMALL, 0.15, 0, Split((0, 3), (1,), "mine"))
    assert [p.name for p in division.train] == ["0", "3"]
    assert [p.name for p in division.validation] == ["1"]
    assert [(t.name, t.role) for t in division.trained_on] == [
        ("0", "training"),
        ("1", "validation"),
        ("3", "training"),
    ]


def test_a_given_split_without_validation_trains_on_what_it_names():
    pairs = [field(f"{i}", shape=(200, 150)) for i in range(3)]
    division = divide(pairs, SMALL, 0.15, 0, Split((0, 2), (), "mine"))
    assert division.kind == "none"
    assert [p.name for p in division.train] == ["0", "2"]
    assert [t.name for t in division.trained_on] == ["0", "2"]


def test_a_validation_side_without_an_annotated_plane_is_no_validation():
    pairs = [field("a"), stack("b", [])]
    division = divide(pairs, SMALL, 0.15, 0, Split((0,), (1,), "mine"))
    assert division.kind == "none"
    assert "no validation images" in division.describe()


def test_only_annotated_planes_count():
    division = divide([stack("a", [1, 2]), stack("b", [0])], SMALL, 0.5, 0)
    assert division.counts["train_images"] + division.counts["validation_images"] == 3


def test_the_hash_tells_pixels_shape_and_type_apart():
    image = np.arange(12, dtype=np.uint8)
    hashes = {
        image_hash(image.reshape(3, 4)),
        image_hash(image.reshape(4, 3)),
        image_hash(image.reshape(3, 4).astype(np.uint16)),
        image_hash(image.reshape(3, 4)[::-1]),
    }
    assert len(hashes) == 4
    assert image_hash(image.reshape(3, 4).copy(order="F")) == image_hash(image.reshape(3, 4))


def test_a_validation_side_without_labels_is_none():
    empty = field("empty")
    pairs = [field("a"), Pair(empty.image, np.zeros_like(empty.labels))]
    division = divide(pairs, SMALL, 0.5, 0, Split((0,), (1,), "given"))
    assert division.kind == "none"
    assert "no best model is saved" in division.describe()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.sampled_from([0.0, 0.3]))
def test_looking_ahead_counts_what_training_will_count(groups, fraction):
    pairs = [field(f"field {i}", group=f"plate {g}") for i, g in enumerate(groups)]
    division = divide(pairs, SMALL, fraction, 0)
    ahead = divide(pairs, SMALL, fraction, 0, fingerprints=False)
    assert (ahead.kind, ahead.counts) == (division.kind, division.counts)
    assert len(division.trained_on) == len(pairs)
    assert ahead.trained_on == ()
