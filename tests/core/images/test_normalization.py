import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import ImageError, SettingsError
from napari_unet.core.images.normalization import Normalization, apply_ranges
from napari_unet.core.training.model_header import choose_normalization

NORMALIZATION = Normalization()


def camera(levels, sigma, shape=(256, 256), seed=0):
    """An empty field: a dark level with read noise, as whole grey values."""
    noise = np.random.default_rng(seed).normal(levels, sigma, shape)
    return np.clip(np.rint(noise), 0, 65535)


@given(
    st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
    st.integers(0, 200),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_a_constant_image_becomes_zero(dtype, value, height, width):
    out = NORMALIZATION(np.full((2, height, width), value, dtype))
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, 0)


def test_a_bool_image_becomes_zero_and_one():
    image = np.zeros((1, 64, 64), bool)
    image[0, 16:40, 16:40] = True
    np.testing.assert_array_equal(NORMALIZATION(image), image.astype(np.float32))


@given(hnp.arrays(np.uint16, (1, 9, 11)), st.floats(0, 49), st.floats(51, 100))
def test_ranges_are_numpys_percentiles(image, low, high):
    (found,) = Normalization(low=low, high=high, noise_floor=0).ranges(image)
    expected = tuple(np.percentile(image, [low, high], method="lower").astype(float))
    # Unless they are so close that the field has no objects.
    if expected[1] - expected[0] > 0.021 * (image.max() - expected[0]):
        assert found == expected


@given(hnp.arrays(np.float32, (1, 8, 8), elements=st.floats(-100, 100, width=32)))
def test_ranges_of_floats_are_numpys_percentiles(image):
    (found,) = Normalization(noise_floor=0).ranges(image)
    low, high = np.percentile(image, [1, 99.8], method="lower")
    assert found[0] == low
    if high - low > 0.021 * (image.max() - low):
        assert found[1] == high
    elif high == low:
        assert found[1] == image.max()


@given(
    st.sampled_from([np.uint8, np.int16, np.uint16, np.float32]),
    st.sampled_from(["percentile", "manual", "none"]),
    st.integers(0, 9),
)
def test_inverted_is_the_negative(dtype, mode, seed):
    image = np.random.default_rng(seed).integers(0, 200, (1, 40, 40)).astype(dtype)
    image[0, :6, :6] = 250
    manual = (20.0, 220.0) if mode == "manual" else None
    normalization = Normalization(mode=mode, manual=manual)
    inverted = apply_ranges(image, normalization.ranges(image, inverted=True))
    if mode == "percentile":
        np.testing.assert_allclose(inverted, normalization(250 - image.astype(float)), atol=1e-6)
    else:
        np.testing.assert_allclose(inverted, 1 - normalization(image), atol=1e-4)


@given(st.integers(0, 200))
def test_a_constant_image_stays_zero_inverted(value):
    image = np.full((1, 8, 8), value, np.uint8)
    assert not apply_ranges(image, NORMALIZATION.ranges(image, inverted=True)).any()


def test_the_scope_is_the_whole_image_and_not_the_tile():
    image, _ = synthetic_nuclei((128, 128), 12, seed=3)
    ranges = NORMALIZATION.ranges(image[None])
    whole = apply_ranges(image[None], ranges)
    np.testing.assert_array_equal(apply_ranges(image[None, :40, 50:], ranges), whole[:, :40, 50:])


