"""The number of torch threads, adapted to the processor cores that other programs leave free."""

from __future__ import annotations

import os
import time

__all__ = ["FreeCores", "threads_beside"]

_EVERY_S = 1.0
_LITTLE = 0.4
"""Load on a core, as a fraction, that does not yet count as another program using it."""


class FreeCores:
    """A context in which torch uses only the cores that other programs leave free.

    This process has the lowest priority, and each operation of a network waits for its slowest
    thread: one thread on a core that another program keeps busy delays all of them. With one thread
    fewer, the computation runs at the speed of the other cores.
    """

    def __init__(self) -> None:
        linux = hasattr(os, "sched_getaffinity")
        self._cores = set(os.sched_getaffinity(0)) if linux else set(range(os.cpu_count() or 1))
        self._others = 0.0
        self._times = self._measure()

    def __enter__(self) -> FreeCores:
        import torch

        self._most = torch.get_num_threads()
        return self

    def __exit__(self, *_: object) -> None:
        import torch

        torch.set_num_threads(self._most)

    def adapt(self) -> None:
        """Measure the load of other programs once per second, and set the number of threads."""
        if time.monotonic() < self._times[0] + _EVERY_S:
            return
        before, self._times = self._times, self._measure()
        seconds, idle, own = (b - a for a, b in zip(before, self._times, strict=True))
        others = max(0.0, len(self._cores) - (idle + own) / seconds)
        self._others = (self._others + others) / 2
        import torch

        threads = threads_beside(self._others, len(self._cores), self._most)
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def _measure(self) -> tuple[float, float, float]:
        """Return, in seconds, the time now, the cores' idle time and this process's CPU time."""
        import psutil

        times = [t for i, t in enumerate(psutil.cpu_times(percpu=True)) if i in self._cores]
        idle = sum(t.idle + getattr(t, "iowait", 0.0) for t in times)
        return time.monotonic(), idle, time.process_time()


def threads_beside(others: float, cores: int, most: int) -> int:
    """Return the number of threads to use while other programs keep `others` cores busy."""
    return max(1, min(most, int(cores - others + _LITTLE)))
