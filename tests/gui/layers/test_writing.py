"""Results are aligned with their image, whatever the layer, and never overwrite the user's work."""

from collections.abc import Callable
from typing import Any

import dask.array as da
import hypothesis
import numpy as np
import pytest
import zarr
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from napari.utils.color import ColorValue

from napari_unet.core.errors import LabelsError
from napari_unet.core.evaluation.error_map import ERROR_COLOURS, error_map
from napari_unet.core.images.image import AXES
from napari_unet.gui.layers import (
    METADATA_KEY,
    add_errors,
    add_labels,
    add_probability,
    image_from_layers,
    is_ours,
    labels_from_layer,
    propose_axes,
    result_geometry,
    update_labels,
    was_edited,
)

SIZES = {"T": 4, "Z": 5, "C": 3, "Y": 16, "X": 20}
AXIS_WORDS = {"T": "time", "Z": "z", "C": "channel", "Y": "y", "X": "x"}
UNITS = {"T": "second", "Z": "micrometer", "C": "pixel", "Y": "nanometer", "X": "nanometer"}
STEPS = {"T": 2.0, "Z": 1.5, "C": 1.0, "Y": 0.25, "X": 0.5}
ORDERS = [
    "YX", "TYX", "ZYX", "CYX", "TZYX", "TCYX", "ZCYX", "TZCYX", "TCZYX", "ZTYX", "CTYX", "YXC",
]  # fmt: skip


def picture(axes: str, dtype: Any = np.uint8, *, colours: int = 0) -> np.ndarray:
    """Whole numbers that every type can store: 0 and 1 for bool, up to 100 otherwise."""
    shape = [SIZES[a] for a in axes] + [colours] * bool(colours)
    values = np.random.default_rng(7).integers(0, 101, shape)
    return (values > 50 if dtype is bool else values).astype(dtype)


def expected_labels(data: np.ndarray, axes: str) -> np.ndarray:
    """A prediction from all channels of a pixel, in the layer's order of axes."""
    whole = data.astype(np.int64)
    channels = [i for i, a in enumerate(axes) if a == "C"] + list(range(len(axes), data.ndim))
    return whole.sum(tuple(channels)) if channels else whole


def predicted(layer: ImageLayer, axes: str) -> np.ndarray:
    """The same prediction from the core's image."""
    image = image_from_layers([layer], axes)
    pixels = np.asarray(image.data).astype(np.int64)
    return pixels.sum(image.axes.index("C")) if "C" in image.axes else pixels


def assert_lies_on(result: Labels, layer: ImageLayer, wanted: np.ndarray, axes: str) -> None:
    """Check that every sampled pixel of the image has its label at the same world position."""
    spatial = axes.replace("C", "")
    rng = np.random.default_rng(1)
    for _ in range(20):
        at = {a: int(rng.integers(SIZES[a])) for a in axes}
        world = layer.data_to_world([at[a] for a in axes])
        place = result.world_to_data(world)
        index = tuple(np.round(place).astype(int))
        assert result.data[index] == wanted[tuple(at[a] for a in spatial)]
        drift = place - np.array(index)
        kept = axes[-len(place) :]
        # the centres agree on all axes but the channel axis, which a single pixel spans
        assert [abs(d) for a, d in zip(kept, drift, strict=True) if a != "C"] == pytest.approx(
            [0] * sum(a != "C" for a in kept), abs=1e-9
        )


def place(axes: str, kind: str) -> dict[str, Any]:
    """Keyword arguments that place a layer."""
    n = len(axes)
    scale = [STEPS[a] for a in axes]
    turn = np.eye(n)
    y, x = axes.index("Y"), axes.index("X")
    c, s = np.cos(0.4), np.sin(0.4)
    turn[[y, y, x, x], [y, x, y, x]] = c, -s, s, c
    shear = np.eye(n)
    shear[min(y, x), max(y, x)] = 0.3
    affine = np.eye(n + 1)
    affine[y, x], affine[x, y], affine[y, y] = 0.2, -0.1, 2.0
    affine[y, -1] = 30
    moved = {"scale": scale, "translate": np.arange(n) * 10.5 - 3}
    return {
        "nowhere": {},
        "scaled": moved,
        "turned": {**moved, "rotate": turn},
        "sheared": {**moved, "rotate": turn, "shear": shear},
        "affine": {**moved, "affine": affine},
        "all": {**moved, "rotate": turn, "shear": shear, "affine": affine},
    }[kind]


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


