import numpy as np
import pytest
from matplotlib.colors import to_rgb

from napari_unet.core.errors import LabelsError, StorageError
from napari_unet.core.evaluation.error_map import ERROR_COLOURS
from napari_unet.core.evaluation.figures import comparison_figure
from napari_unet.core.images.image import Image


def nuclei(shape=(60, 80)):
    labels = np.zeros(shape, np.uint16)
    labels[5:25, 5:25], labels[35:55, 50:70] = 1, 2
    rng = np.random.default_rng(0)
    image = (labels > 0) * 900 + rng.integers(0, 99, shape)
    return image.astype(np.uint16), labels


def read_png(path):
    from matplotlib.image import imread

    return imread(path)[..., :3]


def shows(picture, colour):
    """Compute the fraction of the picture that has roughly this colour."""
    return (np.abs(picture - to_rgb(colour)).max(axis=-1) < 0.16).mean()  # overlays are translucent


def test_errors_show_in_their_colour(tmp_path):
    image, truth = nuclei()
    perfect, wrong = tmp_path / "perfect.png", tmp_path / "wrong.png"
    comparison_figure(perfect, [("a", image, truth, truth)])
    invented = np.where(truth == 1, 1, 0)
    invented[5:25, 50:70] = 3
    comparison_figure(wrong, [("a", image, truth, invented)])
    for category in ("missed", "invented"):
        share = [shows(read_png(p), ERROR_COLOURS[category]) for p in (perfect, wrong)]
        assert share[0] < 0.001
        assert share[1] > 0.01


def test_a_row_per_image_up_to_six(tmp_path):
    image, truth = nuclei()
    heights = []
    for n in (1, 6, 7):
        comparison_figure(tmp_path / "p.png", [("a", image, truth, truth)] * n)
        heights.append(read_png(tmp_path / "p.png").shape[0])
    assert heights[0] < heights[1] == heights[2]


@pytest.mark.parametrize(
    "image",
    [
        None,
        np.zeros((60, 80), np.uint8),  # constant
        np.where(np.eye(60, 80) > 0, np.nan, 1.0),
        np.ones((60, 80), bool),
        np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8),
        Image(np.random.default_rng(0).random((2, 60, 80)), "CYX"),
    ],
    ids=["none", "constant", "nan", "bool", "rgb", "two channels"],
)
def test_any_image_can_be_drawn(tmp_path, image):
    _, truth = nuclei()
    comparison_figure(tmp_path / "p.png", [("a" * 90, image, truth, truth * 0)])
    picture = read_png(tmp_path / "p.png")
    assert picture.shape[1] > 1000
    assert shows(picture, ERROR_COLOURS["missed"]) > 0.01


def test_the_fullest_plane_of_a_stack_is_shown(tmp_path):
    image, truth = nuclei()
    stack = Image(np.stack([image * 0, image]), "TYX")
    labels = np.stack([truth * 0, truth])
    comparison_figure(tmp_path / "p.png", [("film", stack, labels, labels * 0)])
    assert shows(read_png(tmp_path / "p.png"), ERROR_COLOURS["missed"]) > 0.01


def test_classes_are_drawn_with_wrong_ones_marked(tmp_path):
    image, truth = nuclei()
    comparison_figure(
        tmp_path / "p.png",
        [("a", image, truth, truth * 2 % 3)],
        kind="semantic",
        classes={0: "background", 1: "inside", 2: "border"},
    )
    assert shows(read_png(tmp_path / "p.png"), ERROR_COLOURS["wrong class"]) > 0.005


def test_large_images_are_drawn_small(tmp_path):
    labels = np.zeros((300, 3000), np.uint8)
    labels[50:250, 500:2500] = 1
    comparison_figure(tmp_path / "p.png", [("wide", labels, labels, labels)])
    assert max(read_png(tmp_path / "p.png").shape) < 2000


def test_what_does_not_fit_gets_a_sentence(tmp_path):
    image, truth = nuclei()
    with pytest.raises(LabelsError, match=r"'a': the image has shape \(60, 79\)"):
        comparison_figure(tmp_path / "p.png", [("a", image[:, 1:], truth, truth)])
    with pytest.raises(LabelsError, match="no image to draw"):
        comparison_figure(tmp_path / "p.png", [])
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_gets_a_sentence(tmp_path):
    image, truth = nuclei()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write"):
        comparison_figure(tmp_path / "file" / "p.png", [("a", image, truth, truth)])


def test_nothing_shows_where_nothing_is_scored(tmp_path):
    image, truth = nuclei()
    invented = truth.copy()
    invented[5:25, 50:70] = 3
    area = np.zeros(truth.shape, bool)
    area[:, :45] = True
    comparison_figure(tmp_path / "p.png", [("a", image, truth, invented, area)])
    picture = read_png(tmp_path / "p.png")
    assert shows(picture, ERROR_COLOURS["invented"]) < 0.001
    assert shows(picture, ERROR_COLOURS["missed"]) < 0.001
    assert shows(picture, ERROR_COLOURS["hit"]) > 0.001
