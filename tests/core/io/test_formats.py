"""The table of formats: one that is added is found, read and written everywhere."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from text_format import TEXT_MATRIX, registered

from napari_unet.core.datasets.pairs import find_pairs, load_pairs
from napari_unet.core.datasets.training_set import add_to_training_set, training_set_pairs
from napari_unet.core.errors import ImageError, LabelsError, SettingsError, StorageError
from napari_unet.core.evaluation.label_files import evaluate_files
from napari_unet.core.images.image import Image
from napari_unet.core.io.format import Format
from napari_unet.core.io.formats import (
    FORMATS,
    bare_name,
    format_names,
    format_of,
    image_suffixes,
    is_image_file,
    is_image_folder,
    register_format,
    writable_suffixes,
)
from napari_unet.core.io.image_files import (
    read_image,
    read_labels,
    write_image,
    write_labels,
)
from napari_unet.core.io.raw_files import write_array
from napari_unet.core.io.raw_image import RawImage
from napari_unet.core.prediction.batch_inputs import find_inputs


@pytest.fixture
def text_matrix() -> Iterator[Format]:
    with registered() as format:
        yield format


@pytest.fixture
def labels(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 9, (12, 16)).astype(np.uint16)


@pytest.mark.usefixtures("text_matrix")
def test_an_added_format_is_written_and_read(tmp_path: Path, labels: np.ndarray) -> None:
    path = tmp_path / "a.matrix"
    write_labels(path, labels)
    np.testing.assert_array_equal(read_labels(path), labels)
    stack = np.stack([labels, labels + 1])
    write_image(tmp_path / "b.mx.txt", Image(stack, "ZYX"))
    image = read_image(tmp_path / "b.mx.txt")
    assert (image.name, image.axes) == ("b", "ZYX")
    assert image.pixel_size is not None
    assert image.pixel_size.spacing == (2.0, 0.5, 0.25)
    np.testing.assert_array_equal(image.data, stack)


@pytest.mark.usefixtures("text_matrix")
def test_an_added_format_is_found_beside_others(tmp_path: Path, labels: np.ndarray) -> None:
    write_image(tmp_path / "images" / "a.matrix", Image(labels, "YX"))
    write_labels(tmp_path / "masks" / "a.matrix", labels)
    write_image(tmp_path / "images" / "b.tif", Image(labels, "YX"))
    write_labels(tmp_path / "masks" / "b.mx.txt", labels)
    dataset = find_pairs(tmp_path)
    assert [pair.name for pair in dataset.pairs] == ["a", "b"]
    assert not dataset.skipped
    for pair in load_pairs(dataset):
        np.testing.assert_array_equal(pair.labels, labels)
    found = find_inputs([tmp_path / "images"])
    assert [item.name for item in found.files] == ["a", "b"]


@pytest.mark.usefixtures("text_matrix")
def test_labels_of_an_added_format_are_scored_and_corrected(
    tmp_path: Path, labels: np.ndarray
) -> None:
    write_labels(tmp_path / "predicted" / "a_labels.matrix", labels)
    write_labels(tmp_path / "truth" / "a.tif", labels)
    report = evaluate_files(tmp_path / "predicted", tmp_path / "truth", kind="semantic")
    assert report.to_rows()[0]["image"] == "a"
    write_image(tmp_path / "set" / "images" / "a.matrix", Image(labels, "YX"))
    write_labels(tmp_path / "set" / "masks" / "a.matrix", labels)
    added = add_to_training_set(tmp_path / "set", Image(labels, "YX", "a"), labels + 1)
    assert added.earlier == tmp_path / "set" / "earlier_masks" / "a_1.matrix"
    (pair,) = training_set_pairs(tmp_path / "set")
    np.testing.assert_array_equal(pair.labels, labels + 1)


def test_messages_list_the_formats_of_the_table(tmp_path: Path) -> None:
    (tmp_path / "a.matrix").write_text("# YX 2 2\n1\n2\n3\n4\n")
    with pytest.raises(ImageError, match="expected TIFF, PNG, JPEG, BMP, NPY or Zarr"):
        read_image(tmp_path / "a.matrix")
    with pytest.raises(StorageError, match=r"ends in \.tif, \.png, \.npy or \.zarr"):
        write_array(tmp_path / "b.matrix", np.zeros((2, 2)), "YX")
    assert not is_image_file(tmp_path / "a.matrix")
    with registered():
        assert format_names() == "TIFF, PNG, JPEG, BMP, NPY, Zarr or text matrix"
        assert read_image(tmp_path / "a.matrix").sizes == {"Y": 2, "X": 2}
        assert image_suffixes()[-2:] == (".matrix", ".mx.txt")
        assert writable_suffixes() == (".tif", ".png", ".npy", ".zarr", ".matrix")


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, labels: np.ndarray) -> None:
    small = replace(TEXT_MATRIX, planes_only=True, largest_label=255)
    with registered(small):
        write_labels(tmp_path / "a.matrix", labels)
        with pytest.raises(LabelsError, match="text matrix holds one plane with ids up to 255"):
            write_labels(tmp_path / "b.matrix", labels.astype(np.uint16) + 300)
        with pytest.raises(LabelsError, match="text matrix holds one plane"):
            write_labels(tmp_path / "b.matrix", labels[None], "ZYX")
    with registered(replace(TEXT_MATRIX, write=None)), pytest.raises(StorageError, match=r"\.tif"):
        write_labels(tmp_path / "b.matrix", labels)
    assert not (tmp_path / "b.matrix").exists()


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    def read(path, options):
        raise ModuleNotFoundError("No module named 'matrices'")

    (tmp_path / "a.matrix").write_text("1")
    broken = replace(TEXT_MATRIX, read=read, requires="matrices-io")
    with registered(broken), pytest.raises(ImageError, match="pip install matrices-io"):
        read_image(tmp_path / "a.matrix")


def test_a_format_made_of_folders(tmp_path: Path, labels: np.ndarray) -> None:
    """A folder is an image, and may be replaced, only if it contains a marker of its format."""

    def write(path, image):
        path.mkdir()
        (path / "matrix.json").write_text("{}")
        np.save(path / "pixels.npy", image.data)

    def read(path, options):
        return RawImage(np.load(path / "pixels.npy"), "YX")

    folders = replace(
        TEXT_MATRIX, read=read, write=write, folder_markers=("matrix.json",), suffixes=(".mxd",)
    )
    with registered(folders):
        write_labels(tmp_path / "a.mxd", labels)
        assert is_image_folder(tmp_path / "a.mxd")
        write_labels(tmp_path / "a.mxd", labels + 1)
        np.testing.assert_array_equal(read_labels(tmp_path / "a.mxd"), labels + 1)
        assert [f.path for f in find_inputs([tmp_path / "a.mxd"]).files] == [tmp_path / "a.mxd"]
        (tmp_path / "b.mxd").mkdir()
        (tmp_path / "b.mxd" / "other.txt").write_text("mine")
        with pytest.raises(StorageError, match="a folder of that name exists"):
            write_labels(tmp_path / "b.mxd", labels)
        assert (tmp_path / "b.mxd" / "other.txt").read_text() == "mine"


def test_suffixes_belong_to_one_format() -> None:
    before = list(FORMATS)
    with pytest.raises(SettingsError, match=r"'\.tif' already belongs to the format TIFF"):
        register_format(replace(TEXT_MATRIX, suffixes=(".matrix", ".tif")))
    for suffix in ("matrix", ".Matrix"):
        with pytest.raises(SettingsError, match="lower case, with a leading dot"):
            register_format(replace(TEXT_MATRIX, suffixes=(suffix,)))
    assert before == FORMATS


@pytest.mark.parametrize(
    ("name", "bare", "format"),
    [
        ("a.tif", "a", "TIFF"),
        ("a.OME.TIF", "a", "TIFF"),
        ("a.ome.zarr", "a", "Zarr"),
        ("a.b.Jpeg", "a.b", "JPEG"),
        (".tif", ".tif", None),
        ("tif", "tif", None),
        ("a.txt", "a.txt", None),
    ],
)
def test_names(tmp_path: Path, name: str, bare: str, format: str | None) -> None:
    found = format_of(tmp_path / name)
    assert (bare_name(Path(name)), found and found.name) == (bare, format)


def test_the_longest_suffix_counts() -> None:
    plain = replace(TEXT_MATRIX, name="text", suffixes=(".txt",))
    with registered(plain), registered():
        assert (bare_name(Path("a.mx.txt")), bare_name(Path("a.txt"))) == ("a", "a")
        assert format_of(Path("a.mx.txt")) is TEXT_MATRIX
        assert format_of(Path("a.txt")) is plain