class Shelf:
    """A viewer without a window: 20 times as fast, for tests that only concern layers."""

    def __init__(self) -> None:
        self.layers: list[Any] = []

    def add_layer(self, layer: Any) -> Any:
        self.layers.append(layer)
        return layer

    def add_image(self, data: Any, **kwargs: Any) -> ImageLayer:
        return self.add_layer(ImageLayer(data, **kwargs))


@pytest.fixture
def shelf() -> Any:
    return Shelf()


PLACES = [("nowhere", a) for a in ORDERS] + [("all", a) for a in ORDERS]
PLACES += [(kind, a) for kind in ("scaled", "turned", "sheared", "affine") for a in ("YX", "TCYX")]


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")  # napari, of turned XC planes
@pytest.mark.parametrize(("kind", "axes"), PLACES)
def test_labels_lie_on_their_image(shelf: Any, kind: str, axes: str) -> None:
    layer = shelf.add_image(picture(axes), rgb=False, name="cells", **place(axes, kind))
    result = add_labels(
        shelf, layer, predicted(layer, axes), name="cells labels", metadata={}, axes=axes
    )
    assert_lies_on(result, layer, expected_labels(layer.data, axes), axes)
    # the whole image, not only the sampled pixels
    ours, theirs = result.extent.world, layer.extent.world[:, -result.ndim :]
    spatial = [i for i, a in enumerate(axes[-result.ndim :]) if a != "C"]
    assert ours[:, spatial] == pytest.approx(theirs[:, spatial])


@hypothesis.settings(max_examples=25)
@hypothesis.given(st.data())
def test_any_result_can_be_read_back_and_lies_on_its_image(data: Any) -> None:
    axes = (
        "".join(data.draw(st.permutations("TZC"), "order"))[: data.draw(st.integers(0, 3))] + "YX"
    )
    n, numbers = len(axes), st.floats(-3, 3).filter(lambda v: abs(v) > 0.1)
    scale = data.draw(st.lists(numbers, min_size=n, max_size=n))
    translate = data.draw(st.lists(numbers, min_size=n, max_size=n))
    affine = np.eye(n + 1)
    affine[-3:-1, -3:-1] += np.array([[0.2, 0.5], [-0.5, 0.1]]) * data.draw(numbers)
    shelf = Shelf()
    layer = shelf.add_image(
        picture(axes), rgb=False, scale=scale, translate=translate, affine=affine
    )
    labels = predicted(layer, axes)
    result = add_labels(shelf, layer, labels, name="r", metadata={}, axes=axes)
    np.testing.assert_array_equal(labels_from_layer(result, layer, axes), labels)
    assert_lies_on(result, layer, expected_labels(layer.data, axes), axes)


@pytest.mark.parametrize("axes", ORDERS)
def test_units_and_axis_labels_are_kept(shelf: Any, axes: str) -> None:
    labels = [AXIS_WORDS[a] for a in axes]
    units = [UNITS[a] for a in axes]
    layer = shelf.add_image(picture(axes), rgb=False, units=units, axis_labels=labels)
    assert propose_axes(layer) == axes
    result = add_labels(shelf, layer, predicted(layer, axes), name="r", metadata={})
    assert result.axis_labels == tuple(labels[-result.ndim :])
    assert tuple(str(u) for u in result.units) == tuple(units[-result.ndim :])


def containers(data: np.ndarray, axes: str) -> dict[str, Callable[[], Any]]:
    def halved() -> np.ndarray:
        steps = tuple(slice(None, None, 2 if a in "YX" else 1) for a in axes)
        return data[steps]

    def as_zarr() -> Any:
        array = zarr.create_array({}, shape=data.shape, dtype=data.dtype)
        array[...] = data
        return array

    return {
        "numpy": lambda: data,
        "dask": lambda: da.from_array(data, chunks=8),
        "zarr": as_zarr,
        "dask on zarr": lambda: da.from_array(as_zarr()),
        "multiscale": lambda: [data, halved()],
        "multiscale dask": lambda: [da.from_array(data), da.from_array(halved())],
        "not contiguous": lambda: np.asfortranarray(data)[::-1][::-1],
        "read-only": lambda: np.broadcast_to(data, data.shape),
    }


