import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core.augmentation.settings import Augmentation
from napari_unet.core.datasets.splits import Split
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import (
    DeviceError,
    ImageError,
    LabelsError,
    SettingsError,
    StorageError,
)
from napari_unet.core.evaluation.metrics import foreground_counts, pixel_summary
from napari_unet.core.evaluation.object_scores import object_scores, object_summary
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model_file import load_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.settings import parse_settings
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.core.training.events import CheckpointSaved, EpochDone, Finished, Started, StepDone
from napari_unet.core.training.run_folder import RunFolder
from napari_unet.core.training.settings import Budget, TrainingSettings
from napari_unet.core.training.training import train

CPU = {"device": "cpu", "precision": "float32"}
TINY = {
    "depth": 1,
    "base_channels": 2,
    "patch_px": 32,
    "batch_size": 2,
    "epoch_steps": 2,
    "budget": Budget(steps=4),
} | CPU


def nuclei_pair(seed=0, channels=None):
    image, labels = synthetic_nuclei((64, 64), 7, seed=seed, diameter_px=(10, 18))
    image = image if channels is None else np.stack([image] * channels)
    axes = "YX" if channels is None else "CYX"
    return Pair(Image(image, axes, name=f"cells {seed}"), labels)


def named_pair(seed, names):
    pair = nuclei_pair(seed, channels=len(names))
    return replace(pair, image=replace(pair.image, channel_names=names))


def coloured(pair):
    return replace(pair, image=replace(pair.image, rgb=True))


def nuclei_pairs(n=3, **kwargs):
    return [nuclei_pair(seed, **kwargs) for seed in range(n)]


def binary(pair):
    return Pair(pair.image, (pair.labels > 0).astype(np.uint8), pair.annotated)


def run(folder, pairs, task=None, **values):
    values = values.copy()
    options = {k: values.pop(k) for k in ("start", "split", "name", "should_stop") if k in values}
    settings = TrainingSettings(**(TINY | values))
    return list(train(pairs, task or Instances(), folder / "run", settings, **options))


LEARNING = {
    "depth": 2,
    "base_channels": 8,
    "patch_px": 64,
    "batch_size": 4,
    "epoch_steps": 30,
    "budget": Budget(steps=60),
    "learning_rate": 2e-2,
    "average_decay": 0.8,
    "augmentation": Augmentation.preset("none"),
    "validation_fraction": 0,
}


