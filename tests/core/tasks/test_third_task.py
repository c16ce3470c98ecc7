"""A task defined outside the package can do everything that the package's own tasks can."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest
from pydantic import Field, ValidationError

from napari_unet.core.bioimage_io.description import documentation, output_names
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import LabelsError, ModelFileError, SettingsError
from napari_unet.core.evaluation.evaluation import evaluate
from napari_unet.core.images.image import Image
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import load_model, save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction import prediction as prediction_module
from napari_unet.core.prediction.prediction import predict, redecode
from napari_unet.core.records.methods_text import trained_on_text
from napari_unet.core.tasks import any_task
from napari_unet.core.tasks.adjustments import Adjustable
from napari_unet.core.tasks.any_task import parse_task, possible_adjustments, register_task
from napari_unet.core.tasks.base import Head, Task
from napari_unet.core.training.run_folder import RunFolder
from napari_unet.core.training.settings import Augmentation, Budget, TrainingSettings
from napari_unet.core.training.training import train

REACH_PX = 32


class DistanceMap(Task):
    """Objects by regression of the distance to their outline, cut at a fraction of the largest."""

    kind: Literal["distance-map"] = "distance-map"
    cut: Annotated[
        float,
        Field(gt=0, lt=1, title="Cut", description="Distance above which pixels are objects."),
        Adjustable("--cut", 0.05, 0.95, 0.05),
    ] = 0.3

    @property
    def heads(self):
        return (Head("distance", 1, "linear"),)

    @property
    def reach_px(self):
        return REACH_PX

    @property
    def foreground_threshold(self):
        return self.cut

    def encode(self, labels, inside):
        from napari_unet.core.tasks.targets import Objects

        objects = Objects(labels)
        target = np.zeros((1, *labels.shape), np.float32)
        target.reshape(-1)[objects.pixels] = objects.relative_distance()
        return target, inside.astype(np.float32)[None]

    def loss(self):
        def squared_error(logits, targets, weight):
            return ((logits - targets) ** 2 * weight).sum() / weight.sum().clamp_min(1)

        return squared_error

    def decode(self, outputs):
        from skimage.measure import label

        return label(outputs[0] > self.cut).astype(np.int32)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_task, "_KINDS", dict(any_task._KINDS))
    register_task(DistanceMap)


def drawn_pair(seed: int) -> Pair:
    data, labels = synthetic_nuclei((96, 96), 12, (12, 20), seed)
    return Pair(Image(data, "YX", name=f"image {seed}"), labels)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object]]:
    folder = tmp_path_factory.mktemp("third") / "run"
    settings = TrainingSettings(
        budget=Budget(epochs=1),
        epoch_steps=60,
        patch_px=48,
        batch_size=2,
        depth=2,
        base_channels=8,
        augmentation=Augmentation.preset("none"),
        device="cpu",
        precision="float32",
    )
    kinds = dict(any_task._KINDS)
    register_task(DistanceMap)
    events = list(
        train([drawn_pair(s) for s in range(3)], DistanceMap(), folder, settings, name="third")
    )
    any_task._KINDS.clear()
    any_task._KINDS.update(kinds)
    return folder, events


@pytest.fixture
def model(trained: tuple[Path, list[object]]) -> Model:
    return load_model(RunFolder(trained[0]).best_model)


def test_it_trains_and_is_validated_by_its_primary_score(
    trained: tuple[Path, list[object]],
) -> None:
    ended = trained[1][-1]
    key = DistanceMap().scores.primary.key
    assert key == "mean_ap_by_image"
    assert ended.best_scores[key] > 0.2
    history = RunFolder(trained[0]).path / "history.csv"
    assert key in history.read_text("utf-8").splitlines()[0]


def test_it_finds_objects_that_evaluate_counts(model: Model) -> None:
    pair = drawn_pair(9)
    found = predict(model, pair.image, PredictOptions(device="cpu", precision="float32"))
    report = evaluate(np.asarray(found.labels), pair.labels, kind="instances")
    assert report.summary()["ap50_pooled"] > 0.4
    assert len(found.confidence) == found.labels.max() + 1
    assert model.info.object_diameter_px == pytest.approx(16, abs=4)


def test_blocks_give_the_labels_of_the_whole(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = synthetic_nuclei((200, 160), 40, (12, 20), 3)
    image = Image(data, "YX", name="large")
    whole = predict(model, image, PredictOptions(device="cpu", precision="float32"))
    monkeypatch.setattr(prediction_module, "IN_MEMORY_BYTES", 1)
    blocks = predict(
        model,
        image,
        PredictOptions(block_px=64, device="cpu", precision="float32"),
        folder=tmp_path,
    )
    assert not isinstance(blocks.labels, np.ndarray)
    np.testing.assert_array_equal(np.asarray(blocks.labels[:]), whole.labels)
    np.testing.assert_allclose(blocks.confidence, whole.confidence, atol=1e-6)


def test_labels_come_back_on_the_grid_of_the_image(model: Model) -> None:
    pair = drawn_pair(5)
    found = predict(model, pair.image, PredictOptions(scale=2, device="cpu", precision="float32"))
    assert found.labels.shape == pair.labels.shape
    assert found.labels.any()


def test_it_is_adjusted_afterwards(model: Model) -> None:
    image = drawn_pair(9).image
    kept = predict(
        model, image, PredictOptions(device="cpu", precision="float32"), keep_outputs=True
    )
    task = kept.model.task.adjusted({"cut": 0.8})
    again = redecode(kept, {"cut": 0.8})
    assert again.model.task == task
    assert (again.labels > 0).sum() < (kept.labels > 0).sum()
    assert "cut" in [a.name for a in possible_adjustments()]
    with pytest.raises(SettingsError, match="cut: input should be less than 1"):
        task.adjusted({"cut": 2})
    with pytest.raises(SettingsError, match="has no min-votes: expected one of cut"):
        task.adjusted({"min_votes": 2})


def test_it_is_saved_and_loaded(model: Model, tmp_path: Path) -> None:
    task = DistanceMap(cut=0.4)
    changed = Model(model.info.model_copy(update={"task": task}), model.weights)
    path = tmp_path / "changed.safetensors"
    save_model(path, changed)
    assert load_model(path).info.task == task
    assert parse_task(task.model_dump()) == task


def test_without_its_package_a_model_says_what_is_missing(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "third.safetensors"
    save_model(path, model)
    monkeypatch.delitem(any_task._KINDS, "distance-map")
    with pytest.raises(ModelFileError, match=r"no task of the kind 'distance-map'.*semantic"):
        load_model(path)
    with pytest.raises(ValidationError, match="expected one of semantic, instances"):
        parse_task({"kind": "distance-map"})


def test_it_is_described_in_words(model: Model) -> None:
    assert model.info.task.words.done == "Objects (distance-map) were segmented"
    assert "cut 0.3" in model.info.task.describe_decoding()
    assert output_names(model.info) == ["distance"]
    assert "| distance | a number |" in documentation(model.info)
    assert "mean AP" in trained_on_text(model.info)


def test_labels_that_cannot_teach_it_are_refused() -> None:
    empty = Pair(Image(np.zeros((8, 8), np.uint8), "YX", name="empty"), np.zeros((8, 8), int))
    with pytest.raises(LabelsError, match="Nothing is labelled in 1 image"):
        DistanceMap().check([empty])


def test_a_kind_is_registered_once() -> None:
    class Other(DistanceMap):
        """Another task of the same kind."""

    with pytest.raises(
        ValueError, match="The kind 'distance-map' of Other is already used by Distance"
    ):
        register_task(Other)
