"""The number of threads of live training while other programs run."""

from types import SimpleNamespace

import psutil
import pytest
import torch

from napari_unet.compute import free_cores
from napari_unet.compute.free_cores import FreeCores, threads_beside


@pytest.mark.parametrize(
    ("others", "cores", "most", "expected"),
    [
        (0.0, 2, 2, 2),
        (0.3, 2, 2, 2),
        (1.0, 2, 2, 1),
        (2.0, 2, 2, 1),
        (1.0, 16, 8, 8),  # two threads per core leave enough room
        (1.0, 8, 8, 7),
        (7.0, 8, 8, 1),
    ],
)
def test_busy_cores_are_left_to_other_programs(others, cores, most, expected):
    assert threads_beside(others, cores, most) == expected


def test_it_adapts_to_the_load_and_restores_the_number_of_threads(monkeypatch):
    clock = SimpleNamespace(now=0.0, idle=0.0, own=0.0)
    fake = SimpleNamespace(monotonic=lambda: clock.now, process_time=lambda: clock.own)
    monkeypatch.setattr(free_cores, "time", fake)
    monkeypatch.setattr(free_cores.os, "sched_getaffinity", lambda _: {1, 3}, raising=False)

    def cpu_times(percpu):
        busy = SimpleNamespace(idle=0.0, iowait=0.0)
        return [busy, SimpleNamespace(idle=clock.idle, iowait=0.0), busy, busy]

    monkeypatch.setattr(psutil, "cpu_times", cpu_times)
    chosen = [2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: chosen[-1])
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)

    def pass_time(idle, own, times=3):
        for _ in range(times):
            clock.now, clock.idle, clock.own = clock.now + 2, clock.idle + idle, clock.own + own
            cores.adapt()

    with FreeCores() as cores:
        cores.adapt()
        pass_time(idle=0, own=4)  # all load is from this process
        pass_time(idle=3, own=1)
        assert chosen == [2]
        pass_time(idle=0, own=2)
        assert chosen == [2, 1]
        pass_time(idle=2, own=2, times=5)
        assert chosen == [2, 1, 2]
        pass_time(idle=0, own=1)
        assert chosen[-1] == 1
    assert chosen[-1] == 2
