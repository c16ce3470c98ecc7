"""The demo in napari: a sample, segmented and scored."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_unet.cli import app, demo_run
from napari_unet.core.errors import UNetError
from napari_unet.gui.demo import open_demo

pytestmark = pytest.mark.usefixtures("own_session")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of `napari-unet demo`, with one image instead of four."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_run, "_TEST", 1)
        result = CliRunner().invoke(app, ["demo", "--threads", "1", "--out", str(out)])
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.timeout(120)
def test_demo_is_segmented_and_scored(make_napari_viewer: Any, qtbot: Any, folder: Path) -> None:
    viewer = make_napari_viewer(show=False)
    _, evaluate = open_demo(viewer, folder)
    qtbot.waitUntil(lambda: evaluate.error_layer is not None, timeout=60_000)
    kinds = [type(layer).__name__ for layer in viewer.layers]
    assert kinds == ["Image", "Labels", "Labels", "Labels"], "image, truth, prediction, errors"
    for layer in viewer.layers:
        assert tuple(layer.scale) == (0.5, 0.5)
        np.testing.assert_array_equal(layer.extent.world, viewer.layers[0].extent.world)
    assert evaluate.results.native.isVisibleTo(evaluate.native)


def test_a_folder_without_a_demo_is_told(make_napari_viewer: Any, tmp_path: Path) -> None:
    with pytest.raises(UNetError, match=str(tmp_path)):
        open_demo(make_napari_viewer(show=False), tmp_path)
