import numpy as np
import pytest
from live_training import QUICK, TASK, dice, learn

from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model, save_model
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.tasks.instances import Instances


def test_it_learns_from_strokes_and_saves_an_ordinary_model(cells, strokes, tmp_path):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    losses = learn(training, 80)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert dice(training, cells[1]) > 0.8
    save_model(tmp_path / "live.safetensors", training.model())
    again = LiveTraining(TASK, load_model(tmp_path / "live.safetensors"), QUICK)
    again.put("cells", cells[0], strokes)
    again.step()
    assert dice(again, cells[1]) > 0.8


def test_later_strokes_are_learned_and_erased_ones_no_longer(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 60)
    before = dice(training, cells[1])
    swapped = np.where(strokes > 0, 3 - strokes, 0).astype(np.uint8)
    training.edit("cells", (0, 0), swapped)
    learn(training, 80)
    assert dice(training, cells[1]) < 0.3 < before
    assert dice(training, ~cells[1]) > 0.8
    training.edit("cells", (0, 0), np.zeros_like(strokes))
    assert not training.ready
    with pytest.raises(LabelsError, match="Fewer than two classes are painted"):
        training.step()


def test_images_can_be_added_and_removed(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], np.where(strokes == 1, strokes, 0))
    assert not training.ready
    training.put("more", cells[0], np.where(strokes == 2, strokes, 0))
    assert training.ready
    learn(training, 2)
    assert training.digest("cells") != training.digest("more")
    training.remove("more")
    assert not training.ready
    with pytest.raises(LabelsError, match="2 channel"):
        training.put("two", np.concatenate([cells[0]] * 2), strokes)


def test_labels_that_do_not_fit_and_dense_tasks_are_refused(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    with pytest.raises(LabelsError, match="shape"):
        training.put("cells", cells[0], strokes[:-1])
    training.put("cells", cells[0], strokes)
    with pytest.raises(LabelsError, match="extend beyond the image"):
        training.edit("cells", (150, 0), strokes[:20])
    with pytest.raises(SettingsError, match="sparse"):
        LiveTraining(TASK.model_copy(update={"sparse": False}))
    volumes = UNetConfig(ndim=3, depth=1, base_channels=4, out_channels=1)
    info = ModelInfo(unet=volumes, task=Instances(), normalization=Normalization(), name="deep")
    with pytest.raises(SettingsError, match="'deep' is a 3-D model"):
        LiveTraining(TASK, Model(info, {}))
    with pytest.raises(SettingsError, match="Nothing has been learned"):
        training.model()
