import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest

from napari_unet.core.system import allocator
from napari_unet.core.system.allocator import keeping_freed_memory, return_freed_memory

BLOCK, BLOCKS = 65_536, 1600

glibc = pytest.mark.skipif(
    allocator._library() is None, reason="the C library has no mallopt: nothing is done there"
)


@glibc
def test_large_arrays_are_not_fetched_anew_and_given_back_at_the_end():
    """Runs in a separate process, because memory freed earlier counts."""
    code = """
import resource
from pathlib import Path
import numpy as np
from napari_unet.core.system.allocator import keeping_freed_memory

def faults(n=5):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(n):
        np.empty(12_000_000).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

plain = faults()
with keeping_freed_memory():
    faults(1)
    kept = faults()
    held = resident_mb()
print(plain, kept, held - resident_mb(), faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    plain, kept, released_mb, after = (float(x) for x in done.stdout.split())
    assert kept < 0.1 * plain
    assert released_mb > 80
    assert after > 0.5 * plain


@glibc
def test_memory_below_what_is_in_use_is_given_back():
    process = psutil.Process()
    blocks = [np.ones(BLOCK, np.uint8) for _ in range(BLOCKS)]
    full = process.memory_info().rss
    del blocks[:-1]  # the last one is above all others
    return_freed_memory()
    assert process.memory_info().rss < full - 0.8 * BLOCK * BLOCKS
    assert blocks[0].all()


def test_it_lasts_until_the_last_user_is_done(monkeypatch):
    sizes = []
    monkeypatch.setattr(allocator, "_set", sizes.append)
    entered, leave = threading.Event(), threading.Event()

    def use():
        with keeping_freed_memory():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=use)
    with keeping_freed_memory():
        thread.start()
        assert entered.wait(10)
    assert sizes == [allocator._KEPT_BYTES]
    leave.set()
    thread.join(10)
    assert sizes == [allocator._KEPT_BYTES, allocator._USUAL_BYTES]


def test_an_error_inside_gives_it_back(monkeypatch):
    sizes = []
    monkeypatch.setattr(allocator, "_set", sizes.append)
    with pytest.raises(ZeroDivisionError), keeping_freed_memory():
        _ = 1 / 0
    assert sizes == [allocator._KEPT_BYTES, allocator._USUAL_BYTES]
