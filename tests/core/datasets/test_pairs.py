"""Each image finds its labels in whatever layout, and nothing is passed over in silence."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from napari_unet.core.datasets.folder_layouts import LABEL_SUFFIXES
from napari_unet.core.datasets.label_check import check_labels, repair_labels
from napari_unet.core.datasets.pairs import (
    Split,
    count_objects,
    find_pairs,
    load_pairs,
    pairs_from_arrays,
    split_block,
    split_by_group,
    split_random_state,
)
from napari_unet.core.errors import ImageError, LabelsError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image, write_labels


def put(path, data=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.eye(8, dtype=np.uint8) if data is None else data
    if path.suffix == ".png":
        PilImage.fromarray(data).save(path)
    else:
        tifffile.imwrite(path, data, photometric="rgb" if data.shape[-1] == 3 else "minisblack")
    return path


def reasons(dataset):
    return {path.name: reason for path, reason in dataset.skipped}


# --- layouts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["masks", "labels", "Masks"])
@pytest.mark.parametrize("suffix", ["", "_mask"])
def test_two_folders(tmp_path, folder, suffix):
    for name in "ba":
        put(tmp_path / "images" / f"{name}.tif")
        put(tmp_path / folder / f"{name}{suffix}.png")
    dataset = find_pairs(tmp_path)
    assert [p.name for p in dataset.pairs] == ["a", "b"]
    assert dataset.skipped == ()
    pair = load_pairs(dataset)[0]
    assert pair.name == "a"
    np.testing.assert_array_equal(pair.labels, np.eye(8))


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
def test_one_folder_with_every_suffix(tmp_path, suffix):
    put(tmp_path / "x.ome.tif")
    put(tmp_path / f"x{suffix}.tif")
    (pair,) = find_pairs(tmp_path).pairs
    assert (pair.image.name, pair.labels[0].name) == ("x.ome.tif", f"x{suffix}.tif")


def test_one_mask_per_object(tmp_path):
    first, second = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    first[:4], second[3:] = 255, 255
    put(tmp_path / "id1" / "images" / "id1.png", np.zeros((8, 8, 4), np.uint8))
    put(tmp_path / "id1" / "masks" / "m0.png", first)
    put(tmp_path / "id1" / "masks" / "m1.png", second)
    put(tmp_path / "id2" / "images" / "id2.png")
    (tmp_path / "id2" / "masks").mkdir()
    (tmp_path / "readme.md").write_text("x")
    dataset = find_pairs(tmp_path)
    assert reasons(dataset) == {
        "readme.md": "not a folder with 'images' and 'masks' in it",
        "id2.png": "no masks",
    }
    (pair,) = load_pairs(dataset)
    assert pair.image.rgb
    assert pair.labels[:, 0].tolist() == [1, 1, 1, 1, 2, 2, 2, 2], "the earlier mask stays"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_table(tmp_path, delimiter):
    for day in ("day1", "day2"):
        put(tmp_path / day / "x.tif")
        put(tmp_path / day / "truth.tif")
    rows = [("Image", "Mask", "Group"), ("day1/x.tif", "day1/truth.tif", "a")]
    rows += [("day2/x.tif", "day2/truth.tif", "b"), ("day3/x.tif", "", "c")]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "t.csv").write_text("\ufeff" + text, encoding="utf-8")
    dataset = find_pairs(tmp_path / "t.csv")
    assert [p.name for p in dataset.pairs] == ["day1/x", "day2/x"]
    assert dataset.groups == ("a", "b")
    assert "line 4" in reasons(dataset)["x.tif"]
    assert [p.group for p in load_pairs(dataset)] == ["a", "b"]


def test_images_of_a_table_get_as_many_folders_as_tell_them_apart(tmp_path):
    for plate in ("plateA", "plateB"):
        put(tmp_path / plate / "images" / "x.tif")
        put(tmp_path / plate / "masks" / "x.tif")
    lines = [f"{p}/images/x.tif,{p}/masks/x.tif" for p in ("plateA", "plateB")]
    (tmp_path / "t.csv").write_text("\n".join(["image,labels", *lines]))
    dataset = find_pairs(tmp_path / "t.csv")
    assert dataset.groups == ("plateA/images/x", "plateB/images/x")


def test_table_that_does_not_work(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("picture,truth\na,b\n")
    with pytest.raises(LabelsError, match="expected image and labels"):
        find_pairs(table)
    table.write_text("image,labels\nno.tif,no2.tif\n")
    with pytest.raises(ImageError, match=r"Line 2 of 't\.csv': there is no file"):
        find_pairs(table)
    table.write_text("image,labels\n")
    with pytest.raises(LabelsError):
        find_pairs(table)
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ImageError, match="UTF-8"):
        find_pairs(table)


def test_named_folders(tmp_path):
    put(tmp_path / "raw" / "x.tif")
    put(tmp_path / "truth" / "x.tif")
    dataset = find_pairs(tmp_path, images=Path("raw"), labels=Path("truth"))
    assert [p.name for p in dataset.pairs] == ["x"]
    with pytest.raises(ImageError, match="no folder"):
        find_pairs(tmp_path, images=Path("raw"), labels=Path("lies"))


# --- what is passed over -------------------------------------------------------------------------


def test_foreign_files_are_listed_with_the_reason(tmp_path):
    for name in ("x.tif", "x_masks.tif", "lonely.tif", "orphan_mask.png"):
        put(tmp_path / name)
    for name in ("notes.docx", "y_seg.npy", "lonely_seg.npy", ".DS_Store", "Thumbs.db"):
        (tmp_path / name).write_text("x")
    (tmp_path / "old").mkdir()
    dataset = find_pairs(tmp_path)
    assert [p.name for p in dataset.pairs] == ["x"]
    found = reasons(dataset)
    assert set(found) == {
        "lonely.tif", "orphan_mask.png", "notes.docx", "y_seg.npy", "lonely_seg.npy", "old",
    }  # fmt: skip
    assert found["lonely.tif"] == "no labels of that name"
    assert "no image 'orphan'" in found["orphan_mask.png"]
    assert "PNG or TIFF" in found["y_seg.npy"]
    assert "6 passed over" in dataset.describe()


def test_two_candidates_are_not_guessed(tmp_path):
    for name in ("x.tif", "x_masks.tif", "x_cp_masks.png", "y.tif", "y.png", "y_mask.png"):
        put(tmp_path / name)
    put(tmp_path / "z.tif")
    put(tmp_path / "z_mask.tif")
    found = reasons(find_pairs(tmp_path))
    assert found["x.tif"] == "2 label files fit: x_cp_masks.png, x_masks.tif; keep one"
    assert found["y.tif"] == "2 images have that name: y.png, y.tif; keep one"


def test_two_label_folders(tmp_path):
    for folder in ("images", "masks", "labels"):
        put(tmp_path / folder / "x.tif")
    with pytest.raises(LabelsError, match="'masks' and 'labels': say which"):
        find_pairs(tmp_path)
    assert len(find_pairs(tmp_path, images=Path("images"), labels=Path("labels")).pairs) == 1


def test_nothing_found_says_what_was_looked_for(tmp_path):
    with pytest.raises(LabelsError, match="Looked for"):
        find_pairs(tmp_path)
    for name in "xy":
        put(tmp_path / "train" / "images" / f"{name}.tif")
        put(tmp_path / "train" / "masks" / f"{name}.tif")
    with pytest.raises(LabelsError, match=r"train' looks right"):
        find_pairs(tmp_path)
    with pytest.raises(ImageError, match="no folder"):
        find_pairs(tmp_path / "nowhere")


# --- groups --------------------------------------------------------------------------------------


@pytest.fixture
def tiles(tmp_path):
    for name in ("f1_t1", "f1_t2", "f2_t1"):
        put(tmp_path / "d" / "images" / f"{name}.tif")
        put(tmp_path / "d" / "masks" / f"{name}.tif")
    return tmp_path / "d"


def test_groups_from_pattern_table_and_folder(tiles):
    assert find_pairs(tiles).groups == ("f1_t1", "f1_t2", "f2_t1")
    assert find_pairs(tiles, group_pattern="^(.+)_t").groups == ("f1", "f1", "f2")
    assert find_pairs(tiles, group_pattern="^f.").groups == ("f1", "f1", "f2")
    table = tiles / "fields.csv"
    table.write_text("id,field\nf1_t1.tif,A\nf1_t2,A\nf2_t1,B\n")
    assert find_pairs(tiles).groups == ("f1_t1", "f1_t2", "f2_t1"), "never picked up by itself"
    assert find_pairs(tiles, groups=table).groups == ("A", "A", "B")
    with pytest.raises(SettingsError, match="All 3 images lie in the folder"):
        find_pairs(tiles, groups="folder")
    assert "3 image(s) with labels in 2 group(s)" in find_pairs(tiles, groups=table).describe()


def test_folders_as_groups(tmp_path):
    for plate in ("p1", "p2"):
        for name in ("a", "b"):
            put(tmp_path / f"{plate}_{name}" / "images" / f"{name}.tif")
            put(tmp_path / f"{plate}_{name}" / "masks" / f"{name}.tif")
    groups = find_pairs(tmp_path, groups="folder").groups
    assert [Path(g).name for g in groups] == ["p1_a", "p1_b", "p2_a", "p2_b"]


def test_grouping_that_leaves_images_out(tiles):
    table = tiles / "fields.csv"
    table.write_text("id,field\nf1_t1,A\n")
    with pytest.raises(SettingsError, match="2 of 3 images have no group"):
        find_pairs(tiles, groups=table)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(SettingsError, match="columns a, b"):
        find_pairs(tiles, groups=table)
    for pattern in ("(", "^z"):
        with pytest.raises(SettingsError):
            find_pairs(tiles, group_pattern=pattern)


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


# --- splits --------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_groups_stay_whole_and_no_side_is_empty(numbers, fraction, seed):
    groups = [f"g{i}" for i in numbers]
    split = split_by_group(groups, fraction, seed)
    assert sorted(split.train + split.validation) == list(range(len(groups)))
    assert {groups[i] for i in split.train}.isdisjoint({groups[i] for i in split.validation})
    assert split.train
    assert bool(split.validation) == (len(set(groups)) > 1)
    assert split == split_by_group(groups, fraction, seed)


def test_split_by_group_comes_as_close_as_groups_allow():
    groups = ["a"] * 50 + ["b"] * 30 + ["c"] * 13 + ["d"] * 2 + ["e"] * 5
    assert len(split_by_group(groups, 0.15).validation) == 15
    assert len(split_by_group(["a"] * 9 + ["b"], 0.5).validation) in (1, 9)
    weighed = split_by_group(["a", "b", "c"], 0.2, sizes=[2, 7, 1])
    assert weighed.validation == (0,)


def test_seeds_differ_and_many_groups_are_quick():
    groups = [f"g{i}" for i in range(3000)]
    splits = {split_by_group(groups, seed=seed).validation for seed in range(3)}
    assert len(splits) == 3
    assert {len(s) for s in splits} == {450}


def test_single_group_has_no_validation():
    assert split_by_group(["a"] * 5) == Split((0, 1, 2, 3, 4), (), "none")


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fraction_out_of_range(fraction):
    with pytest.raises(SettingsError, match="between 0 and 1"):
        split_by_group(["a", "b"], fraction)


def test_random_state_split_is_the_usual_one():
    split = split_random_state(447)
    expected = np.random.RandomState(42).permutation(447)[-67:]
    assert split.validation == tuple(sorted(expected))
    assert len(split.train) == 380
    assert split_random_state(2).validation != ()
    assert split_random_state(1) == Split((0,), (), "none")


def test_split_says_what_is_on_each_side():
    split = Split((0, 1), (2,), "group")
    assert split.describe(["a", "a", "b"], [3, 4, 5]) == (
        "training: 2 images, 1 groups, 7 objects; validation: 1 images, 1 groups, 5 objects"
    )
    assert "1 groups are on both sides" in split.describe(["a", "b", "b"], [3, 4, 5])
    assert "nothing is held back" in Split((0,), (), "none").describe(["a"], [1])


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(20, 200), st.integers(20, 200)),
    st.floats(0.1, 0.5),
    st.integers(0, 60),
    st.integers(0, 3),
)
def test_block_and_rest_are_a_gap_apart(shape, fraction, gap_px, seed):
    labels = (np.random.default_rng(seed).random(shape) > 0.95).astype(int)
    masks = split_block(shape, labels, fraction, gap_px)
    if masks is None:
        assert max(shape) * (1 - 2 * fraction) < gap_px + 18 or max(shape) * fraction < 17
        return
    train, validation = masks
    along = 0 if shape[0] >= shape[1] else 1
    t, v = (np.flatnonzero(m.any(axis=1 - along)) for m in (train, validation))
    distance = max(t.min() - v.max(), v.min() - t.max()) - 1
    assert distance == gap_px
    assert (labels[train] > 0).any()
    assert (labels[validation] > 0).any()
    assert len(v) == round(fraction * max(shape))


def test_block_takes_the_end_with_more_but_not_all():
    labels = np.zeros((100, 300), int)
    labels[:, :40], labels[:, 280:] = 1, 1
    train, validation = split_block((100, 300), labels, 0.2, 30)
    assert validation[:, :60].all()
    assert train[:, 90:].all()
    labels[:, 280:] = 0
    assert split_block((100, 300), labels, 0.2, 30) is None, "nothing would be left to train on"
    labels[:, 120] = 1
    assert split_block((100, 300), labels, 0.2, 30)[1][:, :60].all()
    assert split_block((30, 30), np.ones((30, 30), int), 0.2, 10) is None


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


@pytest.fixture
def areas(tmp_path: Path) -> Path:
    """Two images with labels, of which one has an annotated area on its left side."""
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}.tif", Image(np.ones((8, 10), np.uint8), "YX"))
        write_labels(tmp_path / "masks" / f"{name}.tif", np.eye(8, 10, dtype=np.uint8))
    left = np.zeros((8, 10), np.uint8)
    left[:, :5] = 255
    write_labels(tmp_path / "annotated" / "a.tif", left)
    return tmp_path


def test_a_folder_of_annotated_areas_beside_the_masks_is_found(areas: Path) -> None:
    dataset = find_pairs(areas)
    assert "2 image(s) with labels, 1 with an annotated area (1 without count everywhere)" in (
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


def test_empty_planes_of_a_stack_are_what_one_says(tmp_path: Path) -> None:
    labels = np.zeros((3, 8, 10), np.uint8)
    labels[1, 2:5, 2:5] = 1
    write_image(tmp_path / "images" / "a.tif", Image(np.ones((3, 8, 10), np.uint8), "TYX"))
    write_labels(tmp_path / "masks" / "a.tif", labels, "TYX")
    dataset = find_pairs(tmp_path)
    assert [len(p.planes()) for p in load_pairs(dataset)] == [1]
    assert [len(p.planes()) for p in load_pairs(dataset, empty_planes="background")] == [3]
