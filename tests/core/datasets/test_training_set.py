"""The training set that grows by correction: storage, backups, and no overwriting."""

from pathlib import Path

import dask.array as da
import numpy as np
import pytest

from napari_unet.core.datasets import training_set
from napari_unet.core.datasets.training_set import (
    add_to_training_set,
    base_model,
    find_training_set,
    training_set_pairs,
)
from napari_unet.core.errors import LabelsError, SettingsError, StorageError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.io.image_files import read_image, read_labels, write_image, write_labels

LABELS = np.zeros((32, 32), np.int32)
LABELS[4:12, 4:12] = 1


def image_of(value: int, name: str = "cells", **kwargs: object) -> Image:
    return Image(np.full((32, 32), value, np.uint16), "YX", name=name, **kwargs)


def test_an_added_image_comes_back_with_labels_and_pixel_size(tmp_path: Path) -> None:
    image = image_of(7, pixel_size=PixelSize((0.5, 0.25)))
    added = add_to_training_set(tmp_path / "set", image, LABELS)
    assert (added.image.parent.name, added.labels.parent.name) == ("images", "masks")
    (pair,) = training_set_pairs(tmp_path / "set")
    assert (pair.image.data == 7).all()
    assert (pair.labels == LABELS).all()
    assert pair.image.pixel_size is not None
    assert pair.image.pixel_size.spacing == pytest.approx((0.5, 0.25))


def test_a_second_correction_replaces_the_labels_and_keeps_the_first(tmp_path: Path) -> None:
    add_to_training_set(tmp_path, image_of(7), LABELS)
    added = add_to_training_set(tmp_path, image_of(7), LABELS * 3)
    assert added.images == 1
    assert added.earlier is not None
    assert (read_labels(added.earlier) == LABELS).all()
    assert (read_labels(added.labels) == LABELS * 3).all()
    assert (training_set_pairs(tmp_path)[0].labels == LABELS * 3).all()
    third = add_to_training_set(tmp_path, image_of(7), LABELS * 2)
    assert third.earlier not in (None, added.earlier)


def test_the_same_labels_again_change_nothing(tmp_path: Path) -> None:
    add_to_training_set(tmp_path, image_of(7), LABELS)
    added = add_to_training_set(tmp_path, image_of(7), LABELS)
    assert added.earlier is None
    assert not (tmp_path / "earlier_masks").exists()


def test_another_image_of_the_same_name_replaces_nothing(tmp_path: Path) -> None:
    first = add_to_training_set(tmp_path, image_of(7), LABELS)
    second = add_to_training_set(tmp_path, image_of(8), LABELS * 2)
    again = add_to_training_set(tmp_path, image_of(8), LABELS * 3)
    assert second.images == 2
    assert again.image == second.image != first.image
    assert (read_image(first.image).data == 7).all()
    assert (read_labels(first.labels) == LABELS).all()


@pytest.mark.parametrize("name", ["a/b c", "..", "field.tif", "Ω 3", "x" * 300, "c:\\d"])
def test_any_layer_name_becomes_a_file_in_the_folder(tmp_path: Path, name: str) -> None:
    added = add_to_training_set(tmp_path / "set", image_of(1, name), LABELS)
    assert added.image.parent == tmp_path / "set" / "images"
    assert len(training_set_pairs(tmp_path / "set")) == 1


@pytest.mark.parametrize(
    ("dtype", "axes", "shape"),
    [
        ("float64", "YX", (32, 32)),
        ("bool", "YX", (32, 32)),
        ("int32", "TYX", (2, 32, 32)),
        ("uint8", "CYX", (3, 32, 32)),
        ("uint16", "ZCYX", (4, 2, 32, 32)),
    ],
)
def test_every_kind_of_image_is_recognised_when_it_comes_again(
    tmp_path: Path, dtype: str, axes: str, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    data = da.from_array((rng.random(shape) * 9).astype(dtype))
    image = Image(data, axes, rgb=axes == "CYX")
    labels = np.ones(image.label_shape, np.uint8)
    add_to_training_set(tmp_path, image, labels)
    added = add_to_training_set(tmp_path, image, labels * 2)
    assert added.images == 1
    (pair,) = training_set_pairs(tmp_path)
    assert (pair.image.axes, pair.image.rgb) == (axes, image.rgb)
    assert (pair.labels == 2).all()


def test_planes_of_one_stack_stay_in_one_group(tmp_path: Path) -> None:
    for t in (0, 5):
        add_to_training_set(tmp_path, image_of(t), LABELS, f"movie_T{t}", group="movie")
    add_to_training_set(tmp_path, image_of(9), LABELS, "other")
    assert [p.group for p in training_set_pairs(tmp_path)] == ["movie", "movie", "other"]


def test_images_that_were_there_before_count_too(tmp_path: Path) -> None:
    add_to_training_set(tmp_path, image_of(1), LABELS, "a")
    (tmp_path / "groups.csv").unlink()
    assert add_to_training_set(tmp_path, image_of(2), LABELS, "b").images == 2
    assert find_training_set(tmp_path).groups == ("a", "b")


def test_every_round_starts_from_the_first_model(tmp_path: Path) -> None:
    assert base_model(tmp_path) is None
    for name in ("first", "second"):
        (tmp_path / f"{name}.safetensors").touch()
        add_to_training_set(
            tmp_path / "set", image_of(1), LABELS, model=tmp_path / f"{name}.safetensors"
        )
    assert base_model(tmp_path / "set") == tmp_path / "first.safetensors"


def test_labels_that_do_not_fit_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="shape"):
        add_to_training_set(tmp_path / "set", image_of(1), LABELS[:5])
    assert not (tmp_path / "set").exists()


