"""Live training on disk: strokes, model and state are restored; damage is reported."""

import json

import numpy as np
import pytest
from live_training import QUICK, TASK, learn

from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.live.session import LiveSession
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.models.tensor_file import write_tensors


@pytest.mark.parametrize("name", ["file", "strokes/a", "plate 1/well.tif"])
def test_a_session_keeps_strokes_for_any_image_name(cells, strokes, tmp_path, name):
    training = LiveTraining(TASK, settings=QUICK)
    training.put(name, cells[0], strokes)
    LiveSession(tmp_path).save(training)
    ((kept, labels),) = LiveSession(tmp_path).labels().items()
    assert kept == name
    np.testing.assert_array_equal(labels, strokes)


def test_a_layer_named_like_the_file_of_another_keeps_its_strokes(cells, strokes, tmp_path):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("a", cells[0], strokes)
    training.put("a.npy", cells[0], strokes.T)
    LiveSession(tmp_path).save(training)
    np.testing.assert_array_equal(LiveSession(tmp_path).labels()["a"], strokes)
    np.testing.assert_array_equal(LiveSession(tmp_path).labels()["a.npy"], strokes.T)


def test_damaged_session_files_are_reported(cells, strokes, tmp_path):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 1)
    session = LiveSession(tmp_path)
    session.save(training)
    whole = (tmp_path / "strokes.npz").read_bytes()
    for damaged in (b"", whole[:100], whole[:80] + b"!!" + whole[82:]):
        (tmp_path / "strokes.npz").write_bytes(damaged)
        with pytest.raises(SettingsError, match="they are damaged"):
            session.labels()
    tensors, values = training.state()
    for key in ("task", "info", "learner"):
        less = {k: v for k, v in values.items() if k != key}
        write_tensors(
            tmp_path / "live.safetensors", tensors, {"napari_unet_live": json.dumps(less)}
        )
        with pytest.raises(ModelFileError, match=r"damaged.*strokes\.npz"):
            session.restore(LiveTraining(session.task(), settings=QUICK))
    write_tensors(tmp_path / "live.safetensors", {}, {"napari_unet_live": json.dumps(values)})
    with pytest.raises(ModelFileError, match="damaged"):
        session.restore(LiveTraining(TASK, settings=QUICK))


def test_the_description_of_a_session_is_restored_unless_it_is_damaged(tmp_path):
    session = LiveSession(tmp_path / "live")
    assert not session.exists
    assert session.about() == {}
    session.describe({"images": ["plate 1/well.tif", "größer"], "plane": 3})
    assert session.about() == {"images": ["plate 1/well.tif", "größer"], "plane": 3}
    for damaged in (b"{", b"[1]", b"\xff"):
        (tmp_path / "live" / "about.json").write_bytes(damaged)
        assert session.about() == {}


def test_strokes_are_kept_before_anything_is_learned(cells, strokes, tmp_path):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    session = LiveSession(tmp_path)
    session.save(training, {"removed": strokes.T})
    assert (session.exists, session.began) == (True, False)
    assert not session.model.exists()
    np.testing.assert_array_equal(session.labels()["removed"], strokes.T)
