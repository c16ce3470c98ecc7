"""The Train widget with a real compute process that is stopped, killed or closed in mid-run."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_unet.compute import Engine
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.models.catalogue import find_entry
from napari_unet.gui.train.widget import TrainWidget

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("own_session")]


def wait(condition: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "that did not happen"
        QApplication.processEvents()
        time.sleep(0.01)


def add_strokes(viewer: Any) -> None:
    """Add a few strokes on bright blobs and on the background between them."""
    image, nuclei = synthetic_nuclei((128, 128), 12, seed=3, diameter_px=(16, 24))
    viewer.add_image(image, name="cells")
    strokes = np.zeros(nuclei.shape, np.uint8)
    for number in range(1, 9):
        y, x = np.argwhere(nuclei == number).mean(axis=0).astype(int)
        strokes[y - 1 : y + 2, x - 3 : x + 4] = 2
    strokes[::16][nuclei[::16] == 0] = 1
    viewer.add_labels(strokes, name="strokes")


def ready_widget(viewer: Any, steps: int) -> TrainWidget:
    """Return a widget that is set to train a tiny network on the strokes."""
    widget = TrainWidget(viewer)
    widget.fields.meaning.value = "strokes"
    widget.more.unit.value = "steps"
    widget.more.budget.value = steps
    widget.more.settings.show(depth=1, base_channels=4, patch_px=64, validation_fraction=0)
    widget.more.device.value = "cpu"
    wait(lambda: widget.summary and not widget.looking)
    return widget


def is_training(widget: TrainWidget) -> bool:
    curves = widget.panel.curves
    return curves is not None and len(curves.points("train_loss")[0]) > 2


def test_strokes_are_trained_on_stopped_and_resumed(qtbot) -> None:
    viewer = ViewerModel()
    add_strokes(viewer)
    widget = ready_widget(viewer, steps=100_000)
    qtbot.addWidget(widget.native)
    widget.train()
    wait(lambda: is_training(widget) and "cells preview" in viewer.layers)
    widget.panel.progress._stop.click()
    wait(lambda: not widget.controller.busy)
    assert "; you can resume the run any time." in widget.result.text
    entry = find_entry("cells")
    assert entry is not None
    assert entry.info is not None
    steps = entry.info.provenance["steps"]
    assert steps >= 3
    viewer.layers["strokes"].data[:] = 0  # the run has its own copy
    widget._resuming.resume_last()
    wait(lambda: is_training(widget) and widget.panel.curves.points("train_loss")[0][-1] > steps)
    widget.stop()
    wait(lambda: not widget.controller.busy)
    again = find_entry("cells")
    assert again is not None
    assert again.info is not None
    assert again.info.provenance["steps"] > steps
    assert find_entry("cells-2") is None


def test_a_viewer_closed_in_mid_training_stops_it(make_napari_viewer, engine: Engine) -> None:
    viewer = make_napari_viewer()
    add_strokes(viewer)
    widget = ready_widget(viewer, steps=100_000)
    viewer.window.add_dock_widget(widget)
    widget.train()
    wait(lambda: is_training(widget))
    (job,) = engine._jobs.values()
    viewer.close()
    wait(lambda: job.status == "done")  # stopped and saved
    assert (job.request.run_folder / "last.safetensors").is_file()
