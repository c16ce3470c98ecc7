"""Images of live training must be of the same kind; their painted objects are measured."""

import numpy as np
import pytest
from live_training import QUICK, TASK, learn

from napari_unet.core.errors import LabelsError
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.live.canvases import Canvases
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances


def test_an_image_of_another_kind_is_refused_after_learning(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 2)
    training.remove("cells")
    with pytest.raises(LabelsError, match=r"has 2 channel\(s\), the other images have 1"):
        training.put("cells", np.concatenate([cells[0]] * 2), strokes)
    training.put("cells", cells[0], strokes)
    learn(training, 1)


def put(canvases, name, labels, channels=1, rgb=False):
    image = np.full((channels, *labels.shape), len(name), np.uint8)
    canvases.put(name, image, labels, [(0.0, 255.0)] * channels, rgb)


def test_all_images_must_be_of_the_kind_of_the_first():
    canvases, labels = Canvases(), np.zeros((8, 9), np.uint8)
    canvases.check("a", 3, True, None)
    put(canvases, "a", labels, 3, True)
    assert (canvases.channels, canvases.rgb) == (3, True)
    canvases.check("a", 1, False, None)  # the only image is replaced
    with pytest.raises(LabelsError, match=r"'b' has 1 channel\(s\), the other images have 3"):
        canvases.check("b", 1, False, None)
    with pytest.raises(LabelsError, match="some are in colour, others are not"):
        canvases.check("b", 3, False, None)


def test_objects_are_measured_in_all_images_without_the_background():
    task = Instances(sparse=True)
    info = ModelInfo(unet=UNetConfig(out_channels=4), task=task, normalization=Normalization())
    canvases = Canvases()
    for name, side in (("a", 10), ("bb", 20)):
        labels = np.ones((40, 40), np.uint16)
        labels[5 : 5 + side, 5 : 5 + side] = 2
        put(canvases, name, labels)
    canvases.note_learned()
    for name in (None, "a"):
        canvases.remove(name or "missing")
        described = canvases.describe(info, 3)
        assert described.provenance["counts"]["train_images"] == 2
        assert described.provenance["counts"]["train_objects"] == (2 if name is None else 1)
    assert described.object_diameter_px == pytest.approx(20 * np.sqrt(4 / np.pi), abs=0.1)
