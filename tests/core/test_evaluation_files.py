import numpy as np
import pytest

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation_files import evaluate_files, match_files

LABELS = np.zeros((20, 20), np.uint16)
LABELS[2:8, 2:8], LABELS[12:18, 12:18] = 1, 2


@pytest.fixture
def save(tmp_path):
    from napari_unet.core.files import write_labels

    def save(name, labels=LABELS):
        write_labels(tmp_path / name, labels)
        return tmp_path / name

    return save


def test_two_files(save):
    half = np.where(LABELS == 1, 1, 0)
    report = evaluate_files(save("a_prediction.tif", half), save("a.tif"))
    assert [image.name for image in report.images] == ["a"]
    assert report.summary()["ap50_pooled"] == 0.5


def test_two_folders_match_by_name_without_suffixes(save, tmp_path):
    for name in ("pred/a.tif", "pred/b_cp_masks.png", "pred/c.tif", "truth/a_mask.tif"):
        save(name)
    save("truth/b.npy", LABELS * 0)
    save("truth/d.tif")
    report = evaluate_files(tmp_path / "pred", tmp_path / "truth")
    assert {row["image"]: row["ap50"] for row in report.to_rows()} == {"a": 1, "b": 0}
    assert report.unmatched == (
        "c.tif: no truth of that name",
        "d.tif: no prediction of that name",
    )


def test_images_and_masks_folders_are_understood(save, tmp_path):
    for name in ("data/images/a.tif", "data/masks/a.tif", "pred/a.tif"):
        save(name)
    for truth in (tmp_path / "data", tmp_path / "data" / "masks"):
        (pair,) = match_files(tmp_path / "pred", truth).pairs
        assert pair.truth == tmp_path / "data" / "masks" / "a.tif"
        assert pair.image == tmp_path / "data" / "images" / "a.tif"
    file = tmp_path / "data" / "masks" / "a.tif"
    (pair,) = match_files(tmp_path / "pred" / "a.tif", file).pairs
    assert pair.image == tmp_path / "data" / "images" / "a.tif"


def test_images_beside_their_masks_are_no_labels(save, tmp_path):
    for name in ("data/a.tif", "data/a_mask.tif", "pred/a.tif"):
        save(name)
    (pair,) = match_files(tmp_path / "pred", tmp_path / "data").pairs
    assert (pair.truth.name, pair.image.name) == ("a_mask.tif", "a.tif")


def test_an_image_may_be_given(save):
    image = save("elsewhere/photo.tif")
    (pair,) = match_files(save("p.tif"), save("t.tif"), image).pairs
    assert pair.image == image


def test_what_cannot_be_matched_gets_a_sentence(save, tmp_path):
    a, b = save("pred/a.tif"), save("truth/b.tif")
    (tmp_path / "empty").mkdir()
    cases = {
        (a.parent, b.parent): r"No file of .*\(a.tif\) has the name of one of .*\(b.tif\)",
        (a.parent, b): "is a folder and 'b.tif' a file",
        (a.parent, a.parent): "the same folder",
        (a.parent, tmp_path / "nowhere"): "no file or folder .*nowhere",
        (a.parent, tmp_path / "empty"): "no label file in",
    }
    for paths, sentence in cases.items():
        with pytest.raises(LabelsError, match=sentence):
            match_files(*paths)
    save("pred/a_mask.tif")
    with pytest.raises(LabelsError, match=r"two label files for 'a'"):
        match_files(a.parent, save("other/a.tif").parent)


def test_files_of_other_shapes_are_named(save):
    with pytest.raises(LabelsError, match=r"'p': The prediction has shape \(10, 20\)"):
        evaluate_files(save("p.tif", LABELS[:10]), save("t.tif"))


def test_a_truncated_file_gets_a_sentence(save):
    path, truth = save("p.tif"), save("t.tif")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(LabelsError, match=r"'p\.tif' cannot be read"):
        evaluate_files(path, truth)