def test_a_failed_write_leaves_no_image_without_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(training_set, "write_labels", full)
    with pytest.raises(StorageError):
        add_to_training_set(tmp_path, image_of(1), LABELS)
    assert list(tmp_path.rglob("*.tif")) == []


def test_a_folder_that_is_a_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "set").touch()
    with pytest.raises(StorageError, match="not a folder"):
        add_to_training_set(tmp_path / "set", image_of(1), LABELS)


def test_a_table_of_groups_that_is_there_keeps_its_rows_and_columns(tmp_path: Path) -> None:
    add_to_training_set(tmp_path, image_of(7, "a"), LABELS)
    table = "ID;Group;plate\na;field1;P7\nb;field1;P7\n"
    (tmp_path / "groups.csv").write_text(table)
    assert find_training_set(tmp_path).groups == ("field1",)
    add_to_training_set(tmp_path, image_of(8, "c"), LABELS, group="field2")
    assert (tmp_path / "groups.csv").read_text() == table + "c;field2;\n"
    assert find_training_set(tmp_path).groups == ("field1", "field2")


def test_a_table_that_says_no_groups_stops_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text("well,dose\nA1,3\n")
    with pytest.raises(SettingsError, match=r"groups.csv' has the columns well, dose: expected"):
        add_to_training_set(tmp_path, image_of(7), LABELS)
    assert [p.name for p in tmp_path.iterdir()] == ["groups.csv"]


@pytest.mark.parametrize("folder", ["masks", "labels"])
def test_images_in_other_formats_get_their_correction(tmp_path: Path, folder: str) -> None:
    for value, name in ((7, "a"), (8, "b")):
        write_image(tmp_path / "images" / f"{name}.png", image_of(value))
        write_labels(tmp_path / folder / f"{name}.png", LABELS)
    unchanged = add_to_training_set(tmp_path, image_of(7, "a"), LABELS)
    assert (unchanged.labels.name, unchanged.earlier, unchanged.images) == ("a.png", None, 2)
    added = add_to_training_set(tmp_path, image_of(7, "a"), LABELS * 3)
    assert added.image == tmp_path / "images" / "a.png"
    assert added.earlier is not None
    assert (read_labels(added.earlier) == LABELS).all()
    pairs = training_set_pairs(tmp_path)
    assert [(p.name, p.labels.max()) for p in pairs] == [("a", 3), ("b", 1)]
    other = add_to_training_set(tmp_path, image_of(9, "a"), LABELS * 2)
    assert (other.image.name, other.images) == ("a_2.tif", 3)


def test_a_folder_of_another_layout_is_refused_and_stays(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", image_of(7))
    write_labels(tmp_path / "a_mask.tif", LABELS)
    with pytest.raises(LabelsError, match="not in two folders 'images' and 'masks'"):
        add_to_training_set(tmp_path, image_of(8), LABELS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "a_mask.tif"]


def test_an_axis_of_length_one_does_not_make_another_image(tmp_path: Path) -> None:
    image = Image(np.full((1, 32, 32), 5, np.uint16), "TYX", name="s")
    add_to_training_set(tmp_path, image, LABELS[None])
    added = add_to_training_set(tmp_path, image, LABELS[None] * 2)
    assert (added.images, added.earlier is None) == (1, False)


def test_integers_of_64_bits_are_stored(tmp_path: Path) -> None:
    image = Image(np.full((32, 32), 70_000, np.int64), "YX", name="sum")
    added = add_to_training_set(tmp_path, image, LABELS)
    assert (read_image(added.image).data == 70_000).all()
    assert add_to_training_set(tmp_path, image, LABELS).images == 1
