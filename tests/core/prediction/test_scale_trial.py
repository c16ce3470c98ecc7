"""Parts of an image seen through a network: where it looks, and which objects count."""

import numpy as np
import pytest
from ideal_network import ideal

from napari_unet.core.prediction.scale_trial import Trial, TrialPlane, find_windows, probe_scale
from napari_unet.core.tasks.instances import Instances


def test_windows_lie_where_objects_are():
    image = np.zeros((1, 2048, 2048), np.float32)
    image[0, 700:720, 1500:1520] = 1
    best = find_windows(TrialPlane(image, [(0.0, 1.0)]), 256, 3)[0]
    assert image[(0, *best)].sum() == image.sum()


def test_an_overview_does_not_read_a_large_plane_whole():
    class Stored:
        shape, dtype, ndim = (1, 30_000, 20_000), np.dtype(np.uint16), 3
        read = 0

        def __getitem__(self, index):
            read = np.broadcast_to(np.uint16(5), self.shape)[index]
            self.read = max(self.read, read.size)
            return np.array(read)

    stored = Stored()
    picture = TrialPlane(stored, [(0.0, 10.0)]).stands_out
    assert picture.shape == (256, 171)
    assert picture.max() < 1e-6
    assert 0 < stored.read < 4_000_000


def test_objects_at_the_edge_of_a_window_are_not_measured():
    image = np.zeros((1, 200, 200), np.float32)
    image[0, :18, 50:68] = 1
    trial = probe_scale(ideal, Instances(), [TrialPlane(image, [(0.0, 1.0)])], 1.0)
    assert trial.diameter_px is None
    assert trial.mean_quality == 0


def test_specks_that_are_not_recognised_do_not_count_for_the_diameter():
    area, quality = np.array([500.0, 530, 560, *[15] * 13]), np.array([0.95] * 3 + [0.1] * 13)
    trial = Trial(2.0, area, quality, looked_at_px=10_000)
    assert trial.diameter_px == pytest.approx(np.sqrt(4 / np.pi * 530))
    assert Trial(2.0, area[3:], quality[3:], 10_000).diameter_px == pytest.approx(4.37, abs=0.01)
    assert Trial(2.0, area[:0], quality[:0], 10_000).diameter_px is None
