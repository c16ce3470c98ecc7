"""Every kind of layer in the Predict widget: the result always lies on its image."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
import zarr
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model, save_model
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.gui.predict.widget import PredictWidget

pytestmark = pytest.mark.usefixtures("own_session")

DTYPES = ("uint8", "uint16", "int32", "float32", "float64")
CONTAINERS = ("numpy", "dask", "zarr", "multiscale")
LEADING = {"YX": (), "TYX": (3,), "ZYX": (2,), "CYX": (3,), "RGB": (), "RGBA": ()}
NAMES = {"T": "time", "Z": "z", "C": "channel", "Y": "y", "X": "x"}
YX = (32, 24)


def make_model(path: Path, channels: int, rgb: bool) -> Path:
    """Save a network with random weights whose threshold splits noise into halves."""
    classes = (ClassInfo(id=0, name="nothing", background=True), ClassInfo(id=1, name="cell"))
    config = UNetConfig(depth=1, base_channels=2, in_channels=channels, out_channels=1)
    torch.manual_seed(9)
    info = ModelInfo(
        unet=config, task=Semantic(classes=classes), normalization=Normalization(), rgb=rgb
    )
    weights = UNet(config).state_dict()
    weights["head.weight"] *= 20  # so that outputs also differ in bfloat16
    model = Model(info, weights)
    noise = np.random.default_rng(0).integers(0, 255, (channels, *YX)).astype(np.uint8)
    maps = predict(model, Image(noise, "CYX", rgb=rgb), probabilities=True).probabilities
    task = info.task.model_copy(update={"threshold": float(np.median(maps))})
    save_model(path, Model(info.model_copy(update={"task": task}), model.weights))
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    one = make_model(folder / "one.safetensors", 1, rgb=False)
    colour = make_model(folder / "colour.safetensors", 3, rgb=True)
    three = make_model(folder / "three.safetensors", 3, rgb=False)
    by_kind = {"CYX": three, "RGB": colour, "RGBA": colour}
    return {kind: by_kind.get(kind, one) for kind in LEADING}


def picture(kind: str, *, binary: bool = False) -> np.ndarray:
    rng = np.random.default_rng(7)
    colours = {"RGB": (3,), "RGBA": (4,)}.get(kind, ())
    return rng.integers(0, 2 if binary else 255, (*LEADING[kind], *YX, *colours)).astype(np.uint8)


def contained(array: np.ndarray, container: str, folder: Path) -> Any:
    if container == "dask":
        return da.from_array(array, chunks="auto")
    if container == "zarr":
        return zarr.array(array, store=str(folder), chunks=array.shape)
    return array


def add(viewer: ViewerModel, kind: str, dtype: str, container: str, folder: Path) -> ImageLayer:
    """Add a layer that is scaled, moved and rotated, with units and axis names."""
    binary = dtype.startswith("binary")
    array = picture(kind, binary=binary).astype(dtype.removeprefix("binary "))
    rgb = kind.startswith("RGB")
    data = contained(array, container, folder / dtype)
    if container == "multiscale":
        data = [array, array[..., ::2, ::2, :] if rgb else array[..., ::2, ::2]]
    axes = "YX" if rgb else kind
    ndim = len(axes)
    return viewer.add_image(
        data,
        name=dtype,
        rgb=rgb,
        multiscale=container == "multiscale",
        scale=[2.0, 0.5, 0.25][-ndim:],
        translate=[3.0, -7.0, 11.5][-ndim:],
        rotate=20 if ndim == 2 else (0, 0, 20),
        units=["micrometer"] * ndim if "T" not in axes else ["second", "micrometer", "micrometer"],
        axis_labels=[NAMES[a] for a in axes],
    )


def predict_selected(qtbot: Any, viewer: ViewerModel, model: Path) -> PredictWidget:
    widget = PredictWidget(viewer)
    qtbot.addWidget(widget.native)
    widget.model.choose(model)
    widget.scope.value = "selected"
    viewer.layers.selection = {x for x in viewer.layers if isinstance(x, ImageLayer)}
    assert widget.check() == ""
    widget.predict()
    qtbot.waitUntil(lambda: not widget.run.busy, timeout=30_000)
    return widget


def corners(layer: Any, ndim: int) -> np.ndarray:
    """Return the world coordinates of the first and last pixels, along the last axes."""
    shape = (layer.data[0] if layer.multiscale else layer.data).shape[: layer.ndim]
    points = np.array([np.zeros(layer.ndim), np.array(shape) - 1])
    points[:, : layer.ndim - ndim] = 0
    return np.array([layer.data_to_world(p) for p in points])[:, -ndim:]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", LEADING)
def test_a_result_lies_on_its_image_and_is_the_same_for_every_dtype(
    kind: str, container: str, models: dict[str, Path], qtbot: Any, tmp_path: Path
) -> None:
    viewer = ViewerModel()
    sources = [add(viewer, kind, dtype, container, tmp_path) for dtype in DTYPES]
    widget = predict_selected(qtbot, viewer, models[kind])
    assert widget.message.kind == "good", widget.message.text
    results = {r.source.name: r.layer for r in widget.run.results}
    expected = expected_labels(kind, models[kind])
    for source in sources:
        result = results[source.name]
        assert isinstance(result, Labels)
        assert result.data.dtype == np.uint8
        np.testing.assert_array_equal(np.asarray(result.data), expected, err_msg=source.name)
        ndim = result.ndim
        assert ndim == expected.ndim
        np.testing.assert_allclose(corners(result, ndim), corners(source, ndim))
        assert result.units == source.units[-ndim:]
        assert result.axis_labels == source.axis_labels[-ndim:]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", [k for k in LEADING if k[:3] != "RGB"])  # napari has no bool RGB
def test_bool_is_an_image_like_any_other(
    kind: str, container: str, models: dict[str, Path], qtbot: Any, tmp_path: Path
) -> None:
    viewer = ViewerModel()
    for dtype in ("binary uint8", "binary bool"):
        add(viewer, kind, dtype, container, tmp_path)
    widget = predict_selected(qtbot, viewer, models[kind])
    first, second = (r.layer.data for r in widget.run.results)
    assert len(np.unique(first)) == 2
    np.testing.assert_array_equal(first, second)


def expected_labels(kind: str, model: Path) -> np.ndarray:
    """Return the labels that the core predicts for the plain array."""
    axes = "YXS" if kind.startswith("RGB") else kind
    labels = predict(load_model(model), Image.from_array(picture(kind), axes)).labels
    assert 0.1 < labels.mean() < 0.9
    return labels
