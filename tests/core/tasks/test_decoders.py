import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.tasks.decoders import VoteDecoder, WatershedDecoder
from napari_unet.core.tasks.instances import OFFSET_UNIT_PX, Instances
from napari_unet.core.tasks.self_agreement import agreement

DECODERS = [VoteDecoder(), WatershedDecoder()]


def perfect_maps(labels):
    """Build the outputs of a perfect network: foreground, relative distance, offset in px."""
    maps, _ = Instances().encode(labels, np.ones(labels.shape, bool))
    maps[2:] *= OFFSET_UNIT_PX
    return maps


def noisy_maps(labels, seed, offset_px=1.5, noise=0.15):
    """Build the same outputs with independent errors in every pixel."""
    rng = np.random.default_rng(seed)
    maps = perfect_maps(labels)
    maps[:2] += rng.normal(0, noise, maps[:2].shape)
    maps[2:] += rng.normal(0, offset_px, maps[2:].shape)
    return maps.astype(np.float32)


def discs(*discs_px, shape=(64, 64)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for i, (cy, cx, radius) in enumerate(discs_px, start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = i
    return labels


@pytest.mark.parametrize("decoder", DECODERS)
def test_touching_discs_are_two_objects(decoder):
    labels = discs((32, 20, 10), (32, 41, 11))
    assert decoder.decode(perfect_maps(labels)).max() == 2


@pytest.mark.parametrize("seed", range(3))
def test_votes_stand_errors_in_every_pixel(seed):
    _, labels = synthetic_nuclei((192, 192), 30, seed=seed)
    found = VoteDecoder().decode(noisy_maps(labels, seed))
    assert abs(int(found.max()) - int(labels.max())) <= 1


@pytest.mark.parametrize("decoder", DECODERS)
def test_nothing_is_no_object(decoder):
    found = decoder.decode(np.zeros((4, 20, 30), np.float32))
    assert found.shape == (20, 30)
    assert found.max() == 0


@pytest.mark.parametrize("decoder", DECODERS)
def test_foreground_everywhere_is_at_most_one_object_each_peak(decoder):
    maps = np.zeros((4, 24, 24), np.float32)
    maps[:2] = 1
    found = decoder.decode(maps)
    assert found.shape == (24, 24)
    assert np.isin(np.unique(found), np.arange(found.max() + 1)).all()


@pytest.mark.parametrize("kind", [VoteDecoder, WatershedDecoder])
def test_small_objects_are_dropped(kind):
    labels = discs((16, 16, 8), (45, 45, 4))
    area = int((labels == 2).sum())
    assert kind(min_area_px=area).decode(perfect_maps(labels)).max() == 2
    assert kind(min_area_px=area + 1).decode(perfect_maps(labels)).max() == 1


@pytest.mark.parametrize("kind", [VoteDecoder, WatershedDecoder])
def test_a_higher_threshold_gives_less_foreground(kind):
    labels = discs((20, 20, 10), (45, 42, 9))
    maps = perfect_maps(labels)
    maps[0] *= 0.7
    assert kind(threshold=0.69).decode(maps).max() == 2
    assert kind(threshold=0.71).decode(maps).max() == 0


def test_absurd_offsets_are_shortened_and_stay_in_the_image():
    labels = discs((20, 20, 10), (45, 42, 9))
    maps = perfect_maps(labels)
    maps[2:] *= 1e6
    found = VoteDecoder().decode(maps)
    assert found.shape == labels.shape
    assert not found[labels == 0].any()


def test_votes_work_in_three_dimensions():
    z, y, x = np.mgrid[:20, :40, :40]
    labels = np.zeros((20, 40, 40), np.int32)
    labels[(z - 10) ** 2 + (y - 12) ** 2 + (x - 12) ** 2 <= 64] = 1
    labels[(z - 10) ** 2 + (y - 12) ** 2 + (x - 28) ** 2 <= 56] = 2
    task = Instances(ndim=3)
    found = task.decode(task.encode(labels, np.ones(labels.shape, bool))[0])
    np.testing.assert_array_equal(found, labels)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 97), st.integers(0, 97))
