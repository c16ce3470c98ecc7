import threading

import numpy as np
import pytest

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization, apply_ranges
from napari_unet.core.images.pair import Pair, Plane
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic
from napari_unet.core.training.sampling import PatchSampler, normalized, prefetched
from napari_unet.core.training.settings import TrainingSettings

PLAIN = {"depth": 1, "patch_px": 32, "batch_size": 4, "augmentation": Augmentation.preset("none")}
BINARY = Semantic.from_labels([np.array([0, 1])])


def plane(image, labels, annotated=None, rgb=False):
    image = np.asarray(image)
    image = image if image.ndim == 3 else image[None]
    return Plane(image.astype(np.float32), np.asarray(labels), annotated, "p", "g", rgb)


def coordinates(shape, labels=None, annotated=None):
    """Build a plane whose two channels are the coordinates of each pixel."""
    labels = np.zeros(shape, int) if labels is None else labels
    return plane(np.stack(np.indices(shape)), labels, annotated)


def sampler(planes, task=BINARY, **values):
    return PatchSampler(planes, task, TrainingSettings(**(PLAIN | values)))


@pytest.mark.parametrize("preset", ["none", "standard"])
def test_a_step_has_its_batch_whatever_was_drawn_before(preset):
    image, labels = synthetic_nuclei((80, 90), 8)
    planes = normalized([plane(image, labels)], Normalization())
    values = {"augmentation": Augmentation.preset(preset)}
    one, other = sampler(planes, **values), sampler(planes, **values)
    for step in range(3):
        one.batch(step)
    np.testing.assert_array_equal(one.batch(7).images, other.batch(7).images)
    np.testing.assert_array_equal(one.batch(7).targets, other.batch(7).targets)
    assert not np.array_equal(one.batch(7).images, one.batch(8).images)
    assert not np.array_equal(
        one.batch(7).images, sampler(planes, seed=1, **values).batch(7).images
    )


@pytest.mark.parametrize(("task", "targets", "heads"), [(BINARY, 1, 1), (Instances(), 4, 3)])
def test_shapes_and_types(task, targets, heads):
    image, labels = synthetic_nuclei((80, 90), 8)
    rgb = plane(np.stack([image] * 3), (labels > 0).astype(int))
    batch = sampler([rgb], task).batch(0)
    assert batch.images.shape == (4, 3, 32, 32)
    assert batch.targets.shape == (4, targets, 32, 32)
    assert batch.weight.shape == (4, heads, 32, 32)
    assert batch.images.dtype == batch.targets.dtype == batch.weight.dtype == np.float32


def test_patches_and_their_targets_lie_at_the_same_place_within_the_image():
    labels = (np.random.default_rng(0).random((70, 90)) > 0.5).astype(int)
    batch = sampler([coordinates((70, 90), labels)], batch_size=50).batch(0)
    np.testing.assert_array_equal(batch.weight, 1)
    y, x = batch.images.astype(int).transpose(1, 0, 2, 3)
    np.testing.assert_array_equal(batch.targets[:, 0], labels[y, x])
    assert len(np.unique(y[:, 0, 0])) > 10
    # Every part of the image is sampled, including the edges.
    assert y.min() == x.min() == 0
    assert y.max() == 69
    assert x.max() == 89


def test_an_image_smaller_than_the_patch_is_extended_without_weight():
    batch = sampler([coordinates((20, 25), np.ones((20, 25), int))]).batch(0)
    np.testing.assert_array_equal(batch.weight.sum(axis=(1, 2, 3)), 20 * 25)


def test_foreground_patches_are_near_labels():
    labels = np.zeros((400, 400), int)
    labels[300:304, 300:304] = 1
    near = sampler([coordinates((400, 400), labels)], foreground_patches=1, batch_size=40)
    assert (near.batch(0).targets.max(axis=(1, 2, 3)) == 1).mean() > 0.9
    anywhere = sampler([coordinates((400, 400), labels)], foreground_patches=0, batch_size=40)
    assert (anywhere.batch(0).targets.max(axis=(1, 2, 3)) == 1).mean() < 0.2


