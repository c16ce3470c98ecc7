"""Pairs: labels match their image, and planes are what a network processes."""

import numpy as np
import pytest

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair


def image(axes="YX", **fields):
    sizes = {"T": 2, "Z": 3, "C": 4, "Y": 5, "X": 6}
    shape = tuple(sizes[a] for a in axes)
    return Image(np.arange(np.prod(shape)).reshape(shape), axes, **fields)


def test_pair_refuses_labels_of_another_shape():
    with pytest.raises(LabelsError, match="choose the labels that belong to this image"):
        Pair(image("CYX"), np.zeros((4, 5, 6), int))
    with pytest.raises(LabelsError, match="annotated area"):
        Pair(image(), np.zeros((5, 6), int), annotated=np.ones((5, 5), bool))


def test_planes_without_labels_are_not_annotated_unless_said():
    labels = np.zeros((2, 5, 6), int)
    labels[1, 2, 2] = 1
    pair = Pair(image("TYX", name="film"), labels, group="dish 1")
    (plane,) = pair.planes()
    assert (plane.name, plane.group) == ("film T=1", "dish 1")
    assert plane.image.shape == (1, 5, 6)
    assert len(Pair(image("TYX"), labels, empty_planes="background").planes()) == 2
    (alone,) = Pair(image(name="a"), np.zeros((5, 6), int)).planes()
    assert alone.group == "a", "a single plane is there to be used, painted or not"
