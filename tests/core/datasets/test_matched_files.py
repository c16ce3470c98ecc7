"""The files of one image: their contents, and that each is read once."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PilImage

from napari_unet.core.datasets.matched_files import MatchedFiles
from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.images.image import Image
from napari_unet.core.io import image_files
from napari_unet.core.io.image_files import write_image, write_labels


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each file is read."""
    counts: Counter[str] = Counter()
    read_raw = image_files.read_raw

    def counted(path, options):
        counts[path.name] += 1
        return read_raw(path, options)

    monkeypatch.setattr(image_files, "read_raw", counted)
    return counts


@pytest.fixture
def files(tmp_path: Path, rng: np.random.Generator) -> MatchedFiles:
    image = rng.integers(0, 200, (3, 24, 30)).astype(np.uint8)
    write_image(tmp_path / "image.tif", Image(image, "TYX"))
    write_labels(tmp_path / "labels.tif", image // 50, "TYX")
    return MatchedFiles("a", tmp_path / "image.tif", (tmp_path / "labels.tif",))


def store(path: Path, how: str, labels: np.ndarray) -> Path:
    if how == "colour":
        path = path.with_suffix(".png")
        PilImage.fromarray(np.dstack([labels] * 3)).save(path)
    elif how == "bool":
        path = path.with_suffix(".npy")
        np.save(path, labels > 0)
    elif how == "float":
        tifffile.imwrite(path, labels.astype(np.float32))
    else:
        tifffile.imwrite(path, labels.astype(np.uint8), photometric="minisblack")
    return path


@pytest.mark.parametrize("how", ["colour", "bool", "float", "integer"])
@pytest.mark.parametrize("repair", [(), ("colours",)])
def test_labels_of_every_kind_are_read_once(
    tmp_path: Path, reads: Counter[str], how: str, repair: tuple[str, ...]
) -> None:
    labels = np.zeros((24, 30), np.uint8)
    labels[4:9, 5:15] = 1
    labels[15:20, 5:15] = 1 if how == "bool" else 2
    write_image(tmp_path / "image.tif", Image(labels, "YX"))
    path = store(tmp_path / "labels.tif", how, labels)
    pair = MatchedFiles("a", tmp_path / "image.tif", (path,)).load_pair(repair=repair)
    np.testing.assert_array_equal(pair.labels, labels)
    assert reads == {"image.tif": 1, path.name: 1}


def test_files_without_names_of_axes_are_read_once(
    tmp_path: Path, reads: Counter[str], files: MatchedFiles
) -> None:
    """Labels and annotated area have the axes of the image."""
    labels = np.zeros((5, 24, 30), np.uint8)
    labels[2, 4:9] = 3
    write_image(tmp_path / "image.tif", Image(labels, "TYX"))
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "area.npy", labels > 0)
    files = replace(files, labels=(tmp_path / "labels.npy",), annotated=tmp_path / "area.npy")
    pair = files.load_pair()
    np.testing.assert_array_equal(pair.labels, labels)
    assert pair.annotated is not None
    np.testing.assert_array_equal(pair.annotated, labels > 0)
    assert reads == {"image.tif": 1, "labels.npy": 1, "area.npy": 1}


def test_a_comparison_reads_each_file_once(reads: Counter[str], files: MatchedFiles) -> None:
    files = replace(files, image=None, prediction=files.path)
    prediction, truth = files.load_comparison()
    assert (prediction.max(), truth.max()) == (199, 3)
    assert files.load_image() is None
    assert files.load_area() is None
    assert reads == {"image.tif": 1, "labels.tif": 1}


def test_the_path_is_the_image_else_the_labels(files: MatchedFiles) -> None:
    assert files.path == files.image
    assert replace(files, image=None).path == files.labels[0]


def test_missing_files_are_named(files: MatchedFiles) -> None:
    with pytest.raises(ImageError, match="'a' has no image or no labels"):
        replace(files, labels=()).load_pair()
    with pytest.raises(LabelsError, match="'a' has no prediction or no ground truth"):
        files.load_comparison()
