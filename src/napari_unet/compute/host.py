"""``python -m napari_unet.compute.host``: a dask scheduler and a worker, for one client.

Reads two lines of JSON from standard input (folder and the client's module path; when the client
has imported what makes them, certificates), prints one with its address, and ends when standard
input closes: a client that is killed leaves nothing behind.
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
"""How long jobs may take to save when the client is gone."""

_THREADS = 8
"""Number of jobs at once; each may use all processor cores."""

_QUIET = {
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.profile.enabled": False,
}
"""What a cluster watches itself by, up to a hundred times a second; a tenth of a core in all."""


def main() -> None:
    """Serve one client until it goes away."""
    answer = _private_stdout()
    settings = json.loads(sys.stdin.buffer.readline())
    _step_back()
    # Behind our own: a file beside the client's script must not take the place of a library.
    sys.path += [p for p in settings["path"] if p not in sys.path]
    import_module("dask").config.set(_QUIET)
    import_module("distributed")  # while the client does the same
    if second := sys.stdin.buffer.readline():
        asyncio.run(_serve(settings | json.loads(second), answer))
    _leave()


def _private_stdout() -> IO[str]:
    """Keep standard output for the one answer; what libraries print goes to the log."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answer


def _step_back() -> None:
    """Give napari priority for the processor, and for memory if it runs out.

    The environment variable NAPARI_UNET_NICE says by how much on POSIX, where others compute too;
    0: not at all. Linux weighs sessions against each other before it looks at the processes in
    them, and this process leads a session: the session steps back as well. A share of the processor
    is one thing, how soon napari gets it another: what has Linux's idle policy is interrupted as
    soon as napari has something to do.
    """
    import psutil

    process = psutil.Process()
    posix = os.name == "posix"
    back = int(os.environ.get("NAPARI_UNET_NICE", "10"))
    nice = back + process.nice() if posix else 0
    process.nice(nice if posix else psutil.BELOW_NORMAL_PRIORITY_CLASS)
    if sys.platform == "linux" and back > 0:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for file, value in (("autogroup", nice), ("oom_score_adj", 500)):
        with contextlib.suppress(OSError):  # not Linux, or not allowed here
            Path("/proc/self", file).write_text(str(value))


async def _serve(settings: dict[str, Any], answer: IO[str]) -> None:
    from distributed import Scheduler, Security, Worker

    class QuietScheduler(Scheduler):
        def start_http_server(self, *args: Any, **kwargs: Any) -> None:
            """Serve no logs and call stacks to other users of the computer."""

    class QuietWorker(Worker):
        def start_http_server(self, *args: Any, **kwargs: Any) -> None:
            """Serve no logs and call stacks to other users of the computer."""

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
        await _client_gone()
        # A client that was killed cannot: its log has no reader any more.
        shutil.rmtree(settings["folder"], ignore_errors=True)
        _leave()


def _import_torch() -> None:
    """Do the slowest import while the user still looks at the form.

    What all these modules consist of is there to stay: the collector, which runs after each job,
    need not look at it again. That would take as long as a small prediction.
    """
    import_module("torch")
    gc.freeze()


async def _client_gone() -> None:
    """Wait until standard input closes, then until the jobs have saved."""
    from napari_unet.compute.worker import stop_all

    loop = asyncio.get_running_loop()
    gone = asyncio.Event()

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        stop_all(_SAVE_S)
        loop.call_soon_threadsafe(gone.set)

    threading.Thread(target=watch, name="watch-stdin", daemon=True).start()
    await gone.wait()


def _leave() -> None:
    """End at once, whatever threads of libraries still do."""
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