def test_votes_do_not_depend_on_where_the_image_begins(seed, down, right):
    """Decoding block by block is possible because more background around changes nothing."""
    _, labels = synthetic_nuclei((96, 96), 14, seed=seed, diameter_px=(10, 22))
    maps = noisy_maps(labels, seed)
    # Offsets include half pixels, for which rounding must not depend on the position.
    maps[2:, ::3] = np.rint(maps[2:, ::3] * 2) / 2
    # No foreground near the edges, because a walk that would leave the image ends on the edge.
    maps[0, :14] = maps[0, -14:] = maps[0, :, :14] = maps[0, :, -14:] = 0
    padded = np.pad(maps, ((0, 0), (down, 40), (right, 40)))
    whole, part = VoteDecoder().decode(padded), VoteDecoder().decode(maps)
    np.testing.assert_array_equal(whole[down : down + 96, right : right + 96], part)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(0, 97), st.integers(0, 97))
def test_flooding_does_not_depend_on_where_the_image_begins(seed, down, right):
    _, labels = synthetic_nuclei((96, 96), 14, seed=seed, diameter_px=(10, 22))
    maps = noisy_maps(labels, seed)
    maps[:, :9] = maps[:, -9:] = maps[:, :, :9] = maps[:, :, -9:] = 0
    padded = np.pad(maps, ((0, 0), (down, 40), (right, 40)))
    whole, part = WatershedDecoder().decode(padded), WatershedDecoder().decode(maps)
    np.testing.assert_array_equal(whole[down : down + 96, right : right + 96], part)


@pytest.mark.parametrize("kind", [VoteDecoder, WatershedDecoder])
def test_holes_belong_to_the_object_around_them_on_request(kind):
    labels = discs((20, 20, 12))
    maps = perfect_maps(labels)
    maps[0, 18:21, 14:17] = 0
    ring = labels.astype(bool)
    ring[18:21, 14:17] = False
    np.testing.assert_array_equal(kind().decode(maps) > 0, labels > 0)
    np.testing.assert_array_equal(kind(fill_holes=False).decode(maps) > 0, ring)


def test_a_gap_between_two_objects_and_a_bay_at_the_edge_are_no_holes():
    labels = np.zeros((40, 60), int)
    labels[5:35, 0:28], labels[5:35, 28:56] = 1, 2
    labels[15:20, 26:30] = 0  # between both
    labels[15:20, 0:4] = 0  # may continue beyond the image
    np.testing.assert_array_equal(VoteDecoder().decode(perfect_maps(labels)), labels)


def test_an_object_is_one_piece():
    labels = discs((20, 20, 12))
    maps = perfect_maps(labels)
    apart = (slice(48, 54), slice(48, 54))
    maps[0][apart] = 1
    maps[2][apart], maps[3][apart] = -31, -31  # votes for the centre of the disc
    np.testing.assert_array_equal(VoteDecoder(max_radius_px=64).decode(maps), labels)


def test_what_does_not_agree_with_the_outputs_is_dropped():
    """Objects with inconsistent offsets are dropped: here those of one of two equal discs."""
    y, x = np.mgrid[:64, :128].astype(np.float32)
    maps = np.zeros((4, 64, 128), np.float32)
    for centre_x, true in ((32, True), (96, False)):
        distance = np.hypot(y - 32, x - centre_x)
        inside = distance < 12
        maps[0][inside] = 0.95 if true else 0.7
        maps[1][inside] = (1 - distance / 12.5)[inside] if true else 0.2
        offsets = np.stack([32 - y, centre_x - x]) if true else np.full((2, 64, 128), 3.0)
        maps[2:, inside] = offsets[:, inside]
    strict, lax = (VoteDecoder(min_agreement=least).decode(maps) for least in (0.5, 0.0))
    assert strict.max() == 1
    assert lax[:, 64:].any()
    np.testing.assert_array_equal(strict[:, :64], lax[:, :64] > 0)
    assert not strict[:, 64:].any()
    assert agreement(lax, maps)[strict[32, 32] - 1] > 0.9
