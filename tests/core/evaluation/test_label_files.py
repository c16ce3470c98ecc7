"""Matching of predictions with ground truth by the names of files."""

from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation.label_files import (
    ComparisonReader,
    evaluate_files,
    match_labels,
)
from napari_unet.core.io.image_files import write_labels


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_folders_match_whatever_ends_the_names_have(tmp_path: Path) -> None:
    predicted = touch(tmp_path / "p", "a_labels.tif", "b_cp_masks.png", "c.tif", "summary.csv")
    truth = touch(tmp_path / "t", "a.tif", "b_mask.tif", "d.tif", "notes.txt")
    images = touch(tmp_path / "i", "a.png", "e.png")
    found = match_labels(predicted, truth, images)
    assert [(m.name, m.prediction.name, m.labels[0].name) for m in found.matches] == [
        ("a", "a_labels.tif", "a.tif"),
        ("b", "b_cp_masks.png", "b_mask.tif"),
    ]
    assert [m.image and m.image.name for m in found.matches] == ["a.png", None]
    assert found.unmatched == ("d (ground truth)", "c (prediction)")


def test_results_go_before_images_and_probabilities(tmp_path: Path) -> None:
    mixed = touch(tmp_path / "p", "a.tif", "a_labels.tif", "a_probability.tif")
    (match,) = match_labels(mixed, touch(tmp_path / "t", "a.tif")).matches
    assert match.prediction.name == "a_labels.tif"


def test_the_truth_may_be_a_data_set_with_its_images(tmp_path: Path) -> None:
    truth = touch(tmp_path / "t", "images/a.png", "masks/a.png")
    (match,) = match_labels(touch(tmp_path / "p", "a_labels.tif"), truth).matches
    assert match.labels == (truth / "masks" / "a.png",)
    assert match.image == truth / "images" / "a.png"


def test_masks_of_one_object_each_are_one_truth(tmp_path: Path) -> None:
    one = np.zeros((20, 20), np.uint16)
    one[2:8, 2:8] = 255
    touch(tmp_path / "t", "a/images/a.png")
    for i, mask in enumerate((one, one.T[::-1])):
        write_labels(tmp_path / "t" / "a" / "masks" / f"{i}.png", mask)
    write_labels(tmp_path / "p" / "a_labels.tif", one)
    (match,) = match_labels(tmp_path / "p", tmp_path / "t").matches
    _, truth = match.load_comparison()
    assert np.unique(truth).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("prediction", "truth", "sentence"),
    [
        ("missing", "t", "There is no file or folder"),
        ("p/a.tif", "t", "two files or two folders"),
        ("p", "p", "the same folder"),
        ("p", "t", "No file in"),
        ("p", "empty", "no label files"),
    ],
)
def test_what_cannot_be_matched_is_said(
    tmp_path: Path, prediction: str, truth: str, sentence: str
) -> None:
    touch(tmp_path, "p/a.tif", "t/b.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelsError) as error:
        match_labels(tmp_path / prediction, tmp_path / truth)
    assert sentence in str(error.value)


LABELS = np.zeros((20, 20), np.uint16)
LABELS[2:8, 2:8], LABELS[12:18, 12:18] = 1, 2


def test_folders_are_scored_by_name(tmp_path: Path) -> None:
    for name in ("pred/a.tif", "pred/b_cp_masks.png", "pred/c.tif", "truth/a_mask.tif"):
        write_labels(tmp_path / name, LABELS)
    write_labels(tmp_path / "truth" / "b.npy", LABELS * 0)
    report = evaluate_files(tmp_path / "pred", tmp_path / "truth")
    assert {row["image"]: row["ap50"] for row in report.to_rows()} == {"a": 1, "b": 0}
    assert report.unmatched == ("c (prediction)",)


def test_files_of_other_shapes_or_cut_off_are_named(tmp_path: Path) -> None:
    prediction, truth = tmp_path / "p.tif", tmp_path / "t.tif"
    write_labels(prediction, LABELS[:10])
    write_labels(truth, LABELS)
    with pytest.raises(LabelsError, match=r"The prediction has shape \(10, 20\)"):
        evaluate_files(prediction, truth)
    prediction.write_bytes(prediction.read_bytes()[:60])
    with pytest.raises(LabelsError, match=r"'p\.tif' cannot be read"):
        evaluate_files(prediction, truth)


@pytest.mark.parametrize(("most_bytes", "kept"), [(2**20, True), (10, False)])
def test_labels_are_kept_for_pictures_as_far_as_memory_allows(
    tmp_path: Path, most_bytes: int, kept: bool
) -> None:
    for folder in ("p", "t"):
        write_labels(tmp_path / folder / "a.tif", np.ones((20, 20), np.uint16))
    (match,) = match_labels(tmp_path / "p", tmp_path / "t").matches
    reader = ComparisonReader(most_bytes=most_bytes)
    first, again = reader.load(match), reader.load(match)
    assert (first[0] is again[0]) == kept
    np.testing.assert_array_equal(first[1], again[1])
    assert first[2] is again[2] is None
