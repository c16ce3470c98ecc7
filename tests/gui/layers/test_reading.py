"""Images, pairs and annotated areas made from layers match the display."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Shapes
from napari.layers._source import layer_source

from napari_unet.core.errors import ImageError, LabelsError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.io.image_files import write_image
from napari_unet.gui.layers import (
    add_labels,
    annotated_area,
    check_axes,
    current_plane,
    image_from_layers,
    labels_from_layer,
    match_layers,
    misalignment,
    pair_from_layers,
    propose_axes,
)


def image_layer(*shape: int, **kwargs: Any) -> ImageLayer:
    values = np.random.default_rng(5).integers(0, 200, shape).astype(np.uint8)
    return ImageLayer(values, **{"name": "cells", "rgb": False, **kwargs})


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.mark.parametrize(
    ("shape", "labels", "axes"),
    [
        ((16, 20), None, "YX"),
        ((30, 16, 20), None, "ZYX"),
        ((3, 16, 20), None, "CYX"),
        ((1, 16, 20), None, "ZYX"),
        ((10, 30, 16, 20), None, "TZYX"),
        ((10, 2, 16, 20), None, "ZCYX"),
        ((2, 10, 16, 20), None, "CZYX"),
        ((4, 10, 2, 16, 20), None, "TZCYX"),
        ((30, 16, 20), ("time", "y", "x"), "TYX"),
        ((3, 16, 20), ("T", "Y", "X"), "TYX"),
        ((30, 16, 20), ("n", "y", "x"), "TYX"),
        ((30, 16, 20), ("Channel", "row", "column"), "CYX"),
        ((30, 16, 20), ("frame", "-2", "-1"), "TYX"),
        ((10, 30, 16, 20), ("t", "-3", "-2", "-1"), "TZYX"),
        ((10, 30, 16, 20), ("z", "-3", "-2", "-1"), "ZTYX"),
        ((16, 20, 5), ("y", "x", "z"), "YXZ"),
        ((16, 20, 3), ("y", "x", "c"), "YXC"),
        ((30, 16, 20), ("z", "z", "z"), "ZYX"),
    ],
)
def test_axes_are_proposed(shape: Any, labels: Any, axes: str) -> None:
    assert propose_axes(image_layer(*shape, axis_labels=labels)) == axes


def test_colours_are_no_dimension() -> None:
    assert propose_axes(image_layer(16, 20, 3, rgb=True)) == "YX"
    assert propose_axes(image_layer(3, 16, 20, 4, rgb=True)) == "ZYX"
    assert check_axes(image_layer(16, 20, 3, rgb=True), "yxs") == "YX"


def test_labels_layers_have_no_channels_by_guess() -> None:
    assert propose_axes(Labels(np.zeros((3, 16, 20), int))) == "ZYX"


@pytest.mark.parametrize("axes", ["YX", "TTX", "ABC", "TZC", ""])
def test_wrong_axes_are_refused_in_words(axes: str) -> None:
    with pytest.raises(ImageError, match=r"3 dimensions .* expected one letter per dimension"):
        check_axes(image_layer(30, 16, 20), axes)


@pytest.fixture
def tiff(tmp_path: Path) -> Path:
    path = tmp_path / "stack.tif"
    data = np.random.default_rng(1).integers(0, 99, (3, 2, 16, 20)).astype(np.uint16)
    write_image(path, Image(data, "TCYX", pixel_size=PixelSize((0.25, 0.5))))
    return path


def behind(path: Path, *shape: int, **kwargs: Any) -> ImageLayer:
    with layer_source(path=str(path)):
        return image_layer(*shape, **kwargs)


def test_the_file_behind_a_layer_knows_axes_and_pixel_size(tiff: Path) -> None:
    layer = behind(tiff, 3, 2, 16, 20)
    assert propose_axes(layer) == "TCYX"
    image = image_from_layers([layer])
    assert image.pixel_size is not None
    assert image.pixel_size.spacing == pytest.approx((0.25, 0.5), rel=1e-4)
    assert image.path == tiff
    split = behind(tiff, 3, 16, 20)  # a reader that makes a layer of each channel
    assert propose_axes(split) == "TYX"
    assert image_from_layers([split]).pixel_size is not None


def test_a_file_of_another_shape_says_nothing(tiff: Path) -> None:
    cropped = behind(tiff, 3, 8, 8)
    assert propose_axes(cropped) == "CYX"
    assert image_from_layers([cropped]).pixel_size is None
    gone = behind(tiff.with_name("gone.tif"), 16, 20)
    assert image_from_layers([gone]).pixel_size is None
    broken = tiff.with_name("broken.tif")
    broken.write_bytes(b"II*\0 no tiff")
    assert image_from_layers([behind(broken, 16, 20)]).pixel_size is None


@pytest.mark.parametrize(
    ("axes", "kwargs", "spacing"),
    [
        ("YX", {"scale": (0.5, 0.25), "units": "um"}, (0.5, 0.25)),
        ("YX", {"scale": (500, 250), "units": "nm"}, (0.5, 0.25)),
        ("YX", {"scale": (1, 1), "units": "um"}, (1, 1)),
        ("YX", {"scale": (0.5, 0.5), "units": "um", "rotate": 30}, (0.5, 0.5)),
        ("YX", {"units": "um", "affine": np.diag([0.5, 0.25, 1])}, (0.5, 0.25)),
        ("ZYX", {"scale": (2, 0.5, 0.5), "units": ("um", "um", "um")}, (2, 0.5, 0.5)),
        ("ZYX", {"scale": (2, 500, 500), "units": ("um", "nm", "nm")}, (2, 0.5, 0.5)),
        ("ZYX", {"scale": (2, 0.5, 0.5), "units": ("pixel", "um", "um")}, (0.5, 0.5)),
        ("TYX", {"scale": (2, 0.5, 0.5), "units": ("s", "um", "um")}, (0.5, 0.5)),
    ],
)
def test_pixel_size_is_in_um(axes: str, kwargs: Any, spacing: Any) -> None:
    image = image_from_layers([image_layer(*[9, 16, 20][-len(axes) :], **kwargs)], axes)
    assert image.pixel_size is not None
    assert image.pixel_size.unit == "µm"
    assert image.pixel_size.spacing == pytest.approx(spacing)


def test_plain_pixels_have_no_physical_size() -> None:
    assert image_from_layers([image_layer(16, 20)]).pixel_size is None
    scaled = image_from_layers([image_layer(16, 20, scale=(2, 2))]).pixel_size
    assert scaled == PixelSize((2, 2), "pixel")


def test_layers_of_one_shape_are_channels_named_after_them() -> None:
    red, green = image_layer(5, 16, 20, name="red"), image_layer(5, 16, 20, name="green")
    image = image_from_layers([red, green], "TYX")
    assert (image.axes, image.shape) == ("TCYX", (5, 2, 16, 20))
    assert image.channel_names == ("red", "green")
    np.testing.assert_array_equal(image.data[:, 1], green.data)
    only = image_from_layers([red, green], "TYX", channels=["green"])
    np.testing.assert_array_equal(only.data[:, 0], green.data)


def test_lazy_layers_are_stacked_lazily() -> None:
    lazy = ImageLayer(da.zeros((5, 16, 20), dtype=np.uint16, chunks=(1, 16, 20)), name="lazy")
    image = image_from_layers([lazy, image_layer(5, 16, 20)], "ZYX")
    assert isinstance(image.data, da.Array)
    assert image.data.dtype == np.uint16


def test_channels_of_different_shape_or_place_are_refused() -> None:
    first = image_layer(16, 20, name="a")
    with pytest.raises(ImageError, match="channels of one image must have the same shape"):
        image_from_layers([first, image_layer(16, 21, name="b")])
    with pytest.raises(ImageError, match="'b' is not aligned with 'a'"):
        image_from_layers([first, image_layer(16, 20, name="b", translate=(4, 0))])
    with pytest.raises(ImageError, match="No image layer is chosen"):
        image_from_layers([])


def test_layers_that_do_not_lie_on_each_other_are_named() -> None:
    image = image_layer(30, 16, 20, scale=(2, 0.5, 0.5), translate=(0, 5, 5))
    same = Labels(np.zeros((16, 20), int), name="l", scale=(0.5, 0.5), translate=(5, 5))
    assert misalignment(image, same) == ""
    assert "'l' is not aligned with 'cells'" in misalignment(
        image, Labels(np.zeros((16, 20), int), name="l")
    )


@pytest.mark.parametrize("axes", ["YX", "TYX", "CYX", "TCYX", "TZCYX", "ZTYX", "YXC"])
def test_new_labels_button_makes_labels_that_fit(viewer: ViewerModel, axes: str) -> None:
    sizes = {"T": 3, "Z": 4, "C": 2, "Y": 16, "X": 20}
    layer = viewer.add_layer(image_layer(*[sizes[a] for a in axes]))
    viewer.layers.selection.active = layer
    viewer._new_labels()
    labels = viewer.layers[-1]
    at = {"T": 1, "Z": 2, "C": 1, "Y": 5, "X": 7}
    labels.data[tuple(at[a] for a in axes)] = 3  # painted while looking at the second channel
    pair = pair_from_layers([layer], labels, axes=axes)
    assert pair.image.label_shape == pair.labels.shape
    assert pair.labels[tuple(at[a] for a in pair.image.label_axes)] == 3
    assert np.count_nonzero(pair.labels) == 1


def test_contradicting_strokes_on_two_channels_are_refused() -> None:
    layer = image_layer(2, 16, 20)
    labels = Labels(np.zeros((2, 16, 20), int), name="mine")
    labels.data[0, 3, 3] = labels.data[1, 3, 3] = 2
    assert labels_from_layer(labels, layer, "CYX")[3, 3] == 2
    labels.data[1, 3, 3] = 1
    with pytest.raises(LabelsError, match="In 'mine' some pixels have different labels"):
        labels_from_layer(labels, layer, "CYX")


def test_of_a_plane_no_more_is_read() -> None:
    layer = image_layer(5, 2, 16, 20)
    labels = Labels(da.zeros((5, 2, 16, 20), dtype=int, chunks=(1, 2, 16, 20)), name="mine")
    labels.data[3, 1, 4, 4] = 2
    read: list[tuple[int, ...]] = []

    def noted(block: Any, block_info: Any = None) -> Any:
        read.append(block_info[0]["chunk-location"] if block_info else ())
        return block

    labels.data = labels.data.map_blocks(noted, dtype=int)
    read.clear()
    plane = labels_from_layer(labels, layer, "ZCYX", {"Z": 3})
    assert plane.shape == (16, 20)
    assert plane[4, 4] == 2
    assert read == [(3, 0, 0, 0)]


def test_a_pair_is_a_snapshot() -> None:
    layer, labels = image_layer(16, 20), Labels(np.zeros((16, 20), int))
    labels.data[2, 2] = 1
    pair = pair_from_layers([layer], labels, group="field 1", empty_planes="background")
    labels.data[:] = 9
    assert pair.labels.sum() == 1
    assert (pair.group, pair.empty_planes) == ("field 1", "background")


def test_labels_of_another_image_are_refused_in_words() -> None:
    with pytest.raises(LabelsError, match=r"'b' have shape \(8, 8\), .* 'cells' needs 16 x 20"):
        labels_from_layer(Labels(np.zeros((8, 8), int), name="b"), image_layer(16, 20))


def test_results_of_ours_are_read_back(viewer: ViewerModel) -> None:
    layer = viewer.add_layer(image_layer(4, 3, 16, 20))
    labels = np.arange(4 * 16 * 20).reshape(4, 16, 20) % 7
    result = add_labels(viewer, layer, labels, name="r", metadata={}, axes="TCYX")
    np.testing.assert_array_equal(labels_from_layer(result, layer, "TCYX"), labels)
    np.testing.assert_array_equal(labels_from_layer(result, layer, "TCYX", {"T": 2}), labels[2])


def test_layers_are_matched_by_name_and_shape(viewer: ViewerModel) -> None:
    a = viewer.add_layer(image_layer(16, 20, name="field_01"))
    b = viewer.add_layer(image_layer(16, 20, name="field_02"))
    colour = viewer.add_layer(image_layer(16, 20, 3, name="stained", rgb=True))
    viewer.add_layer(image_layer(9, 20, name="field_03"))
    labels_b = viewer.add_labels(np.zeros((16, 20), int), name="field_02 - Labels")
    labels_a = viewer.add_labels(np.zeros((16, 20), int), name="field_01_mask")
    labels_c = viewer.add_labels(np.zeros((16, 20), int), name="stained truth")
    viewer.add_labels(np.zeros((3, 3), int), name="field_03")
    assert match_layers(viewer) == [(a, labels_a), (b, labels_b), (colour, labels_c)]


def test_predictions_are_no_training_labels_until_corrected(viewer: ViewerModel) -> None:
    layer = viewer.add_layer(image_layer(16, 20))
    result = add_labels(viewer, layer, np.ones((16, 20), int), name="r", metadata={})
    assert match_layers(viewer) == []
    result.paint((3, 3), 2)
    assert match_layers(viewer) == [(layer, result)]


def test_the_plane_in_view_follows_the_sliders(viewer: ViewerModel) -> None:
    layer = viewer.add_layer(
        image_layer(4, 3, 5, 16, 20, scale=(1, 1, 2.5, 1, 1), translate=[7] * 5)
    )
    image = image_from_layers([layer], "TCZYX")
    viewer.dims.set_point((0, 1, 2), (9, 8, 7 + 3 * 2.5))
    plane, position = current_plane(viewer, image, layer, "TCZYX")
    assert position == {"T": 2, "Z": 3}
    assert plane.axes == "CYX"
    np.testing.assert_array_equal(plane.data, layer.data[2, :, 3])
    flat = viewer.add_layer(image_layer(16, 20, name="flat"))
    single, nowhere = current_plane(viewer, image_from_layers([flat]), flat)
    assert nowhere == {}
    assert single.axes == "YX"


TURN = np.array([[0.8, -0.6], [0.6, 0.8]])


def square(**kwargs: Any) -> Shapes:
    corners = np.array([[1.5, 3.5], [1.5, 9.5], [7.5, 9.5], [7.5, 3.5]])
    return Shapes([corners], shape_type="polygon", name="area", **kwargs)


def test_pixels_inside_a_shape_are_annotated() -> None:
    mask = annotated_area(square(), image_layer(16, 20))
    expected = np.zeros((16, 20), bool)
    expected[2:8, 4:10] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_shape_counts_where_it_lies_in_the_world() -> None:
    placed = {"scale": (0.5, 0.25), "translate": (3, 4), "rotate": TURN}
    expected = annotated_area(square(), image_layer(16, 20))
    np.testing.assert_array_equal(
        annotated_area(square(**placed), image_layer(16, 20, **placed)), expected
    )
    # a shape layer with another scale, drawn over the same place
    image = image_layer(16, 20, **placed)
    outline = np.array([image.data_to_world(v) for v in square().data[0]])
    drawn = Shapes([outline / 10], shape_type="polygon", scale=(10, 10))
    np.testing.assert_array_equal(annotated_area(drawn, image), expected)


@pytest.mark.parametrize(
    ("kind", "area"), [("rectangle", 10 * 14), ("ellipse", np.pi * 5 * 7), ("polygon", 10 * 14)]
)
def test_every_closed_shape_has_its_area(kind: str, area: float) -> None:
    corners = np.array([[3, 4], [3, 18], [13, 18], [13, 4]]) - 0.5
    mask = annotated_area(Shapes([corners], shape_type=kind), image_layer(16, 20))
    assert mask.sum() == pytest.approx(area, abs=4)
    assert mask[7, 11]
    assert mask[2].sum() == 0


@pytest.mark.parametrize("axes", ["TYX", "CYX", "TCYX"])
def test_a_shape_drawn_in_a_stack_counts_for_its_plane(axes: str) -> None:
    sizes = {"T": 4, "C": 3, "Y": 16, "X": 20}
    layer = image_layer(*[sizes[a] for a in axes], scale=[{"T": 2.5}.get(a, 1) for a in axes])
    at = {"T": 2 * 2.5, "C": 1}
    corners = np.array([[at.get(a, 0) for a in axes]] * 4, float)
    corners[:, -2:] = square().data[0]
    mask = annotated_area(Shapes([corners], shape_type="polygon"), layer, axes)
    if "T" in axes:
        assert mask[2].sum() == 36
        assert mask.sum() == 36
    else:
        assert mask.sum() == 36
    everywhere = annotated_area(square(), layer, axes)
    assert everywhere.sum() == 36 * (4 if "T" in axes else 1)


def test_a_mask_can_be_the_annotated_area() -> None:
    painted = Labels(np.zeros((2, 16, 20), int))
    painted.data[0, 3:5, 3:5] = 4
    assert annotated_area(painted, image_layer(2, 16, 20), "CYX").sum() == 4


def test_an_area_without_a_pixel_is_refused_in_words() -> None:
    line = Shapes([np.array([[1, 1], [9, 9]])], shape_type="line", name="area")
    for shapes in (line, Shapes(name="area"), square(translate=(500, 0))):
        with pytest.raises(LabelsError, match="annotated area 'area' covers no pixel of 'cells'"):
            annotated_area(shapes, image_layer(16, 20))
    off_plane = np.column_stack([np.full(4, 9.0), square().data[0]])
    with pytest.raises(LabelsError, match="covers no pixel"):
        annotated_area(
            Shapes([off_plane], shape_type="polygon", name="area"), image_layer(4, 16, 20), "TYX"
        )
