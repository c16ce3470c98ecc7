"""Suggestions are in the unpainted window in which the network is least certain."""

import numpy as np
from live_training import QUICK, TASK, learn

from napari_unet.core.live import judge, suggestions
from napari_unet.core.live.network import LiveNetwork
from napari_unet.core.live.trainer import LiveTraining
from napari_unet.core.live.uncertainty import uncertainty


def test_the_least_certain_unpainted_window_is_found(cells, strokes):
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", cells[0], strokes)
    learn(training, 30)
    window = training.least_certain("cells", 32)
    assert not strokes[window].any()
    assert strokes[window].shape == (32, 32)
    doubt = uncertainty(training.outputs("cells"))
    free = [
        doubt[y : y + 32, x : x + 32].mean()
        for y in range(0, 129, 4)
        for x in range(0, 129, 4)
        if not strokes[y : y + 32, x : x + 32].any()
    ]
    assert doubt[window].mean() >= max(free) - 1e-4
    training.edit("cells", (0, 0), np.where(np.indices(strokes.shape)[0] % 24, 0, 1))
    smaller = training.least_certain("cells", 32)
    assert strokes[smaller].shape == (16, 16)
    training.edit("cells", (0, 0), np.ones_like(strokes))
    assert training.least_certain("cells", 32) is None


def test_only_parts_of_large_images_are_predicted(cells, strokes, monkeypatch):
    monkeypatch.setattr(suggestions, "_TILE_PX", 32)
    monkeypatch.setattr(suggestions, "_MOST_TILES", 3)
    monkeypatch.setattr(judge, "_JUDGED_PX", 48)
    image, _ = cells
    training = LiveTraining(TASK, settings=QUICK)
    training.put("cells", image, strokes)
    learn(training, 3)
    regions: list[tuple[slice, slice]] = []
    predict = LiveNetwork.predict

    def noting_predict(network, canvas, region, predictor=None):
        regions.append(region)
        return predict(network, canvas, region, predictor)

    monkeypatch.setattr(LiveNetwork, "predict", noting_predict)
    window = training.least_certain("cells", 16)
    assert len(regions) == 3
    assert any(r.start <= w.start < w.stop <= r.stop for w in window[:1] for r, _ in regions)
    assert not strokes[window].any()
    regions.clear()
    training.edit("cells", (0, 0), np.full(strokes.shape, 2, np.uint8))
    ((rows, columns),) = regions
    assert max(rows.stop - rows.start, columns.stop - columns.start) <= 48
    assert training.scores.counts == {2: 1}