@pytest.mark.parametrize(
    "container",
    ["numpy", "dask", "zarr", "dask on zarr", "multiscale", "multiscale dask", "not contiguous",
     "read-only"],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64", bool])
@pytest.mark.parametrize("axes", ["YX", "TCYX"])
def test_every_container_and_type_gives_the_same_image(
    shelf: Any, axes: str, dtype: Any, container: str
) -> None:
    data = picture(axes, dtype)
    layer = shelf.add_image(
        containers(data, axes)[container](),
        rgb=False,
        scale=[STEPS[a] for a in axes],
        multiscale="multiscale" in container,
    )
    image = image_from_layers([layer], axes)
    assert image.axes == axes
    assert image.data.dtype == data.dtype
    np.testing.assert_array_equal(np.asarray(image.data), data)
    assert isinstance(image.data, np.ndarray) == (container not in LAZY)
    result = add_labels(shelf, layer, predicted(layer, axes), name="r", metadata={}, axes=axes)
    assert_lies_on(result, layer, expected_labels(data, axes), axes)


LAZY = {"dask", "zarr", "dask on zarr", "multiscale dask"}


@pytest.mark.parametrize("colours", [3, 4])
@pytest.mark.parametrize("axes", ["YX", "TYX"])
@pytest.mark.parametrize("lazy", [False, True])
def test_colours_stay_colours_without_their_transparency(
    shelf: Any, axes: str, colours: int, lazy: bool
) -> None:
    data = picture(axes, colours=colours)
    layer = shelf.add_image(
        da.from_array(data) if lazy else data, rgb=True, scale=[STEPS[a] for a in axes]
    )
    image = image_from_layers([layer], axes)
    assert image.rgb
    assert image.axes == axes.replace("Y", "CY")
    np.testing.assert_array_equal(
        np.moveaxis(np.asarray(image.data), image.axes.index("C"), -1), data[..., :3]
    )
    result = add_labels(shelf, layer, predicted(layer, axes), name="r", metadata={}, axes=axes)
    assert_lies_on(result, layer, data[..., :3].astype(int).sum(-1), axes)


@pytest.mark.parametrize("kind", ["scaled", "all"])
@pytest.mark.parametrize("axes", ["TYX", "TCYX", "ZTYX", "CZYX"])
def test_one_plane_of_a_stack_lies_on_its_plane(shelf: Any, axes: str, kind: str) -> None:
    layer = shelf.add_image(picture(axes), rgb=False, **place(axes, kind))
    position = {a: 2 for a in axes if a in "TZ"}
    plane = np.arange(SIZES["Y"] * SIZES["X"]).reshape(SIZES["Y"], SIZES["X"])
    result = add_labels(
        shelf, layer, plane, name="plane", metadata={}, position=position, axes=axes
    )
    at = {**position, "C": 1, "Y": 3, "X": 7}
    world = layer.data_to_world([at[a] for a in axes])
    index = np.round(result.world_to_data(world)).astype(int)
    assert result.data[tuple(index)] == plane[3, 7]
    elsewhere = {**at, **dict.fromkeys(position, 3)}
    missed = np.round(result.world_to_data(layer.data_to_world([elsewhere[a] for a in axes])))
    assert (missed < 0).any() or (missed >= result.data.shape).any()


def test_labels_further_back_than_channels_show_on_every_channel(viewer: ViewerModel) -> None:
    layer = viewer.add_image(picture("TCYX"), rgb=False)
    add_labels(viewer, layer, np.full((4, 16, 20), 7), name="r", metadata={}, axes="TCYX")
    for channel in range(3):
        viewer.dims.set_point((0, 1), (1, channel))
        assert viewer.layers["r"].get_value((1, channel, 8, 8), world=True) == 7


@pytest.mark.parametrize(
    ("came", "largest", "dtype"),
    [("uint8", 3, "uint8"), ("uint8", 229, "uint8"), ("uint8", 250, "uint16"),
     ("uint16", 3, "uint16"), ("int64", 3, "uint16"), ("uint16", 58_000, "uint16"),
     ("uint16", 65_535, "int32"), ("int64", 2**31, "int64")],
)  # fmt: skip
def test_ids_get_a_small_type_with_room_to_paint(
    shelf: Any, came: str, largest: int, dtype: str
) -> None:
    layer = shelf.add_image(picture("YX"))
    labels = np.zeros((16, 20), came)
    labels[0, 0] = largest
    result = add_labels(shelf, layer, labels, name="r", metadata={})
    assert result.data.dtype == dtype
    assert result.data[0, 0] == largest


def test_large_results_stay_on_disk(shelf: Any, tmp_path: Any) -> None:
    layer = shelf.add_image(picture("TYX"))
    stored = zarr.create_array(
        tmp_path / "r.zarr", shape=(4, 16, 20), dtype="uint32", chunks=(1, 16, 20)
    )
    stored[...] = 5
    assert add_labels(shelf, layer, stored, name="r", metadata={}, axes="TYX").data is stored
    turned = shelf.add_image(picture("YXT").transpose(0, 1, 2), rgb=False)
    lazy = add_labels(shelf, turned, stored, name="r", metadata={}, axes="YXT")
    assert isinstance(lazy.data, da.Array)
    assert lazy.data.shape == (16, 20, 4)


def test_a_result_that_does_not_fit_is_refused_in_words(shelf: Any) -> None:
    layer = shelf.add_image(picture("YX"), name="cells")
    with pytest.raises(LabelsError, match="does not fit 'cells': expected 16 x 20"):
        add_labels(shelf, layer, np.zeros((20, 16), int), name="r", metadata={})


def test_results_are_new_layers_with_names_of_their_own(viewer: ViewerModel) -> None:
    layer = viewer.add_image(picture("YX"), name="cells")
    made = [
        add_labels(viewer, layer, np.zeros((16, 20), int), name="cells", metadata={"model": "m"})
        for _ in range(3)
    ]
    assert len({layer.name for layer in viewer.layers}) == 4
    assert made[0].metadata[METADATA_KEY] == {"model": "m"}


def test_row_of_the_features_table_belongs_to_its_label(shelf: Any) -> None:
    layer = shelf.add_image(picture("YX"))
    labels = np.zeros((16, 20), int)
    labels[2, 2], labels[5, 5] = 3, 9
    rows = [{"file": "a", "id": 9, "area_px": 90}, {"file": "a", "id": 3, "area_px": 30}]
    result = add_labels(shelf, layer, labels, name="r", metadata={}, features=rows)
    assert next(iter(result.features)) == "index"
    status = result.get_status((2, 2), world=True)
    assert "area_px: 30" in status["coordinates"] + str(status.get("value", ""))
    result.features = {}
    assert "area" not in str(result.get_status((2, 2), world=True))


def test_classes_have_the_colours_they_were_given(shelf: Any) -> None:
    layer = shelf.add_image(picture("YX"))
    labels = np.ones((16, 20), int)
    result = add_labels(
        shelf, layer, labels, name="r", metadata={}, colours={1: "#ff0000", 4: "#0000ff"}
    )
    np.testing.assert_allclose(result.get_color(1), [1, 0, 0, 1], atol=0.01)
    assert result.get_color(0) is None
    assert result.get_color(200)[-1] == 1  # a class painted later can be seen


def test_probabilities_lie_on_the_image_one_layer_per_class(shelf: Any) -> None:
    layer = shelf.add_image(picture("TCYX"), rgb=False, **place("TCYX", "all"))
    classes = np.random.default_rng(0).random((4, 2, 16, 20), np.float32)
    made = add_probability(
        shelf, layer, classes, name="p", metadata={}, class_names=["a", "b"], axes="TCYX"
    )
    assert [m.name for m in made] == ["p: a", "p: b"]
    world = layer.data_to_world((3, 2, 5, 6))
    index = tuple(np.round(made[1].world_to_data(world)).astype(int))
    assert made[1].data[index] == classes[3, 1, 5, 6]
    assert tuple(made[0].contrast_limits) == (0, 1)
    (single,) = add_probability(shelf, layer, classes[:, 0], name="q", metadata={}, axes="TCYX")
    assert single.name == "q"


def test_errors_have_their_own_colours_and_names(viewer: ViewerModel) -> None:
    truth = viewer.add_labels(np.kron(np.array([[1, 0], [0, 2]]), np.ones((8, 10), int)))
    found = error_map(np.zeros((16, 20), int), truth.data)
    layer = add_errors(viewer, truth, found)
    missed = layer.data[2, 2]
    assert missed != 0
    status = str(layer.get_status((2, 2), world=True))
    assert "missed" in status
    np.testing.assert_allclose(layer.get_color(missed), ColorValue(ERROR_COLOURS["missed"]))


@pytest.fixture
def result(shelf: Any) -> Labels:
    layer = shelf.add_image(picture("TYX"), name="cells", scale=(1, 0.5, 0.5))
    labels = np.zeros((4, 16, 20), int)
    labels[:, 4:8, 4:8] = 1
    return add_labels(shelf, layer, labels, name="r", metadata={}, axes="TYX")


def test_untouched_results_may_be_updated(result: Labels) -> None:
    assert is_ours(result)
    assert not was_edited(result)
    before = result.data
    new = np.full((4, 16, 20), 2)
    assert update_labels(result, new)
    assert result.data is before  # in place: fast, and no stale undo
    np.testing.assert_array_equal(result.data, new)
    assert not was_edited(result)
    assert update_labels(result, np.full((4, 16, 20), 70_000), metadata={"threshold": 0.7})
    assert result.data.max() == 70_000
    assert result.metadata[METADATA_KEY] == {"threshold": 0.7}


EDITS: dict[str, Callable[[Labels], Any]] = {
    "stroke": lambda layer: layer.paint((1, 3, 3), 5),
    "erased": lambda layer: layer.paint((1, 5, 5), 0),
    "fill": lambda layer: layer.fill((1, 5, 5), 4),
    "stroke still being drawn": lambda layer: (
        setattr(layer, "_block_history", True), layer.paint((1, 3, 3), 5)
    ),
    "undone": lambda layer: (layer.paint((1, 3, 3), 5), layer.undo()),
    "redone": lambda layer: (layer.paint((1, 3, 3), 5), layer.undo(), layer.redo()),
    "by a script": lambda layer: layer.data.__setitem__((0, 0, 0), 8),
    "data replaced": lambda layer: setattr(layer, "data", layer.data.copy()),
    "set item": lambda layer: layer.data_setitem((np.array([1]),) * 3, 6),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_what_a_person_painted_is_never_overwritten(result: Labels, edit: str) -> None:
    EDITS[edit](result)
    painted = np.array(result.data)
    assert was_edited(result)
    assert not update_labels(result, np.full((4, 16, 20), 2))
    np.testing.assert_array_equal(result.data, painted)


def test_layers_of_other_people_are_not_ours(result: Labels) -> None:
    own = Labels(np.zeros((4, 16, 20), int))
    copy = Labels.create(*result.as_layer_data_tuple())
    for layer in (own, copy):
        assert not is_ours(layer)
        assert was_edited(layer)
        assert not update_labels(layer, np.ones((4, 16, 20), int))
        assert not layer.data.all()


def test_a_brush_stroke_on_a_result_on_disk_counts(shelf: Any, tmp_path: Any) -> None:
    layer = shelf.add_image(picture("YX"))
    stored = zarr.create_array(tmp_path / "r.zarr", shape=(16, 20), dtype="uint32")
    result = add_labels(shelf, layer, stored, name="r", metadata={})
    assert not was_edited(result)
    result.paint((3, 3), 5)
    assert was_edited(result)


def test_selecting_hiding_and_renaming_is_no_edit(result: Labels) -> None:
    result.selected_label = 5
    result.visible = False
    result.name = "mine"
    result.opacity = 0.2
    result.refresh()
    assert not was_edited(result)


def test_geometry_does_not_need_units(shelf: Any) -> None:
    """napari before 0.5 has no units; other layers may lose them."""

    class Bare:
        """An image layer of an older napari."""

        def __init__(self, layer: ImageLayer) -> None:
            for name in ("name", "ndim", "data", "scale", "translate", "rotate", "shear", "affine"):
                setattr(self, name, getattr(layer, name))
            self.multiscale = self.rgb = False

    layer = shelf.add_image(picture("CYX"), rgb=False, scale=(1, 2, 3))
    geometry = result_geometry(Bare(layer), "CYX")  # type: ignore[arg-type]
    assert "units" not in geometry
    assert list(geometry["scale"]) == [2, 3]


def test_axes_are_the_cores() -> None:
    assert set(SIZES) == set(AXES)
