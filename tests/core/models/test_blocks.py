"""A network applied block by block: a tiled prediction equals an untiled one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import COMPUTE, OBJECTS, THREE, TWO, random_model, turned

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import SettingsError
from napari_unet.core.models.blocks import BlockNetwork, block_chunks, network_outputs
from napari_unet.core.system.device import choose_compute


def outputs_of(model, image, block_px, augmented=False):
    network = BlockNetwork(model, COMPUTE, augmented)
    ranges = model.info.normalization.ranges(image)
    return network_outputs(network, image, ranges, block_px).compute(scheduler="synchronous")


@settings(max_examples=20)
@given(
    st.integers(0, 1000),
    st.tuples(st.integers(1, 200), st.integers(1, 150)),
    st.integers(1, 100),
    st.integers(1, 3),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([TWO, THREE, OBJECTS]),
)
def test_tiled_equals_whole(seed, shape, block_px, depth, channels, augmented, task):
    model = random_model(task, seed, depth=depth, in_channels=channels)
    image = np.random.default_rng(seed).normal(100, 20, (channels, *shape)).astype(np.float32)
    whole = outputs_of(model, image, 10_000, augmented)
    tiled = outputs_of(model, image, block_px, augmented)
    np.testing.assert_allclose(tiled, whole, atol=1e-5, rtol=1e-5)


def test_tiled_equals_whole_in_three_dimensions():
    model = random_model(TWO, ndim=3, depth=1)
    image = np.random.default_rng(0).random((1, 30, 40, 50)).astype(np.float32)
    np.testing.assert_allclose(
        outputs_of(model, image, 12), outputs_of(model, image, 1000), atol=1e-5
    )


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("task", [THREE, OBJECTS])
def test_lower_precision_gives_the_same_outputs_but_for_its_rounding(task, augmented, rng):
    model = random_model(task)
    image = rng.random((1, 50, 70), np.float32)
    lower = BlockNetwork(model, choose_compute("cpu", "bfloat16"), augmented)
    outputs, expected = lower(image), BlockNetwork(model, COMPUTE, augmented)(image)
    assert outputs.dtype == lower.logits(image).dtype == np.float32
    error = np.abs(outputs - expected) / np.abs(expected).max()
    assert 0 < error.max() < 0.1
    assert error.mean() < 0.005
    assert model.weights["head.weight"].dtype == torch.float32


def test_blocks_begin_at_multiples_and_exceed_the_halo():
    network = BlockNetwork(random_model(depth=3), COMPUTE)
    for length in range(1, 700, 7):
        chunks = block_chunks(length, 50, network)
        assert sum(chunks) == length
        assert all(n % 8 == 0 for n in chunks[:-1])
        assert len(chunks) == 1 or min(chunks) >= network.halo_px
        assert max(chunks) <= max(56, network.halo_px) + network.halo_px
    with pytest.raises(SettingsError, match="The block size is 0 px: expected at least 1"):
        block_chunks(100, 0, network)


def turned_outputs(outputs, turns, flip):
    """Rotate maps of foreground, distance and offset (y, x) with the image, including vectors."""
    out = turned(outputs, turns, flip)
    y, x = out[2].copy(), out[3] * (-1 if flip else 1)
    for _ in range(turns):  # counter-clockwise: a vector to the right then points up
        y, x = -x, y
    return np.stack([out[0], out[1], y, x])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_turned_outputs_here_are_the_targets_of_turned_labels(turns, flip):
    _, labels = synthetic_nuclei((64, 48), 8, seed=1)
    before, _ = OBJECTS.encode(labels, labels >= 0)
    after, _ = OBJECTS.encode(turned(labels, turns, flip), turned(labels, turns, flip) >= 0)
    np.testing.assert_allclose(turned_outputs(before, turns, flip), after, atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_with_augmentation_the_outputs_turn_with_the_image(turns, flip):
    model = random_model(OBJECTS, depth=2)
    image = np.random.default_rng(0).random((1, 64, 48)).astype(np.float32)
    errors = []
    for augmented in (True, False):
        network = BlockNetwork(model, COMPUTE, augmented)
        expected = turned_outputs(network(image), turns, flip)
        errors.append(np.abs(network(turned(image, turns, flip)) - expected).max())
    assert errors[0] < 1e-5
    if turns or flip:  # a network with random weights is not equivariant by chance
        assert errors[1] > 0.1
