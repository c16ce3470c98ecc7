"""What is free goes back to the system."""

import sys

import numpy as np
import psutil
import pytest

from napari_unet.compute.memory import give_back_memory

BLOCK, BLOCKS = 65_536, 1600


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc keeps so much")
def test_memory_below_what_is_in_use_is_given_back():
    process = psutil.Process()
    blocks = [np.ones(BLOCK, np.uint8) for _ in range(BLOCKS)]
    full = process.memory_info().rss
    del blocks[:-1]  # the last one lies above all others
    give_back_memory()
    assert process.memory_info().rss < full - 0.8 * BLOCK * BLOCKS
    assert blocks[0].all()
