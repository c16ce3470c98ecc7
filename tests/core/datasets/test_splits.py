"""Splits: by group, as in StarDist's examples, and within one image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.datasets.pairs import (
    Split,
    split_block,
    split_by_group,
    split_random_state,
)
from napari_unet.core.errors import SettingsError


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_groups_stay_whole_and_no_side_is_empty(numbers, fraction, seed):
    groups = [f"g{i}" for i in numbers]
    split = split_by_group(groups, fraction, seed)
    assert sorted(split.train + split.validation) == list(range(len(groups)))
    assert {groups[i] for i in split.train}.isdisjoint({groups[i] for i in split.validation})
    assert split.train
    assert bool(split.validation) == (len(set(groups)) > 1)
    assert split == split_by_group(groups, fraction, seed)


def test_split_by_group_comes_as_close_as_groups_allow():
    groups = ["a"] * 50 + ["b"] * 30 + ["c"] * 13 + ["d"] * 2 + ["e"] * 5
    assert len(split_by_group(groups, 0.15).validation) == 15
    assert len(split_by_group(["a"] * 9 + ["b"], 0.5).validation) in (1, 9)
    weighed = split_by_group(["a", "b", "c"], 0.2, sizes=[2, 7, 1])
    assert weighed.validation == (0,)


def test_seeds_differ_and_many_groups_are_quick():
    groups = [f"g{i}" for i in range(3000)]
    splits = {split_by_group(groups, seed=seed).validation for seed in range(3)}
    assert len(splits) == 3
    assert {len(s) for s in splits} == {450}


def test_single_group_has_no_validation():
    assert split_by_group(["a"] * 5) == Split((0, 1, 2, 3, 4), (), "none")


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(SettingsError, match="between 0 and 1"):
        split_by_group(["a", "b"], fraction)


def test_random_state_split_is_the_usual_one():
    split = split_random_state(447)
    expected = np.random.RandomState(42).permutation(447)[-67:]
    assert split.validation == tuple(sorted(expected))
    assert len(split.train) == 380
    assert split_random_state(2).validation != ()
    assert split_random_state(1) == Split((0,), (), "none")


def test_split_says_what_is_on_each_side():
    split = Split((0, 1), (2,), "group")
    assert split.describe(["a", "a", "b"], [3, 4, 5]) == (
        "training: 2 images, 1 groups, 7 objects; validation: 1 images, 1 groups, 5 objects"
    )
    assert "1 groups are on both sides" in split.describe(["a", "b", "b"], [3, 4, 5])
    assert "nothing is held back" in Split((0,), (), "none").describe(["a"], [1])


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(20, 200), st.integers(20, 200)),
    st.floats(0.1, 0.5),
    st.integers(0, 60),
    st.integers(0, 3),
)
def test_block_and_rest_are_a_gap_apart(shape, fraction, gap_px, seed):
    labels = (np.random.default_rng(seed).random(shape) > 0.95).astype(int)
    masks = split_block(shape, labels, fraction, gap_px)
    if masks is None:
        assert max(shape) * (1 - 2 * fraction) < gap_px + 18 or max(shape) * fraction < 17
        return
    train, validation = masks
    along = 0 if shape[0] >= shape[1] else 1
    t, v = (np.flatnonzero(m.any(axis=1 - along)) for m in (train, validation))
    distance = max(t.min() - v.max(), v.min() - t.max()) - 1
    assert distance == gap_px
    assert (labels[train] > 0).any()
    assert (labels[validation] > 0).any()
    assert len(v) == round(fraction * max(shape))


def test_block_takes_the_end_with_more_but_not_all():
    labels = np.zeros((100, 300), int)
    labels[:, :40], labels[:, 280:] = 1, 1
    train, validation = split_block((100, 300), labels, 0.2, 30)
    assert validation[:, :60].all()
    assert train[:, 90:].all()
    labels[:, 280:] = 0
    assert split_block((100, 300), labels, 0.2, 30) is None, "nothing would be left to train on"
    labels[:, 120] = 1
    assert split_block((100, 300), labels, 0.2, 30)[1][:, :60].all()
    assert split_block((30, 30), np.ones((30, 30), int), 0.2, 10) is None