def test_two_images_are_learned_by_heart(tmp_path):
    pairs = nuclei_pairs(2)
    events = run(tmp_path, pairs, **LEARNING)
    losses = [e.loss for e in events if isinstance(e, StepDone)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    model = load_model(events[-1].last_model)
    found = [predict(model, pair.image, PredictOptions(**CPU)).labels for pair in pairs]
    pixels = [foreground_counts(f, p.labels) for f, p in zip(found, pairs, strict=True)]
    objects = [object_scores(f, p.labels) for f, p in zip(found, pairs, strict=True)]
    assert pixel_summary(pixels)["dice_foreground_by_image"] > 0.85
    assert object_summary(objects)["ap50_by_image"] > 0.7


def test_events_come_in_order_and_files_follow(tmp_path):
    events = run(tmp_path, nuclei_pairs(), budget=Budget(epochs=3))
    kinds = [type(e) for e in events]
    epoch = [StepDone, StepDone, EpochDone, CheckpointSaved]
    assert kinds == [Started, *epoch * 3, CheckpointSaved, Finished]
    assert events[0].total_steps == 6
    assert [e.step for e in events if isinstance(e, StepDone)] == [1, 2, 3, 4, 5, 6]
    progress = [e.progress for e in events if isinstance(e, StepDone)]
    assert progress == sorted(progress)
    assert progress[-1] == 1
    epochs = [e for e in events if isinstance(e, EpochDone)]
    assert [e.epoch for e in epochs] == [1, 2, 3]
    assert epochs[0].is_best
    folder = RunFolder(tmp_path / "run")
    assert sorted(p.name for p in folder.path.iterdir()) == [
        "best.safetensors",
        "curves.png",
        "history.csv",
        "labels.npz",
        "last.safetensors",
        "settings.json",
        "state.safetensors",
    ]
    assert folder.curves.read_bytes().startswith(b"\x89PNG")
    with (folder.path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == [2, 4, 6]
    for row, event in zip(rows, epochs, strict=True):
        assert float(row["train_loss"]) == event.train_loss
        assert float(row["validation_loss"]) == event.validation_loss
        assert float(row["mean_ap_by_image"]) == event.scores["mean_ap_by_image"]
    last = events[-1]
    assert (last.reason, last.step) == ("completed", 6)
    best = load_model(last.best_model).info.scores
    assert best["mean_ap_by_image"] == max(e.scores["mean_ap_by_image"] for e in epochs)


def test_a_model_knows_where_it_comes_from(tmp_path):
    image, labels = synthetic_nuclei((64, 64), 6, seed=0, diameter_px=(10, 18))
    names = ("DNA", "actin")
    size = PixelSize((0.5, 0.25))
    pairs = [
        Pair(Image(np.stack([image + i, image]), "CYX", f"cells {i}", size, names), labels)
        for i in range(3)
    ]
    events = run(tmp_path, pairs, name="my model", split=Split((0, 2), (1,), "mine"))
    info = load_model(events[-1].last_model).info
    assert info.name == "my model"
    assert info.unet.in_channels == 2
    assert info.channel_names == names
    assert info.pixel_size_um == (0.5, 0.25)
    assert 10 < info.object_diameter_px < 18
    assert [(t.name, t.role) for t in info.trained_on] == [
        ("cells 0", "training"),
        ("cells 1", "validation"),
        ("cells 2", "training"),
    ]
    assert len({t.sha256 for t in info.trained_on}) == 3
    assert info.provenance["steps"] == 4
    assert info.provenance["settings"]["patch_px"] == 32


def test_with_nothing_to_validate_on_it_says_so_and_calls_none_best(tmp_path):
    events = run(tmp_path, nuclei_pairs(1))
    assert "no validation images, so no best model is saved" in events[0].summary
    assert not any(e.is_best or e.scores for e in events if isinstance(e, EpochDone))
    assert events[-1].best_model is None
    assert not (tmp_path / "run" / "best.safetensors").exists()
    assert load_model(events[-1].last_model).info.scores == {}


def test_the_same_seed_gives_the_same_model_and_another_gives_another(tmp_path):
    models = []
    for i, seed in enumerate((0, 0, 1)):
        (tmp_path / str(i)).mkdir()
        events = run(tmp_path / str(i), nuclei_pairs(), seed=seed)
        models.append(load_model(events[-1].last_model).weights)
    assert all(torch.equal(models[0][k], models[1][k]) for k in models[0])
    assert not all(torch.equal(models[0][k], models[2][k]) for k in models[0])


def test_training_leaves_the_callers_random_numbers_alone(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    run(tmp_path, nuclei_pairs(), dropout=0.3)
    assert torch.equal(torch.rand(4), expected)


def test_stopping_saves_everything(tmp_path):
    asked = iter([False, False, False, True])
    events = run(tmp_path, nuclei_pairs(), should_stop=lambda: next(asked))
    assert events[-1].reason == "stopped"
    assert events[-1].step == 3
    assert isinstance(events[-2], CheckpointSaved)
    assert load_model(events[-1].last_model).info.provenance["steps"] == 3


def test_a_budget_in_minutes_ends(tmp_path):
    events = run(tmp_path, nuclei_pairs(), budget=Budget(minutes=0.03), epoch_steps=5)
    assert events[0].total_steps is None
    assert events[-1].reason == "completed"
    assert 0.9 <= events[-1].seconds < 6  # 1.8 s, less the time of the last validation
    assert isinstance(events[-3], CheckpointSaved)
    assert events[-1].best_model is not None


def test_without_improvement_it_ends_early(tmp_path):
    budget = Budget(steps=100)
    events = run(tmp_path, nuclei_pairs(), learning_rate=1e-30, patience=3, budget=budget)
    assert events[-1].reason == "no improvement"
    assert events[-1].step == 8  # one epoch of two steps is the best, three do not improve


def test_a_diverging_loss_is_a_sentence(tmp_path):
    # The decay flips the sign of the weights and increases them in every step.
    with pytest.raises(
        SettingsError,
        match=r"The loss is nan at step \d+: training diverged. Choose a lower learning rate",
    ):
        run(tmp_path, nuclei_pairs(), learning_rate=1, weight_decay=1e20, warmup=0)


# -- starting from a model -----------------------------------------------------------------------


def test_another_task_takes_over_all_but_the_head(tmp_path):
    first = run(tmp_path, nuclei_pairs(), **(LEARNING | {"normalization": Normalization(low=3)}))
    start = load_model(first[-1].last_model)
    (tmp_path / "second").mkdir()
    task = Semantic.from_labels([np.array([0, 1])])
    events = run(
        tmp_path / "second",
        [binary(p) for p in nuclei_pairs()],
        task,
        start=start,
        depth=2,
        base_channels=3,
        learning_rate=1e-30,
        weight_decay=0,
    )
    model = load_model(events[-1].last_model)
    assert model.info.task == task
    assert model.info.unet == start.info.unet.model_copy(update={"out_channels": 1})
    assert model.info.normalization == start.info.normalization
    assert model.info.provenance["started_from"] == "model"
    assert model.weights["head.weight"].shape[0] == 1
    # Nothing was learned, so everything else is unchanged.
    for name, weight in model.weights.items():
        if not name.startswith("head.") and "running" not in name and "num_batches" not in name:
            assert torch.equal(weight, start.weights[name])


def test_going_on_from_a_model_begins_where_it_was(tmp_path):
    pairs = nuclei_pairs(2)
    first = run(tmp_path, pairs, **LEARNING)
    start = load_model(first[-1].last_model)
    (tmp_path / "second").mkdir()
    second = run(
        tmp_path / "second",
        pairs,
        **(LEARNING | {"budget": Budget(steps=3)}),
        start=start,
    )
    losses = [[e.loss for e in events if isinstance(e, StepDone)] for events in (first, second)]
    assert losses[1][0] < 0.7 * losses[0][0]


def test_a_model_of_other_channels_can_be_gone_on_from(tmp_path):
    first = run(tmp_path, nuclei_pairs())
    start = load_model(first[-1].last_model)
    (tmp_path / "second").mkdir()
    colour = [
        Pair(Image(np.stack([p.image.data] * 3), "CYX", p.name, rgb=True), p.labels)
        for p in nuclei_pairs()
    ]
    model = load_model(run(tmp_path / "second", colour, start=start)[-1].last_model)
    assert model.info.unet == start.info.unet.model_copy(update={"in_channels": 3})
    assert model.info.rgb


# -- bad data and settings -----------------------------------------------------------------------


def nan_pair():
    image = np.ones((64, 64), np.float32)
    image[3, 3] = np.nan
    return Pair(Image(image, "YX", name="broken"), nuclei_pair().labels)


THREE = Semantic(
    classes=tuple(ClassInfo(id=i, name=f"class {i}", background=i == 0) for i in range(3))
)


@pytest.mark.parametrize(
    ("pairs", "task", "values", "error", "sentence"),
    [
        (lambda: [], None, {}, LabelsError, "expected at least one image with labels"),
        (
            lambda: [nuclei_pair(0), nuclei_pair(1, channels=2)],
            None,
            {},
            SettingsError,
            "differ in their number of channels: 1 in 'cells 0', 2 in 'cells 1'",
        ),
        (
            lambda: [named_pair(0, ("DAPI", "GFP")), named_pair(1, ("GFP", "DAPI"))],
            None,
            {},
            SettingsError,
            "'cells 1' has the channels GFP, DAPI, but 'cells 0' has DAPI, GFP: expected the same "
            "order",
        ),
        (
            lambda: [nuclei_pair(0, channels=3), coloured(nuclei_pair(1, channels=3))],
            None,
            {},
            SettingsError,
            "'cells 1' is in colour, but 'cells 0' has 3 separate channels",
        ),
        (lambda: [nan_pair(), nuclei_pair(1)], None, {}, ImageError, "'broken.*NaN or infinite"),
        (
            lambda: [Pair(p.image, p.labels * 0) for p in nuclei_pairs()],
            None,
            {},
            LabelsError,
            "No object is outlined in 3 image",
        ),
        (lambda: nuclei_pairs(), THREE, {}, LabelsError, "which are not classes"),
        (lambda: nuclei_pairs(), Instances(sparse=True), {}, LabelsError, "no annotated area"),
        (lambda: nuclei_pairs(), None, {"device": "tpu"}, DeviceError, "'tpu' is not available"),
        (
            lambda: nuclei_pairs(),
            None,
            {"precision": "float16"},
            DeviceError,
            "it needs a CUDA device",
        ),
    ],
)
def test_data_that_cannot_be_trained_on(tmp_path, pairs, task, values, error, sentence):
    with pytest.raises(error, match=sentence):
        run(tmp_path, pairs(), task, **values)
    assert list(tmp_path.iterdir()) == []


def test_all_labels_on_the_validation_side_is_a_sentence(tmp_path):
    empty = Pair(
        Image(np.zeros((3, 64, 64), np.uint8), "TYX", name="stack"), np.zeros((3, 64, 64), int)
    )
    with pytest.raises((LabelsError, SettingsError), match=r"\w+.*\."):
        run(tmp_path, [empty, nuclei_pair()], split=Split((0,), (1,), "mine"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "run").write_text("I am a file")
    with pytest.raises(StorageError, match="Cannot write"):
        run(tmp_path, nuclei_pairs())
    assert (tmp_path / "run").read_text() == "I am a file"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"patch_px": 100},
            r"The patch size is 100 px and the depth 4: expected a multiple of 16. Use 96",
        ),
        ({"budget": {}}, "Budget names nothing: expected exactly one"),
        ({"budget": {"steps": 1, "epochs": 1}}, "names steps and epochs: expected exactly one"),
        ({"budget": {"steps": 0}}, "budget.steps.*greater than or equal to 1.*got 0"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"optimiser": "adam"}, "optimiser"),
        ({"optimizer": "sgd"}, "optimizer.*'adam' or 'adamw'"),
        ({"dropout": 1}, "dropout"),
        ({"validation_fraction": 0.9}, "validation_fraction"),
    ],
)
def test_settings_that_make_no_sense(values, sentence):
    with pytest.raises(SettingsError, match=sentence):
        parse_settings(TrainingSettings, values)


def test_a_long_epoch_is_saved_in_between(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_unet.core.training.training_loop._CHECKPOINT_S", 0)
    events = run(tmp_path, nuclei_pairs(), epoch_steps=4)
    saved = [e.step for e in events if isinstance(e, CheckpointSaved)]
    assert saved[:3] == [1, 2, 3]
    assert load_model(tmp_path / "run" / "last.safetensors").info.provenance["steps"] == 4
