"""Objects agree with the outputs of a perfect network, and less the more these are disturbed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.tasks.instances import OFFSET_UNIT_PX, Instances
from napari_unet.core.tasks.self_agreement import agreement, agreement_parts


def perfect_maps(labels):
    maps, _ = Instances().encode(labels, np.ones(labels.shape, bool))
    maps[2:] *= OFFSET_UNIT_PX
    return maps


def nuclei(seed):
    return synthetic_nuclei((64, 64), 6, (10, 18), seed)[1]


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(0, 2))
def test_of_perfect_outputs_each_part_is_1_and_of_disturbed_ones_less(seed, part):
    labels = nuclei(seed)
    maps = perfect_maps(labels)
    np.testing.assert_allclose(agreement_parts(labels, maps), 1, atol=1e-5)
    disturbed = maps.copy()
    if part == 0:
        disturbed[2:] *= -1
    elif part == 1:
        disturbed[1] = 1 - disturbed[1]
    else:
        disturbed[0] = 0.5
    found = agreement_parts(labels, disturbed)
    assert (found[:, part] < 0.8).all()
    np.testing.assert_allclose(np.delete(found, part, 1), 1, atol=1e-5)
    np.testing.assert_allclose(agreement(labels, disturbed), found.mean(1))


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 8))
def test_it_is_a_share_whatever_the_outputs(seed, scale):
    labels = nuclei(seed)
    maps = np.random.default_rng(seed).normal(0, scale, (4, *labels.shape)).astype(np.float32)
    found = agreement(labels, maps)
    assert found.shape == (labels.max(),)
    assert ((found >= 0) & (found <= 1)).all()


def test_of_no_objects_there_is_no_agreement():
    assert agreement(np.zeros((8, 9), np.int32), np.zeros((4, 8, 9), np.float32)).shape == (0,)
