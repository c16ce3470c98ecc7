"""Predicting files: what counts as an input, what results are called, what exceeds memory."""

import gc
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batch_models import CLASSES, blobs, bright_dots, make_model, rows_of, threshold_model

from napari_unet.core.errors import Cancelled, SettingsError, StorageError
from napari_unet.core.evaluation.measure import measure_objects
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.io.image_files import read_image, read_labels, write_image
from napari_unet.core.models import blocks
from napari_unet.core.models.model import Model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction import batch, prediction
from napari_unet.core.prediction.batch import BatchOptions, FileFailed, FilePredicted, predict_files
from napari_unet.core.prediction.batch_inputs import find_inputs
from napari_unet.core.prediction.batch_tables import measure_prediction
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic


@pytest.mark.parametrize("augmented", [False, True])
def test_the_network_is_made_once_for_a_folder_and_not_kept(
    folder: Path,
    tmp_path: Path,
    classes_model: Model,
    augmented: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[weakref.ref[blocks.BlockNetwork]] = []
    make = blocks.BlockNetwork.__init__

    def making(self: blocks.BlockNetwork, *args: Any) -> None:
        made.append(weakref.ref(self))
        make(self, *args)

    monkeypatch.setattr(blocks.BlockNetwork, "__init__", making)
    options = BatchOptions(
        folder=tmp_path / "out", prediction=PredictOptions(test_time_augmentation=augmented)
    )
    done = list(predict_files(classes_model, find_inputs([folder]).files, options))
    assert [type(one) for one in done] == [FilePredicted, FilePredicted]
    assert len(made) == 1
    gc.collect()
    assert made[0]() is None


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    image = Image(np.ones((2, 8, 8), np.uint8), "CYX", channel_names=("Cam", "Cam"))
    labels = np.zeros((8, 8), np.uint8)
    labels[:4] = 1
    (row,) = measure_objects(labels, image)
    assert {"mean_Cam_0", "mean_Cam_1"} <= row.keys()


def test_a_file_that_is_gone_does_not_end_the_batch(
    classes_model: Model, folder: Path, tmp_path: Path
) -> None:
    inputs = find_inputs([folder]).files
    (folder / "a.tif").unlink()
    (folder / "a.tif").symlink_to(tmp_path / "nowhere.tif")
    failed, predicted = predict_files(classes_model, inputs, BatchOptions(tmp_path / "out"))
    assert isinstance(failed, FileFailed)
    assert "There is no file" in failed.problem
    assert isinstance(predicted, FilePredicted)


def test_what_nobody_foresaw_of_one_file_does_not_end_the_batch(
    classes_model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def divided_by_zero(result: Any, image: Image, name: str) -> Any:
        return measure_prediction(result, image, name) if name != "a.tif" else 1 / 0

    monkeypatch.setattr(batch, "measure_prediction", divided_by_zero)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    inputs = find_inputs([folder]).files
    failed, predicted = predict_files(classes_model, inputs, BatchOptions(tmp_path / "out"))
    assert isinstance(failed, FileFailed)
    assert failed.input == folder / "a.tif"
    assert "An unexpected error occurred (ZeroDivisionError: division by zero)" in failed.problem
    (details,) = tmp_path.glob("napari-unet-error-*.log")
    assert str(details) in failed.problem
    assert "in divided_by_zero" in details.read_text()
    assert isinstance(predicted, FilePredicted)


def test_areas_of_classes_are_those_of_all_planes(
    classes_model: Model, tmp_path: Path, rng
) -> None:
    image = Image(blobs((3, 2, 40, 30), rng), "TZYX", name="stack")
    result = prediction.predict(classes_model, image)
    _, summary = measure_prediction(result, image, "stack")
    labels = np.tile(np.asarray(result.labels), (1, 1, 14, 1))  # more rows than are read at once
    _, many = measure_prediction(replace(result, labels=labels), image, "stack")
    assert summary["area_px_cell"] == (result.labels == 2).sum() > 0
    assert many["area_px_cell"] == 14 * summary["area_px_cell"]


def test_classes_are_summarised_by_area(classes_model: Model, folder: Path, tmp_path: Path) -> None:
    options = BatchOptions(tmp_path / "out", probabilities=True)
    results = list(predict_files(classes_model, find_inputs([folder]).files, options))
    for result in results:
        assert isinstance(result, FilePredicted)
        labels = read_labels(result.labels)
        assert set(np.unique(labels)) <= {0, 2}
        assert result.summary["area_px_cell"] == (labels == 2).sum()
        assert result.summary["share_cell"] == pytest.approx((labels == 2).mean())
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    expected = ["a_labels.tif", "a_probability.tif", "b_labels.tif", "b_probability.tif"]
    assert names == [*expected, "summary.csv"]


def test_a_stopped_image_leaves_nothing_half_written(
    classes_model: Model, folder: Path, tmp_path: Path
) -> None:
    asked = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        list(
            predict_files(
                classes_model,
                find_inputs([folder]).files,
                BatchOptions(tmp_path / "out"),
                should_stop=should_stop,
            )
        )
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["a_labels.tif", "summary.csv"]


def test_images_are_brought_to_the_pixel_size_of_the_model(tmp_path: Path) -> None:
    model = threshold_model()
    model = replace(model, info=model.info.model_copy(update={"pixel_size_um": (0.5, 0.5)}))
    folder = tmp_path / "images"
    coarse = bright_dots(4)[::2, ::2]
    write_image(folder / "a.tif", Image(coarse, "YX", pixel_size=PixelSize((1.0, 1.0))))
    write_image(folder / "b.tif", Image(bright_dots(4), "YX", pixel_size=PixelSize((0.55, 0.55))))
    write_image(folder / "c.tif", Image(bright_dots(4), "YX"))
    inputs = find_inputs([folder]).files
    plain = list(predict_files(model, inputs, BatchOptions(tmp_path / "plain")))
    notes = [result.note for result in plain]
    assert notes[1:] == ["", ""]
    assert "'a' has pixels of 1 µm, the model 'model' was trained on 0.5 µm" in notes[0]
    assert "2 times smaller" in notes[0]
    assert "A scale of 2 fits" in notes[0]
    assert "scale" not in plain[0].summary
    fitted = list(predict_files(model, inputs, BatchOptions(tmp_path / "fitted", rescale=True)))
    assert [r.note for r in fitted] == ["", "", ""]
    scales = [float(r["scale"]) for r in rows_of(tmp_path / "fitted" / "summary.csv")]
    assert scales == pytest.approx([2, 1.1, 1])
    # On its own grid 25 px are nearly too few for an object, at the model's 100 px are not.
    assert plain[0].summary["objects"] == fitted[0].summary["objects"] == 4
    labels = read_image(fitted[0].labels)
    assert labels.shape == (32, 32)
    assert ((np.asarray(labels.data) > 0) == (coarse > 100)).mean() > 0.95


def test_a_folder_that_cannot_be_made_ends_the_batch(
    classes_model: Model, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    options = BatchOptions(tmp_path / "file" / "out")
    with pytest.raises(StorageError, match="Choose another"):
        list(predict_files(classes_model, find_inputs([folder]).files, options))


def test_progress_counts_blocks_of_each_file(
    classes_model: Model, folder: Path, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, int]] = []
    list(
        predict_files(
            classes_model,
            find_inputs([folder]).files,
            BatchOptions(tmp_path / "out"),
            progress=lambda *counts: seen.append(counts),
        )
    )
    assert [counts for counts in seen if counts[1] == counts[2]] == [(0, 1, 1), (1, 1, 1)]


def test_decoder_settings_replace_those_of_the_model(classes_model: Model) -> None:
    info = make_model(Instances()).info
    changed = info.adjusted({"threshold": 0.7, "min_area_px": 5}).task.decoder
    assert (changed.threshold, changed.min_area_px) == (0.7, 5)
    assert changed.steps == info.task.decoder.steps
    assert classes_model.info.adjusted({"threshold": 0.2}).task.threshold == 0.2
    assert info.adjusted({}) is info


def test_decoder_settings_that_make_no_sense_are_refused(classes_model: Model) -> None:
    with pytest.raises(SettingsError, match="threshold"):
        make_model(Instances()).info.adjusted({"threshold": 2})
    with pytest.raises(SettingsError, match="its labels are classes, not objects"):
        classes_model.info.adjusted({"min_area_px": 5})
    three = Semantic(classes=(*CLASSES, ClassInfo(id=3, name="border")))
    with pytest.raises(SettingsError, match="most probable"):
        make_model(three).info.adjusted({"threshold": 0.5})


def test_decoder_settings_that_do_not_fit_stop_a_batch_before_it_begins(
    folder: Path, tmp_path: Path, classes_model: Model
) -> None:
    how = PredictOptions(adjustments={"min_area_px": 5})
    with pytest.raises(SettingsError, match="its labels are classes, not objects"):
        list(
            predict_files(
                classes_model, find_inputs([folder]).files, BatchOptions(tmp_path / "out", how)
            )
        )
    assert not (tmp_path / "out").exists()
