"""Jumping to an object shows it; comparisons of layers can be undone completely."""

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils._proxies import PublicOnlyProxy

from napari_unet.gui.layers import (
    add_labels,
    current_plane,
    image_from_layers,
    is_ours,
    jump_to,
    match_layers,
    restore_view,
    show_overlay,
    show_side_by_side,
    unwrapped,
    update_labels,
    was_edited,
)


def camera(viewer: ViewerModel) -> Any:
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def grid(viewer: ViewerModel) -> Any:
    return viewer.canvas.grid if hasattr(viewer, "canvas") else viewer.grid


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


PLACES = {
    "scaled": {"scale": (3, 1, 0.5, 0.5), "translate": (5, 0, 100, 200)},
    "turned": {
        "scale": (3, 1, 0.5, 0.5),
        "affine": np.array(
            [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, -1, 9], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
        ),
    },
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("position", [{"T": 2}, "T=2", "2"])
def test_the_object_is_in_the_middle_of_the_view(
    viewer: ViewerModel, position: Any, place: str
) -> None:
    layer = viewer.add_image(np.zeros((4, 3, 64, 96)), rgb=False, **PLACES[place])
    labels = np.zeros((4, 64, 96), int)
    labels[2, 20:30, 40:50] = 9
    result = add_labels(viewer, layer, labels, name="r", metadata={}, axes="TCYX")
    jump_to(viewer, layer, position, (24.5, 44.5), axes="TCYX", diameter_px=10)
    world = list(viewer.dims.point)
    for axis, value in zip(viewer.dims.displayed, camera(viewer).center[1:], strict=True):
        world[axis] = value
    assert result.get_value(world, world=True) == 9
    np.testing.assert_allclose(result.world_to_data(world), (2, 0, 24.5, 44.5), atol=0.34)


def test_the_object_is_selected(viewer: ViewerModel) -> None:
    labels = viewer.add_labels(np.eye(20, dtype=int) * 7)
    jump_to(viewer, labels, "", (5, 5), label=7)
    assert labels.selected_label == 7


def test_the_camera_comes_close_and_stays_when_it_is(viewer: ViewerModel) -> None:
    layer = viewer.add_image(np.zeros((4096, 4096)), scale=(0.1, 0.1))
    viewer.reset_view()
    far = camera(viewer).zoom
    jump_to(viewer, layer, "", (500, 500), diameter_px=20)
    close = camera(viewer).zoom
    assert close > 5 * far
    jump_to(viewer, layer, "", (900, 900), diameter_px=25)
    assert camera(viewer).zoom == close  # no zooming between objects of similar size
    jump_to(viewer, layer, "", (900, 900), diameter_px=2000)
    assert camera(viewer).zoom < close


def test_a_flat_layer_below_a_stack_is_reached(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((5, 64, 64)), rgb=False)
    flat = viewer.add_labels(np.zeros((64, 64), int))
    viewer.dims.set_point(0, 3)
    jump_to(viewer, flat, "", (10, 20))
    assert viewer.dims.point[0] == 3
    assert tuple(camera(viewer).center[1:]) == (10, 20)


@pytest.fixture
def compared(viewer: ViewerModel) -> list[Any]:
    """Image, ground truth and prediction, among other layers and in a different order."""
    labels = np.zeros((16, 20), int)
    prediction = viewer.add_labels(labels, name="prediction", opacity=0.3)
    viewer.add_image(np.zeros((16, 20)), name="other")
    truth = viewer.add_labels(labels, name="truth", visible=False)
    image = viewer.add_image(np.zeros((16, 20)), name="image")
    viewer.add_labels(labels, name="hidden", visible=False)
    return [image, truth, prediction]


def look(viewer: ViewerModel) -> Any:
    layers = [
        (layer.name, layer.visible, layer.opacity, getattr(layer, "contour", None))
        for layer in viewer.layers
    ]
    shown = (grid(viewer).enabled, grid(viewer).shape, grid(viewer).stride)
    return layers, shown, camera(viewer).zoom, camera(viewer).center


def test_side_by_side_shows_each_layer_in_its_own_place_from_left_to_right(
    viewer: ViewerModel, compared: list[Any]
) -> None:
    show_side_by_side(viewer, compared)
    assert [layer.name for layer in viewer.layers if layer.visible] == [
        "image", "truth", "prediction",
    ]  # fmt: skip
    count = viewer.layers if hasattr(viewer, "canvas") else len(viewer.layers)  # napari < 0.9
    places = [grid(viewer).position(viewer.layers.index(layer), count) for layer in compared]
    assert places == [(0, 0), (0, 1), (0, 2)]


def test_overlay_draws_labels_as_outlines_above_the_image(
    viewer: ViewerModel, compared: list[Any]
) -> None:
    show_overlay(viewer, compared)
    assert [layer.name for layer in viewer.layers if layer.visible] == [
        "image", "truth", "prediction",
    ]  # fmt: skip
    assert [layer.contour for layer in compared[1:]] == [2, 2]
    assert not grid(viewer).enabled


def test_one_click_brings_everything_back(viewer: ViewerModel, compared: list[Any]) -> None:
    camera(viewer).zoom = 3.5
    before = look(viewer)
    show_side_by_side(viewer, compared)
    assert camera(viewer).zoom != 3.5
    show_overlay(viewer, compared)
    assert camera(viewer).zoom == 3.5  # not the zoom of the grid
    show_side_by_side(viewer, compared)
    assert look(viewer) != before
    restore_view(viewer)
    assert look(viewer) == before


def test_layers_added_and_removed_in_between_do_no_harm(
    viewer: ViewerModel, compared: list[Any]
) -> None:
    show_side_by_side(viewer, compared)
    viewer.layers.remove(compared[1])
    new = viewer.add_layer(Labels(np.zeros((16, 20), int), name="new"))
    restore_view(viewer)
    assert viewer.layers[-1] is new, "it would be hidden below the image"
    assert new.visible
    assert [layer.name for layer in viewer.layers if layer is not new] == [
        "prediction", "other", "image", "hidden",
    ]  # fmt: skip


def test_the_viewer_may_come_in_napari_s_wrapping(viewer: ViewerModel, compared: list[Any]) -> None:
    """Widgets opened from the Plugins menu get a proxy that warns of private attributes."""
    wrapped = PublicOnlyProxy(viewer)
    image = wrapped.layers["image"]
    result = add_labels(wrapped, image, np.ones((16, 20), int), name="r", metadata={})
    assert is_ours(wrapped.layers["r"])
    assert not was_edited(wrapped.layers["r"])
    assert update_labels(wrapped.layers["r"], np.zeros((16, 20), int))
    assert match_layers(wrapped)
    plane, _ = current_plane(wrapped, image_from_layers([image]), image)
    assert plane.axes == "YX"
    jump_to(wrapped, wrapped.layers["r"], "", (3, 3), label=1)
    show_side_by_side(wrapped, [image, wrapped.layers["truth"]])
    show_overlay(wrapped, [image, wrapped.layers["truth"]])
    restore_view(wrapped)
    assert unwrapped(wrapped.layers["r"]) is result
