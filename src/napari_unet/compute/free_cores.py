"""As many threads as other programs leave processor cores free."""

from __future__ import annotations

import os
import time

__all__ = ["FreeCores", "threads_beside"]

_EVERY_S = 1.0
_LITTLE = 0.4
"""So much of a core others may take without its being left to them."""


class FreeCores:
    """Limits torch to the cores that other programs leave free, inside this context.

    This process gives way to all others, and each operation of a network waits for the slowest of
    its threads: a single one on a core that another program keeps busy holds up all of them. With a
    thread less the computation goes on as fast as the other cores allow.
    """

    def __init__(self) -> None:
        linux = hasattr(os, "sched_getaffinity")
        self._cores = set(os.sched_getaffinity(0)) if linux else set(range(os.cpu_count() or 1))
        self._others = 0.0
        self._times = self._look()

    def __enter__(self) -> FreeCores:
        import torch

        self._most = torch.get_num_threads()
        return self

    def __exit__(self, *_: object) -> None:
        import torch

        torch.set_num_threads(self._most)

    def adapt(self) -> None:
        """Look, once in a second, what others take, and choose the number of threads."""
        if time.monotonic() < self._times[0] + _EVERY_S:
            return
        before, self._times = self._times, self._look()
        seconds, idle, own = (b - a for a, b in zip(before, self._times, strict=True))
        others = max(0.0, len(self._cores) - (idle + own) / seconds)
        self._others = (self._others + others) / 2
        import torch

        threads = threads_beside(self._others, len(self._cores), self._most)
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def _look(self) -> tuple[float, float, float]:
        """Now, how long the cores have been idle, and how long this process has computed, in s."""
        import psutil

        times = [t for i, t in enumerate(psutil.cpu_times(percpu=True)) if i in self._cores]
        idle = sum(t.idle + getattr(t, "iowait", 0.0) for t in times)
        return time.monotonic(), idle, time.process_time()


def threads_beside(others: float, cores: int, most: int) -> int:
    """Return the number of threads if other programs keep `others` of the cores busy."""
    return max(1, min(most, int(cores - others + _LITTLE)))