def test_channels_have_their_own_range_but_rgb_has_one():
    image, _ = synthetic_nuclei((96, 96), 12, seed=3)
    image = np.stack([image, image // 2, image // 4])
    separate = NORMALIZATION.ranges(image)
    assert separate[0][1] > 1.8 * separate[1][1] > 3 * separate[2][1]
    together = NORMALIZATION.ranges(image, rgb=True)
    assert together[0] == together[1] == together[2]
    out = NORMALIZATION(image, rgb=True)
    strong, weak = (float(np.ptp(out[c])) for c in (0, 2))
    assert strong / weak == pytest.approx(np.ptp(image[0]) / np.ptp(image[2]), rel=1e-4)


@pytest.mark.parametrize(("dtype", "noise"), [(np.uint8, 0.04), (np.uint16, 0.04), (np.float32, 0)])
def test_in_a_sparse_field_nuclei_land_near_one(dtype, noise):
    image, labels = synthetic_nuclei(
        (2048, 2048), 5, seed=1, noise=noise, background_gradient=2.5 * noise, dtype=dtype
    )
    assert labels.max() == 5
    out = NORMALIZATION(image[None])[0]
    nuclei = [float(out[labels == i].mean()) for i in range(1, 6)]
    assert min(nuclei) > 0.3
    assert max(nuclei) < 2
    assert float(out[labels == 0].mean()) < 0.2


@pytest.mark.parametrize("sigma", [0.2, 0.3, 0.5, 0.8, 1, 1.5, 4])
def test_an_empty_noisy_field_stays_small(sigma):
    out = NORMALIZATION(camera(10, sigma)[None].astype(np.uint8))
    # With the percentiles alone the deviation is about 0.2 and the largest value about 1.5.
    assert out.std() < 0.12


def test_noise_below_a_grey_level_does_not_dim_real_structures():
    image = camera(10, 0.3, (128, 128)).astype(np.uint8)
    image[20:60, 20:60] = 90
    out = NORMALIZATION(image[None])[0]
    assert out[30:50, 30:50].mean() == pytest.approx(1, abs=0.05)


@given(st.integers(0, 1000))
def test_the_same_picture_in_another_type_is_the_same(seed):
    image, _ = synthetic_nuclei((64, 64), 6, seed=seed)
    variants = [image, image.astype(np.uint16) * 257, image / np.float32(255), image.astype(float)]
    outs = [NORMALIZATION(v[None]) for v in variants]
    for out in outs[1:]:
        np.testing.assert_allclose(out, outs[0], atol=1e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("as_array", [np.asarray, lambda a: da.from_array(a, chunks=(1, 8, 8))])
@pytest.mark.parametrize(
    "normalization",
    [NORMALIZATION, Normalization(mode="manual", manual=(0, 1)), Normalization(mode="none")],
)
def test_not_finite_values_are_an_error_with_their_number(bad, as_array, normalization):
    image = np.zeros((1, 16, 16), np.float32)
    image[0, 3, 4:6] = bad
    with pytest.raises(ImageError, match=r"'cells' holds 2 values that are NaN or infinite"):
        normalization.ranges(as_array(image), name="cells")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_dask_gives_what_numpy_gives(dtype):
    image, _ = synthetic_nuclei((90, 130), 12, seed=3)
    image = np.stack([image, 255 - image]).astype(dtype)
    lazy = da.from_array(image, chunks=(1, 32, 50))
    assert NORMALIZATION.ranges(lazy) == NORMALIZATION.ranges(image)
    assert NORMALIZATION.ranges(lazy, rgb=True) == NORMALIZATION.ranges(image, rgb=True)


def test_a_volume_is_one_whole():
    volume = np.zeros((1, 3, 16, 16), np.uint16)
    volume[0, 2] = np.arange(256).reshape(16, 16)
    ((low, high),) = Normalization(noise_floor=0).ranges(volume)
    assert (low, high) == tuple(np.percentile(volume, [1, 99.8], method="lower"))


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_large_stack_is_read_once_and_never_held(monkeypatch, dtype):
    """The blocks that are read and the sample for the percentiles are bounded."""
    from napari_unet.core.images import normalization

    monkeypatch.setattr(normalization, "_MOST_SAMPLES", 4000)
    data = np.random.default_rng(0).gamma(2, 300, (1, 12, 90, 80)).astype(dtype)
    read, kept = [], []

    class Watched:
        def __init__(self, values):
            self.values = values
            self.shape, self.dtype, self.size = values.shape, values.dtype, values.size

        def __getitem__(self, key):
            part = self.values[key]
            read.append(part.size)
            return part

    real = normalization._noise
    monkeypatch.setattr(normalization, "_noise", lambda rows: kept.append(rows.size) or real(rows))
    ranges = Normalization(noise_floor=0)._range(Watched(data[0]), "stack")
    assert sum(read) == data.size
    assert max(read) <= 4000
    assert kept[0] <= 2 * 4000
    exact = np.percentile(data, [1, 99.8], method="lower")
    np.testing.assert_allclose(ranges, exact, rtol=1e-6 if dtype == np.uint16 else 0.15)


def test_a_manual_range_and_none_are_taken_literally():
    image = np.array([[[0, 50, 100, 200]]], np.uint8)
    manual = Normalization(mode="manual", manual=(50, 150))
    np.testing.assert_allclose(manual(image), [[[-0.5, 0, 0.5, 1.5]]])
    np.testing.assert_array_equal(Normalization(mode="none")(image), image)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"low": 50, "high": 10}, "expected 0 <= low < high <= 100"),
        ({"high": 101}, "expected 0 <= low < high <= 100"),
        ({"mode": "manual"}, "A manual range requires"),
        ({"manual": (0, 1)}, "A manual range requires"),
        ({"mode": "manual", "manual": (2, 1)}, "low value first"),
    ],
)
def test_settings_that_contradict_themselves(values, sentence):
    with pytest.raises(SettingsError, match=sentence):
        Normalization(**values)


def test_stained_tissue_looks_alike_with_many_nuclei_and_with_few(rng):
    normalization = choose_normalization(Normalization(), rgb=True)
    background, nucleus = np.array([176, 156, 208]), np.array([90, 60, 160])

    def seen(nuclei: int) -> np.ndarray:
        image = np.tile(background[:, None, None], (1, 256, 256))
        for y, x in rng.integers(0, 240, (nuclei, 2)):
            image[:, y : y + 12, x : x + 12] = nucleus[:, None, None]
        noisy = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
        return np.median(normalization(noisy, rgb=True), axis=(1, 2))

    np.testing.assert_allclose(seen(2), seen(80), atol=0.05)
