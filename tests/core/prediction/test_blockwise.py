import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import StorageError
from napari_unet.core.prediction.blockwise import decode_blockwise
from napari_unet.core.tasks.decoders import VoteDecoder, WatershedDecoder
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic

# A reach of a few nuclei, so that the blocks of a small image do not each see all of it.
TASKS = [
    Instances(decoder=VoteDecoder(max_radius_px=14)),
    Instances(decoder=WatershedDecoder(max_radius_px=30)),
]


def noisy_outputs(task, labels, seed):
    """Outputs of a network with small errors in every pixel."""
    rng = np.random.default_rng(seed)
    outputs, _ = task.encode(labels, np.ones(labels.shape, bool))
    outputs[:2] = np.clip(0.1 + 0.8 * outputs[:2] + rng.normal(0, 0.08, outputs[:2].shape), 0, 1)
    outputs[2:] += rng.normal(0, 0.12, outputs[2:].shape)
    return outputs.astype(np.float32)


def confidence_of(labels, foreground):
    return [foreground[labels == i].mean() for i in range(1, labels.max() + 1)]


@settings(max_examples=20)
@given(
    st.integers(0, 10_000),
    st.tuples(st.integers(40, 150), st.integers(40, 150)),
    st.tuples(st.integers(16, 96), st.integers(16, 96)),
    st.sampled_from(TASKS),
)
def test_blockwise_equals_whole(tmp_path_factory, seed, shape, chunks, task):
    _, labels = synthetic_nuclei(shape, 40, seed=seed, diameter_px=(8, 18), touching=0.5)
    outputs = noisy_outputs(task, labels, seed)
    whole = task.decode(outputs)
    lazy = da.from_array(outputs, chunks=(-1, *chunks))
    folder = tmp_path_factory.mktemp("zarr")
    found, probabilities, confidence = decode_blockwise(task, lazy, folder, probabilities=True)
    np.testing.assert_array_equal(found[:], whole)
    np.testing.assert_array_equal(np.asarray(probabilities), outputs[0])
    np.testing.assert_allclose(confidence, confidence_of(whole, outputs[0]), rtol=1e-5)


def test_objects_on_the_border_of_blocks_are_whole_and_counted_once(tmp_path):
    labels = np.zeros((96, 96), int)
    y, x = np.mgrid[:96, :96]
    centres = [(48, 48), (48, 12), (12, 47.5), (90, 48), (72, 72)]
    for i, (cy, cx) in enumerate(centres, start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= 81] = i
    task = TASKS[0]
    outputs, _ = task.encode(labels, labels >= 0)
    lazy = da.from_array(outputs, chunks=(-1, 48, 48))
    found, _, _ = decode_blockwise(task, lazy, tmp_path, probabilities=False)
    found = found[:]
    assert found.max() == len(centres)
    for i in range(1, len(centres) + 1):
        mask = labels == i
        (number,) = np.unique(found[mask])
        np.testing.assert_array_equal(found == number, mask)


def test_an_image_without_objects(tmp_path):
    lazy = da.zeros((4, 60, 70), dtype=np.float32, chunks=(-1, 32, 32))
    found, _, confidence = decode_blockwise(TASKS[0], lazy, tmp_path, probabilities=False)
    assert found[:].max() == 0
    assert len(confidence) == 0


@pytest.mark.parametrize("n", [2, 3])
def test_classes_are_decoded_blockwise_too(tmp_path, rng, n):
    task = Semantic.from_labels([np.arange(n) * 100])
    channels = task.heads[0].channels
    outputs = rng.random((channels, 90, 70)).astype(np.float32)
    lazy = da.from_array(outputs, chunks=(-1, 32, 48))
    found, probabilities, confidence = decode_blockwise(task, lazy, tmp_path, probabilities=True)
    np.testing.assert_array_equal(found[:], task.decode(outputs))
    np.testing.assert_array_equal(np.asarray(probabilities), outputs[0] if n == 2 else outputs)
    assert len(confidence) == 0


def test_only_what_was_asked_for_stays_in_the_folder(tmp_path):
    lazy = da.zeros((4, 60, 70), dtype=np.float32, chunks=(-1, 32, 32))
    decode_blockwise(TASKS[0], lazy, tmp_path / "new", probabilities=False)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["labels.zarr"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError("stopped")])
def test_after_a_failure_only_what_others_wrote_is_there(tmp_path, error):
    (tmp_path / "annotations.tif").write_text("sacred")

    def fail(block):
        raise error

    lazy = da.zeros((4, 60, 70), dtype=np.float32, chunks=(-1, 32, 32))
    broken = lazy.map_blocks(fail, dtype=np.float32, meta=np.empty((0, 0, 0), np.float32))
    with pytest.raises((StorageError, KeyError)) as caught:
        decode_blockwise(TASKS[0], broken, tmp_path, probabilities=True)
    assert [p.name for p in tmp_path.iterdir()] == ["annotations.tif"]
    if isinstance(error, OSError):
        assert "cannot be written: No space left on device" in str(caught.value)


def test_a_place_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    lazy = da.zeros((4, 60, 70), dtype=np.float32)
    with pytest.raises(StorageError, match="cannot be written"):
        decode_blockwise(TASKS[0], lazy, tmp_path / "file", probabilities=False)
    assert (tmp_path / "file").exists()