def test_with_scribbles_every_patch_teaches_something():
    labels = np.zeros((400, 400), int)
    labels[100, 100:105], labels[300, 300:305] = 1, 2
    task = Semantic.from_labels([labels], sparse=True)
    batch = sampler([coordinates((400, 400), labels)], task, batch_size=40).batch(0)
    assert (batch.weight.sum(axis=(1, 2, 3)) > 0).mean() > 0.9


def test_patches_are_near_the_annotated_area_also_where_labels_lie_outside_of_it():
    labels = np.zeros((400, 400), int)
    labels[100:110, 100:110] = labels[300:310, 300:310] = 1
    area = np.zeros((400, 400), bool)
    area[:200] = True  # as in training if a block of the image is used for validation
    for share in (0, 0.5, 1):
        batch = sampler(
            [coordinates((400, 400), labels, area)], foreground_patches=share, batch_size=40
        ).batch(0)
        assert (batch.weight.sum(axis=(1, 2, 3)) > 0).mean() > 0.9
        np.testing.assert_array_equal(batch.weight[:, 0], batch.images[:, 0] < 200)


def test_larger_images_are_drawn_more_often():
    small, large = (
        plane(np.zeros((40, 40)), np.zeros((40, 40), int)),
        plane(np.ones((160, 160)), np.zeros((160, 160), int)),
    )
    batch = sampler([small, large], batch_size=400).batch(0)
    assert batch.images.mean() == pytest.approx(0.8, abs=0.08)  # four times the side


def test_normalising_is_of_the_whole_plane():
    image, labels = synthetic_nuclei((80, 90), 8)
    (found,) = normalized([plane(image, labels)], Normalization())
    np.testing.assert_array_equal(found.image, Normalization()(image[None].astype(np.float32)))
    np.testing.assert_array_equal(found.labels, labels)


@pytest.mark.parametrize(("axes", "ranges"), [("TYX", 3), ("ZYX", 1), ("TZYX", 2), ("ZCYX", 1)])
def test_a_depth_stack_has_one_range_for_each_time_and_channel(axes, ranges):
    """Planes of a stack keep their differences in brightness; time points do not."""
    image, labels = synthetic_nuclei((48, 56), 6)
    size = {"TYX": 3, "ZYX": 3, "TZYX": (2, 3), "ZCYX": (3, 1)}[axes]
    gain = np.arange(1, np.prod(size) + 1).reshape(*np.atleast_1d(size), 1, 1)
    stack = (image * gain).astype(np.uint16)
    pair = Pair(
        Image(stack, axes),
        np.broadcast_to(labels, stack[:, 0].shape if "C" in axes else stack.shape),
    )
    planes = pair.planes()
    found = normalized(planes, Normalization())
    scopes = {"TYX": stack, "ZYX": [stack], "TZYX": stack, "ZCYX": [stack[:, 0]]}[axes]
    expected = [Normalization(mode="percentile").ranges(np.asarray(s)[None]) for s in scopes]
    assert len(expected) == ranges
    for i, (before, after) in enumerate(zip(planes, found, strict=True)):
        here = expected[i * ranges // len(planes)]
        np.testing.assert_array_equal(after.image, apply_ranges(before.image, here))


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_batches_made_ahead_are_those_of_the_steps_and_the_thread_ends(ahead):
    image, labels = synthetic_nuclei((80, 90), 8)
    drawing = sampler([plane(image, (labels > 0).astype(int))])
    batches = prefetched(drawing, first_step=5, ahead=ahead)
    for step in (5, 6, 7):
        np.testing.assert_array_equal(next(batches).images, drawing.batch(step).images)
    assert any("sampler" in t.name for t in threading.enumerate()) == (ahead > 0)
    batches.close()
    assert not any("sampler" in t.name for t in threading.enumerate())


def test_an_error_while_drawing_reaches_the_caller():
    class Broken:
        def batch(self, step):
            raise MemoryError

    with pytest.raises(MemoryError):
        next(prefetched(Broken(), 0))
