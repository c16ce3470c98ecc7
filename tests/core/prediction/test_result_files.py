"""Results in files: TIFF, or Zarr if they exceed memory; results that are replaced are removed."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from batch_models import CLASSES, blobs, make_model

from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.io.image_files import read_image, read_labels, write_image
from napari_unet.core.models.model import Model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction import prediction
from napari_unet.core.prediction.batch import BatchOptions, predict_files
from napari_unet.core.prediction.batch_inputs import find_inputs
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic


def test_stacks_keep_their_axes(classes_model: Model, tmp_path: Path) -> None:
    size = PixelSize((2.0, 0.5, 0.5))
    path = tmp_path / "stack.tif"
    write_image(path, Image(np.zeros((3, 32, 40), np.uint16), "ZYX", pixel_size=size))
    (result,) = predict_files(
        classes_model, find_inputs([path]).files, BatchOptions(tmp_path / "out")
    )
    labels = read_image(result.labels)
    assert (labels.axes, labels.shape, labels.pixel_size) == ("ZYX", (3, 32, 40), size)


@pytest.mark.parametrize("kind", ["classes", "objects"])
def test_what_exceeds_memory_becomes_zarr_with_the_same_content(
    kind: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(Semantic(classes=CLASSES) if kind == "classes" else Instances())
    path = tmp_path / "large.tif"
    size = PixelSize((0.5, 0.5))
    write_image(path, Image(blobs((96, 128), rng), "YX", pixel_size=size))
    inputs = find_inputs([path]).files
    (small,) = predict_files(model, inputs, BatchOptions(tmp_path / "small", probabilities=True))
    monkeypatch.setattr(prediction, "IN_MEMORY_BYTES", 0)
    options = BatchOptions(
        tmp_path / "large", prediction=PredictOptions(block_px=64), probabilities=True
    )
    (large,) = predict_files(model, inputs, options)
    assert (large.labels.name, small.labels.name) == ("large_labels.zarr", "large_labels.tif")
    np.testing.assert_array_equal(read_labels(large.labels), read_labels(small.labels))
    assert read_image(large.labels).pixel_size == size
    multiscales = zarr.open_group(large.labels, mode="r").attrs["multiscales"]
    assert multiscales[0]["name"] == "large_labels"
    probabilities = [np.asarray(read_image(r.probabilities).data) for r in (large, small)]
    np.testing.assert_allclose(*probabilities, atol=1e-5)
    assert large.summary == small.summary
    names = sorted(p.name for p in (tmp_path / "large").iterdir() if p.suffix != ".csv")
    assert names == ["large_labels.zarr", "large_probability.zarr"]


def test_results_that_are_replaced_leave_nothing_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, out = find_inputs([folder]).files, tmp_path / "out"
    with monkeypatch.context() as small:
        small.setattr(prediction, "IN_MEMORY_BYTES", 0)
        list(predict_files(make_model(Instances()), inputs, BatchOptions(out, probabilities=True)))
    assert (out / "a_labels.zarr").is_dir()
    assert (out / "objects.csv").is_file()
    classes = make_model(Semantic(classes=CLASSES))
    list(predict_files(classes, inputs, BatchOptions(out, overwrite=True)))
    names = sorted(path.name for path in out.iterdir())
    assert names == ["a_labels.tif", "b_labels.tif", "summary.csv"]
