"""Annotated areas: matching of masks to images."""

from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.datasets.pairs import (
    find_pairs,
    load_pairs,
)
from napari_unet.core.errors import LabelsError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image, write_labels


@pytest.fixture
def areas(tmp_path: Path) -> Path:
    """Write two images with labels, one of which has an annotated area on its left side."""
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}.tif", Image(np.ones((8, 10), np.uint8), "YX"))
        write_labels(tmp_path / "masks" / f"{name}.tif", np.eye(8, 10, dtype=np.uint8))
    left = np.zeros((8, 10), np.uint8)
    left[:, :5] = 255
    write_labels(tmp_path / "annotated" / "a.tif", left)
    return tmp_path


def test_a_folder_of_annotated_areas_beside_the_masks_is_found(areas: Path) -> None:
    dataset = find_pairs(areas)
    assert "2 image(s) with labels, 1 with an annotated area (1 annotated everywhere)" in (
        dataset.describe()
    )
    a, b = load_pairs(dataset)
    assert a.annotated is not None
    assert a.annotated.dtype == bool
    assert a.annotated[:, :5].all()
    assert not a.annotated[:, 5:].any()
    assert b.annotated is None


@pytest.mark.parametrize("end", ["", "_annotated", "_mask", "_LABELS"])
def test_annotated_areas_may_lie_elsewhere_with_an_end_to_their_names(
    areas: Path, end: str
) -> None:
    elsewhere = areas.parent / f"{areas.name}_areas"
    elsewhere.mkdir()
    (areas / "annotated" / "a.tif").rename(elsewhere / f"a{end}.tif")
    a, _ = load_pairs(find_pairs(areas, annotated=elsewhere))
    assert a.annotated is not None
    assert a.annotated.sum() == 40


def test_one_area_for_one_image_and_not_for_two(areas: Path) -> None:
    mask = areas / "annotated" / "a.tif"
    with pytest.raises(SettingsError, match=r"One annotated area 'a\.tif' for 2 images"):
        find_pairs(areas, annotated=mask)
    (areas / "images" / "b.tif").unlink()
    (pair,) = load_pairs(find_pairs(areas, annotated=mask))
    assert pair.annotated is not None


def test_areas_that_belong_to_nothing_are_a_sentence(areas: Path) -> None:
    (areas / "annotated" / "a.tif").rename(areas / "annotated" / "other.tif")
    with pytest.raises(SettingsError, match="has the name of an image, such as 'a'"):
        find_pairs(areas)
    with pytest.raises(SettingsError, match="There is no file or folder of annotated areas"):
        find_pairs(areas, annotated=areas / "nowhere")
    (areas / "area.csv").write_text("index,axis-0,axis-1\n")
    with pytest.raises(SettingsError, match=r"area.csv' is neither a mask nor a folder of masks"):
        find_pairs(areas, annotated=areas / "area.csv")


def test_an_area_of_another_shape_is_a_sentence(areas: Path) -> None:
    write_labels(areas / "annotated" / "a.tif", np.ones((4, 10), np.uint8))
    with pytest.raises(LabelsError, match=r"its annotated areas \(4, 10\)"):
        load_pairs(find_pairs(areas))
