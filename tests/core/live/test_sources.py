"""A live model records the images it learned from and the model it started from."""

import numpy as np
from live_training import NUCLEI, QUICK, REST, TASK, learn

from napari_unet.core.evaluation.leakage import seen_by
from napari_unet.core.images.image import Image
from napari_unet.core.live.sources import Sources, origin
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.records.methods_text import trained_on_text
from napari_unet.core.tasks.semantic import ClassInfo, Semantic


def test_the_model_records_its_provenance(cells, strokes, tmp_path):
    image = cells[0]
    training = LiveTraining(TASK, settings=QUICK, name="first")
    training.put("cells", image, strokes)
    training.put("unpainted", image[:, ::-1], np.zeros_like(strokes))
    learn(training, 2)
    first = training.model()
    text = trained_on_text(first.info)
    assert "trained from scratch" in text
    assert "It was trained live, while the labels were being painted." in text
    assert "corrected for classes that were painted more or less often than they occur" in text
    assert seen_by(first.info, Image(image[0], "YX")) == "training"
    assert seen_by(first.info, Image(image[0, ::-1], "YX")) == "unseen"

    later = LiveTraining(TASK, first, QUICK, name="second")
    two = np.concatenate([image, image[:, ::-1]])
    for name, pixels in {"a": two, "removed": two[:, :, ::-1]}.items():
        later.put(name, pixels, strokes)
    later.step()
    later.remove("removed")
    later.set_task(Semantic(classes=(REST, NUCLEI, ClassInfo(id=3, name="edge")), sparse=True))
    later.step()
    second = later.model().info
    assert second.name == "second"
    assert second.provenance["started_from"] == "first"
    assert second.provenance["steps"] == 2
    assert {image.name for image in second.trained_on} == {"a", "removed"}
    assert seen_by(second, Image(two, "CYX")) == "training"
    assert "fine-tuned from the model 'first'" in trained_on_text(second)


def test_erased_or_replaced_images_remain_in_the_provenance(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("a", cells[0], strokes)
    training.put("b", cells[0][:, ::-1], strokes)
    learn(training, 2)
    training.edit("b", (0, 0), np.zeros_like(strokes))
    training.put("a", cells[0][:, :, ::-1], strokes)
    training.step()
    info = training.model().info
    assert [image.name for image in info.trained_on] == ["a", "b", "a"]
    for pixels in (cells[0][0], cells[0][0, ::-1], cells[0][0, :, ::-1]):
        assert seen_by(info, Image(pixels, "YX")) == "training"


def test_only_painted_images_are_recorded_and_each_once(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 1)
    info = training.model().info
    sources = Sources()
    sources.load(info)
    sources.put("the same again", cells[0])
    sources.put("unpainted", cells[0][:, ::-1])
    sources.note(["the same again"])
    described = sources.describe(info, 7, None)
    assert [image.name for image in described.trained_on] == ["the same again"]
    assert described.provenance["counts"] == {"train_images": 1, "train_groups": 1}
    assert sources.describe(info, 7, 5).provenance["counts"]["train_objects"] == 5


def test_a_resumed_model_still_names_its_start_model(cells, strokes):
    assert origin(None, "second") == {}
    training = LiveTraining(TASK, settings=QUICK, name="first")
    training.put("cells", cells[0], strokes)
    learn(training, 1)
    first = training.model().info
    assert origin(first, "second") == {"started_from": "first"}
    provenance = first.provenance | origin(first, "second")
    second = first.model_copy(update={"name": "second", "provenance": provenance})
    assert origin(second, "second") == {"started_from": "first"}
    assert origin(second, "third") == {"started_from": "second"}
