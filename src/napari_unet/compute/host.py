"""A dask scheduler and a worker for one client, run by ``python -m napari_unet.compute.host``.

The process reads two lines of JSON from standard input: first the folder and the module path of the
client, later the certificates, once the client has imported the module that creates them. It prints
one line with its address, and ends when standard input closes, so that a killed client leaves no
process behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import shutil
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import IO, Any

__all__ = ["main"]

_SAVE_S = 4.0
"""Longest time for jobs to save after the client has exited."""

_THREADS = 8
"""Number of simultaneous jobs; each may use all processor cores."""

_QUIET = {
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.profile.enabled": False,
}
"""Settings that switch off the self-monitoring of a cluster, which would take a tenth of a core."""


def main() -> None:
    """Serve one client until it exits."""
    answer = _private_stdout()
    settings = json.loads(sys.stdin.buffer.readline())
    _lower_priority()
    # Appended, because a file next to the client's script must not shadow a library.
    sys.path += [p for p in settings["path"] if p not in sys.path]
    import_module("dask").config.set(_QUIET)
    import_module("distributed")  # at the same time as the client
    if second := sys.stdin.buffer.readline():
        asyncio.run(_serve(settings | json.loads(second), answer))
    _exit()


def _private_stdout() -> IO[str]:
    """Return standard output for the answer, and redirect everything libraries print to the log."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answer


def _lower_priority() -> None:
    """Lower the priority below napari's for the processor, and for memory if it runs out.

    On POSIX, the environment variable NAPARI_UNET_NICE sets the increase in niceness, 10 by
    default; 0 leaves the priority unchanged. Linux shares the processor between sessions first, and
    only then between the processes in a session. Because this process leads a session, the priority
    of that session is lowered as well. Under Linux's idle scheduling policy, napari also interrupts
    this process immediately instead of waiting for its next time slice.
    """
    import psutil

    process = psutil.Process()
    posix = os.name == "posix"
    increase = int(os.environ.get("NAPARI_UNET_NICE", "10"))
    nice = increase + process.nice() if posix else 0
    process.nice(nice if posix else psutil.BELOW_NORMAL_PRIORITY_CLASS)
    if sys.platform == "linux" and increase > 0:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for file, value in (("autogroup", nice), ("oom_score_adj", 500)):
        with contextlib.suppress(OSError):  # not Linux, or not permitted
            Path("/proc/self", file).write_text(str(value))


async def _serve(settings: dict[str, Any], answer: IO[str]) -> None:
    from distributed import Scheduler, Security, Worker

    class QuietScheduler(Scheduler):
        def start_http_server(self, *args: Any, **kwargs: Any) -> None:
            """Start no server: other users of the computer must not see logs and call stacks."""

    class QuietWorker(Worker):
        def start_http_server(self, *args: Any, **kwargs: Any) -> None:
            """Start no server: other users of the computer must not see logs and call stacks."""

    security = Security(**settings["security"])
    local: dict[str, Any] = {"host": "127.0.0.1", "protocol": "tls", "security": security}
    async with (
        QuietScheduler(port=0, dashboard=False, **local) as scheduler,
        QuietWorker(
            scheduler.address,
            nthreads=_THREADS,
            memory_limit=0,
            local_directory=settings["folder"],
            name="napari-unet",
            **local,
        ),
    ):
        answer.write(json.dumps({"address": scheduler.address}) + "\n")
        answer.close()
        threading.Thread(target=_import_torch, name="import-torch", daemon=True).start()
        await _wait_for_exit()
        # A killed client cannot remove the folder, and nothing else reads its log.
        shutil.rmtree(settings["folder"], ignore_errors=True)
        _exit()


def _import_torch() -> None:
    """Import torch, the slowest import, while the user still fills in the form.

    The objects of the imported modules are never freed, so they are excluded from garbage
    collection, which runs after each job and would take as long as a small prediction.
    """
    import_module("torch")
    gc.freeze()


async def _wait_for_exit() -> None:
    """Wait until the client has closed standard input and the jobs have saved."""
    from napari_unet.compute.worker import stop_all

    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        stop_all(_SAVE_S)
        loop.call_soon_threadsafe(done.set)

    threading.Thread(target=watch, name="watch-stdin", daemon=True).start()
    await done.wait()


def _exit() -> None:
    """Exit immediately, without waiting for threads of libraries."""
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
