"""Images are paired with their labels in any layout, and skipped files are always reported."""

from pathlib import Path

import numpy as np
import pytest
from data_files import put

from napari_unet.core.datasets.label_check import check_labels, repair_labels
from napari_unet.core.datasets.pairs import (
    count_objects,
    find_pairs,
    load_pairs,
    pairs_from_arrays,
    split_by_group,
)
from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image, write_labels

# --- loading -------------------------------------------------------------------------------------


def test_stack_whose_files_do_not_name_their_axes(tmp_path):
    stack = np.zeros((5, 8, 9), np.uint8)
    put(tmp_path / "x.tif", stack)
    put(tmp_path / "x_mask.tif", stack + 1)
    (pair,) = load_pairs(find_pairs(tmp_path), axes="TYX")
    assert pair.image.axes == "TYX"
    assert pair.labels.shape == (5, 8, 9)


def test_labels_of_another_shape_or_channel_count(tmp_path):
    put(tmp_path / "x.tif")
    put(tmp_path / "x_mask.tif", np.zeros((8, 9), np.uint8))
    with pytest.raises(LabelsError, match="belong to this image"):
        load_pairs(find_pairs(tmp_path))
    put(tmp_path / "x_mask.tif")
    put(tmp_path / "y.tif", np.zeros((8, 8, 3), np.uint8))
    put(tmp_path / "y_mask.tif")
    with pytest.raises(ImageError, match=r"'y' has 3 channel\(s\), 'x' has 1"):
        load_pairs(find_pairs(tmp_path))


def test_damaged_file_is_named(tmp_path):
    put(tmp_path / "x.tif")
    put(tmp_path / "x_mask.tif").write_bytes(b"II*\0")
    with pytest.raises(LabelsError, match=r"'x_mask\.tif' cannot be read"):
        load_pairs(find_pairs(tmp_path))


def test_colour_masks_are_repaired_on_request(tmp_path):
    put(tmp_path / "x.tif")
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:4, :, 0], colours[6:, :, 1] = 200, 90
    put(tmp_path / "x_mask.png", colours)
    dataset = find_pairs(tmp_path)
    with pytest.raises(LabelsError, match="repair 'colours'"):
        load_pairs(dataset)
    (pair,) = load_pairs(dataset, repair=("colours",))
    assert count_objects(pair.labels) == 2
    assert pair.labels[5, 0] == 0


def test_black_and_white_masks_saved_as_colour_are_repaired(tmp_path):
    put(tmp_path / "x.tif")
    mask = np.zeros((8, 8, 3), np.uint8)
    mask[:3], mask[5:] = 255, 255
    put(tmp_path / "x_mask.png", mask)
    (pair,) = load_pairs(find_pairs(tmp_path), repair=("0_255",))
    assert pair.labels[:, 0].tolist() == [1, 1, 1, 0, 0, 2, 2, 2]


def test_colours_are_no_labels_whatever_else_is_repaired(tmp_path):
    put(tmp_path / "x.tif")
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:4, :, 0] = 200
    put(tmp_path / "x_mask.png", colours)
    with pytest.raises(LabelsError, match="repair 'colours'"):
        load_pairs(find_pairs(tmp_path), repair=("pieces",))


def test_one_mask_per_object_is_repaired_too(tmp_path):
    masks = np.zeros((2, 8, 8), np.uint8)
    masks[0, :3], masks[0, 6:, :2], masks[1, 4] = 255, 255, 255
    put(tmp_path / "id" / "images" / "id.png")
    for i, mask in enumerate(masks):
        put(tmp_path / "id" / "masks" / f"{i}.png", mask)
    (pair,) = load_pairs(find_pairs(tmp_path), repair=("fragments",))
    assert pair.labels[:, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    (pair,) = load_pairs(find_pairs(tmp_path), repair=("pieces",))
    assert pair.labels[:, 0].tolist() == [1, 1, 1, 0, 2, 0, 3, 3]


def test_progress(tiles):
    seen = []
    load_pairs(find_pairs(tiles), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_pairs_from_arrays():
    image, labels = np.zeros((8, 8)), np.ones((8, 8), int)
    pairs = pairs_from_arrays([image, Image(image, "YX", name="b")], [labels, labels])
    assert [p.name for p in pairs] == ["image 0", "b"]
    with pytest.raises(LabelsError, match=r"2 image\(s\) and 1 label arrays"):
        pairs_from_arrays([image, image], [labels])


# --- real data -----------------------------------------------------------------------------------


def test_real_nuclei_split_by_field(dsb2018):
    dataset = find_pairs(dsb2018, groups=dsb2018 / "fields.csv")
    assert len(dataset.pairs) == 447
    assert dataset.skipped == ()
    assert len(split_by_group(dataset.groups).validation) == 67
    pair = dataset.pairs[0].load_pair()
    assert pair.image.axes == "YX"
    issues = check_labels(pair.labels, instances=True)
    assert [issue.kind for issue in issues] == ["pieces", "fragments"]
    assert check_labels(repair_labels(pair.labels, issues), instances=True) == []


def test_real_tissue_with_one_mask_per_nucleus(dsb2018_brightfield):
    dataset = find_pairs(dsb2018_brightfield, groups=dsb2018_brightfield.parent / "fields.csv")
    assert (len(dataset.pairs), len(set(dataset.groups))) == (94, 32)
    files = min(dataset.pairs, key=lambda p: len(p.labels))
    pair = files.load_pair()
    assert pair.image.rgb
    assert count_objects(pair.labels) == len(files.labels)


# -- annotated areas -----------------------------------------------------------------------------


def test_empty_planes_of_a_stack_are_what_one_says(tmp_path: Path) -> None:
    labels = np.zeros((3, 8, 10), np.uint8)
    labels[1, 2:5, 2:5] = 1
    write_image(tmp_path / "images" / "a.tif", Image(np.ones((3, 8, 10), np.uint8), "TYX"))
    write_labels(tmp_path / "masks" / "a.tif", labels, "TYX")
    dataset = find_pairs(tmp_path)
    assert [len(p.planes()) for p in load_pairs(dataset)] == [1]
    assert [len(p.planes()) for p in load_pairs(dataset, empty_planes="background")] == [3]
