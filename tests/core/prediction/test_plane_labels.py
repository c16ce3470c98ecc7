"""Labels of planes on the grid of the image, stacked with unique ids."""

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import CPU, OBJECTS, THREE, TWO, copying_model, logits_of, random_model

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.image import Image
from napari_unet.core.prediction.plane_labels import decode_plane, stack_planes
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.decoders import VoteDecoder
from napari_unet.core.tasks.instances import Instances


def test_ids_are_unique_over_a_stack_and_confidences_follow_them():
    planes = [synthetic_nuclei((80, 90), 9, seed=s)[1] for s in range(3)]
    planes.insert(1, np.zeros_like(planes[0]))
    logits = np.stack([logits_of(OBJECTS, p) for p in planes])
    logits[3, 0] *= 0.25  # less sure of the last plane
    result = predict(copying_model(OBJECTS), Image(logits, "TCYX"), CPU, probabilities=True)
    assert result.labels.shape == result.probabilities.shape == (4, 80, 90)
    first = 0
    for found, truth in zip(result.labels, planes, strict=True):
        n = int(truth.max())
        np.testing.assert_array_equal(found > 0, truth > 0)
        assert set(np.unique(found)) - {0} == set(range(first + 1, first + n + 1))
        first += n
    assert result.labels.dtype == np.uint16
    assert len(result.confidence) == first + 1
    for i in range(1, first + 1):
        here = result.probabilities[result.labels == i]
        assert result.confidence[i] == pytest.approx(here.mean(), rel=1e-5)
    assert result.confidence[1] > result.confidence[first] + 0.1


def many_dots(n):
    """At least n objects of nine pixels, which the decoder separates."""
    side = int(np.ceil(np.sqrt(n)))
    labels = np.zeros((5 * side, 5 * side), np.int32)
    for dy, dx in np.ndindex(3, 3):
        labels[1 + dy :: 5, 1 + dx :: 5] = np.arange(1, side**2 + 1).reshape(side, side)
    return labels


def test_more_objects_than_16_bits_hold_in_a_stack_of_which_each_plane_holds_less():
    decoder = VoteDecoder(min_area_px=1, min_votes=1, smoothing_px=0.5, max_radius_px=4)
    task = Instances(decoder=decoder)
    labels = many_dots(33_000)
    logits = np.stack([logits_of(task, labels)] * 2)
    result = predict(copying_model(task), Image(logits, "ZCYX"), CPU)
    n = int(labels.max())
    assert 2 * n > 65_535 > n
    assert result.labels.dtype == np.uint32
    assert result.labels[0].max() == n
    assert result.labels[1].max() == 2 * n
    np.testing.assert_array_equal(result.labels[1] > 0, labels > 0)


def test_ids_of_classes_are_kept_in_the_smallest_type():
    image = Image(synthetic_nuclei((50, 60), 5)[0], "YX")
    assert predict(random_model(TWO), image, CPU).labels.dtype == np.uint8
    result = predict(random_model(THREE), image, CPU, probabilities=True)
    assert result.labels.dtype == np.uint16
    assert set(np.unique(result.labels)) == {0, 3, 300}
    assert result.probabilities.shape == (3, 50, 60)
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, rtol=1e-5)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_the_confidence_of_an_id_in_a_stack_is_that_of_the_object_in_its_plane(counts):
    planes = []
    for number, count in enumerate(counts):
        labels = np.arange(5, dtype=np.uint16)[None].clip(max=count)
        planes.append((labels, np.float32(number + np.arange(1, count + 1) / 10)))
    labels, confidence = stack_planes(planes, (len(counts),))
    assert labels.shape == (len(counts), 1, 5)
    assert np.isnan(confidence[0])
    assert set(np.unique(labels)) == set(range(sum(counts) + 1))
    for plane, (own, values) in zip(labels, planes, strict=True):
        np.testing.assert_array_equal(plane > 0, own > 0)
        np.testing.assert_array_equal(confidence[plane[plane > 0]], values[own[own > 0] - 1])


def test_planes_on_disk_are_stacked_lazily_with_the_same_ids():
    planes = [np.array([[0, 1, 2]], np.uint16), np.array([[1, 0, 1]], np.uint16)]
    confidences = [np.float32([0.5, 0.6]), np.float32([0.7])]
    eager, lazy = (
        stack_planes(list(zip(kind, confidences, strict=True)), (2,))[0]
        for kind in (planes, [da.from_array(plane) for plane in planes])
    )
    assert isinstance(lazy, da.Array)
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), eager)


def test_a_plane_is_decoded_onto_the_grid_of_its_image():
    outputs = np.zeros((1, 8, 8), np.float32)
    outputs[0, :, :4] = 1
    labels, confidence = decode_plane(TWO, outputs, (16, 24))
    assert labels.shape == (16, 24)
    assert (labels[:, :11] == 3).all()
    assert (labels[:, 13:] == 0).all()
    assert confidence.size == 0
