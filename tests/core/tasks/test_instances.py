"""Instances: objects are encoded as targets and decoded to the same objects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import LabelsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.tasks.decoders import VoteDecoder, WatershedDecoder
from napari_unet.core.tasks.instances import Instances


def everywhere(labels):
    return np.ones(labels.shape, bool)


def pair(labels, annotated=None, axes="YX", name="cells"):
    image = Image(np.zeros(np.shape(labels), np.uint8), axes, name=name)
    return Pair(image, np.asarray(labels), annotated)


def smallest_iou(found, truth):
    """Find the smallest intersection over union of the true objects with their predictions."""
    scores = []
    for i in np.unique(truth[truth > 0]):
        mask = truth == i
        best = np.bincount(found[mask]).argmax()
        scores.append(((found == best) & mask).sum() / ((found == best) | mask).sum())
    return min(scores)


@st.composite
def ellipses(draw):
    """Draw labels with arbitrary ids: ellipses in cells of a grid, touching but not overlapping."""
    shape, cell = (72, 96), 24
    labels = np.zeros(shape, np.int32)
    ids = draw(st.lists(st.integers(1, 2**31 - 1), min_size=12, max_size=12, unique=True))
    y, x = np.mgrid[:cell, :cell] - (cell - 1) / 2
    for index, (top, left) in enumerate(np.ndindex(3, 4)):
        if index and not draw(st.booleans()):
            continue
        a, b = draw(st.floats(5, 12.5)), draw(st.floats(4, 8))
        angle = draw(st.floats(0, np.pi))
        along = (np.cos(angle) * x + np.sin(angle) * y) / a
        across = (np.cos(angle) * y - np.sin(angle) * x) / b
        window = labels[top * cell : (top + 1) * cell, left * cell : (left + 1) * cell]
        window[along**2 + across**2 <= 1] = ids[index]
    return labels


@settings(max_examples=50)
@given(ellipses())
def test_votes_give_the_objects_back_exactly(labels):
    task = Instances()
    found = task.decode(task.encode(labels, everywhere(labels))[0])
    assert found.max() == len(np.unique(labels)) - 1
    assert smallest_iou(found, labels) == 1
    np.testing.assert_array_equal(found > 0, labels > 0)


@settings(max_examples=50)
@given(ellipses())
def test_flooding_gives_the_objects_back(labels):
    task = Instances(decoder=WatershedDecoder())
    found = task.decode(task.encode(labels, everywhere(labels))[0])
    assert found.max() == len(np.unique(labels)) - 1
    assert smallest_iou(found, labels) >= 0.95


@pytest.mark.parametrize(("decoder", "least"), [(VoteDecoder(), 0.95), (WatershedDecoder(), 0.85)])
@pytest.mark.parametrize("seed", range(4))
def test_crowded_nuclei_come_back(decoder, least, seed):
    _, labels = synthetic_nuclei((256, 256), 70, seed=seed, touching=0.7)
    task = Instances(decoder=decoder)
    found = task.decode(task.encode(labels * 7 + (labels > 0), everywhere(labels))[0])
    assert found.max() == labels.max()
    assert smallest_iou(found, labels) >= least


def test_objects_are_numbered_in_raster_order():
    labels = np.zeros((60, 60), int)
    labels[40:50, 5:15], labels[5:15, 40:50], labels[6:16, 5:15] = 1, 2, 3
    task = Instances()
    found = task.decode(task.encode(labels, everywhere(labels))[0])
    assert [found[45, 10], found[10, 45], found[10, 10]] == [3, 1, 2]


def test_targets_by_hand():
    labels = np.zeros((7, 9), int)
    labels[1:6, 1:6] = 8  # 5 x 5 around (3, 3), with a neighbour at its right
    labels[1:6, 6:9] = 3  # that continues beyond the image
    targets, weight = Instances().encode(labels, everywhere(labels))
    np.testing.assert_array_equal(targets[0], labels > 0)
    np.testing.assert_allclose(targets[1, 3, :7], [0, 1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(targets[2:, 1, 5], [0.2, -0.2])  # to the centre, in units of 10 px
    np.testing.assert_array_equal(targets[2:, labels == 0], 0)
    np.testing.assert_array_equal(weight[1], [[1, 1, 1, 4, 4, 4, 4, 4, 4]] * 7)  # the contact
    np.testing.assert_array_equal(weight[2] > 0, labels > 0)


def test_pixels_of_small_objects_and_of_contacts_count_more():
    labels = np.zeros((60, 90), int)
    labels[5:45, 5:45] = 1  # 40 x 40
    labels[5:45, 46:86] = 2  # one pixel away
    labels[51:57, 5:11] = 3  # 6 x 6
    _, weight = Instances().encode(labels, everywhere(labels))
    foreground, distance, offset = weight
    diameter = np.sqrt(4 / np.pi * 36)
    assert offset[54, 8] == pytest.approx(22.5 / diameter)
    assert foreground[54, 8] == pytest.approx(np.sqrt(22.5 / diameter))
    assert foreground[54, 11] == foreground[54, 8]  # the rim determines the outline
    assert foreground[54, 13] == distance[54, 8] == distance[20, 20] == foreground[20, 20] == 1
    assert offset[20, 20] == pytest.approx(22.5 / np.sqrt(4 / np.pi * 1600))
    between = (slice(None), 20, 45)
    np.testing.assert_array_equal(weight[between], [4, 4, 0])
    assert foreground[20, 44] == foreground[20, 46] == 4
    np.testing.assert_array_equal(foreground[:, :40].max(), foreground[54, 8])


def test_weights_of_objects_in_three_dimensions_go_by_the_diameter_too():
    labels = np.zeros((16, 16, 16), int)
    labels[4:12, 4:12, 4:12] = 5
    _, weight = Instances(ndim=3).encode(labels, everywhere(labels))
    assert weight[2, 8, 8, 8] == pytest.approx(22.5 / np.cbrt(6 / np.pi * 512))


def test_all_of_one_id_and_nothing_at_all_can_be_encoded():
    for labels in (np.zeros((8, 8), int), np.full((8, 8), 5)):
        targets, _ = Instances().encode(labels, everywhere(labels))
        assert np.isfinite(targets).all()
        np.testing.assert_array_equal(targets[0], labels > 0)
    assert Instances().decode(np.zeros((4, 8, 8), np.float32)).max() == 0


def test_nothing_counts_outside_of_the_annotated_area():
    labels = np.zeros((40, 40), int)
    labels[5:15, 5:15], labels[25:35, 25:35] = 1, 2
    inside = np.zeros((40, 40), bool)
    inside[:20] = True
    for sparse in (False, True):
        _, weight = Instances(sparse=sparse).encode(labels, inside)
        assert not weight[:, 20:].any()
        np.testing.assert_array_equal(weight[0] > 0, inside)
        np.testing.assert_array_equal(weight[2] > 0, inside & (labels == 1))


def test_a_partly_outlined_object_trains_the_foreground_only():
    labels = np.zeros((40, 40), int)
    labels[5:15, 5:15] = 1  # whole
    labels[14:26, 20:30] = 2  # reaches out of the area
    inside = np.zeros((40, 40), bool)
    inside[:20] = True
    _, weight = Instances(sparse=True).encode(labels, inside)
    np.testing.assert_array_equal(weight[0] > 0, inside)
    assert not weight[1:, labels == 2].any()
    assert weight[1:, labels == 1].all()
    assert weight[1, 2, 2] == 1  # the background around is still a target of the distance


def test_check_wants_outlines_and_an_area_where_sparse():
    labels = np.zeros((8, 8), int)
    with pytest.raises(LabelsError, match="No object is outlined in 1 image"):
        Instances().check([pair(labels)])
    labels[2:5, 2:5] = 1
    Instances().check([pair(labels)])
    with pytest.raises(LabelsError, match="'cells' has sparse labels but no annotated area"):
        Instances(sparse=True).check([pair(labels)])
    Instances(sparse=True).check([pair(labels, labels > 0)])


def test_planes_without_labels_are_not_annotated_unless_marked_as_empty():
    labels = np.zeros((5, 8, 8), int)
    labels[1, 2:5, 2:5] = labels[3, 2:5, 2:5] = 1
    stack = pair(labels, axes="TYX")
    assert [p.name for p in stack.planes()] == ["cells T=1", "cells T=3"]
    marked = Pair(stack.image, labels, empty_planes="background")
    assert len(marked.planes()) == 5
