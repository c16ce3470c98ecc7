"""Functions that a client calls in the worker: run a job, stop it, fetch its preview."""

from __future__ import annotations

import gc
import logging
import pickle
import queue
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import Any

from napari_unet.compute.events import (
    Accepted,
    Over,
)
from napari_unet.compute.job_context import (
    JobContext,
    command_queues,
    open_parcel,
    previews,
    stop_requests,
)
from napari_unet.compute.parcels import Parcel, pack
from napari_unet.core import errors
from napari_unet.core.errors import DeviceError, UNetError

__all__ = ["Failure", "Success", "fetch_preview", "run_job", "send_command", "stop_all", "stop_job"]

_log = logging.getLogger("napari_unet")

_running: set[str] = set()


@dataclass(frozen=True)
class Success:
    """Result of a job that succeeded."""

    value: Any


@dataclass(frozen=True)
class Failure:
    """Error of a job that failed.

    Parameters
    ----------
    error
        Error for the user; None if the error was unexpected.
    trace
        Stack trace of an unexpected error.
    """

    error: UNetError | None
    trace: str = ""


def run_job(job: str, parcel: Parcel, long: bool) -> Parcel:
    """Run a job as a task of a dask worker.

    Parameters
    ----------
    job
        Id of the job, which is also the topic of its events.
    parcel
        The packed request.
    long
        Whether the job leaves the worker's pool of threads, as training does.

    Returns
    -------
    Parcel
        A packed `Success` or `Failure`. No exception leaves this function, because unpickling it
        could make the client import torch.
    """
    from distributed import get_worker, secede

    worker = get_worker()
    if long:
        secede()

    def send(event: object) -> None:
        worker.log_event(job, pickle.dumps(event))

    outcome: list[Parcel] = []

    def run() -> None:
        outcome.append(_outcome(JobContext(job, send), parcel))

    # In one of dask's own threads, every dask array would be computed by sending its graph to the
    # scheduler, so the job gets a separate one: a daemon, which must not keep the worker alive.
    command_queues[job] = queue.SimpleQueue()  # before the client learns that the job runs here
    send(Accepted(worker.address))
    thread = threading.Thread(target=run, name=f"job-{job[:8]}", daemon=True)
    thread.start()
    thread.join()
    send(Over())
    return outcome[0]


def stop_job(job: str) -> None:
    """Ask a job to stop, even if it has not started."""
    stop_requests.setdefault(job, threading.Event()).set()


def send_command(job: str, parcel: Parcel) -> None:
    """Send a command to a job, which reads it from `JobContext.commands`."""
    if job in command_queues:
        command_queues[job].put(parcel)


def stop_all(timeout_s: float) -> None:
    """Ask all jobs to stop, and wait until they have saved."""
    for job in list(_running):
        stop_job(job)
    deadline = time.monotonic() + timeout_s
    while _running and time.monotonic() < deadline:
        time.sleep(0.02)


def fetch_preview(job: str) -> bytes | None:
    """Return the latest preview, pickled; None if there is none, or it was already fetched."""
    return previews.pop(job, None)


def _outcome(context: JobContext, parcel: Parcel) -> Parcel:
    from napari_unet.compute.work import work

    stop_requests.setdefault(context.id, threading.Event())
    _running.add(context.id)
    try:
        result: Success | Failure = Success(work(open_parcel(parcel), context))
        context.flush()
        return pack(result)
    except BaseException as error:
        result = _failure(error)
    finally:
        _running.discard(context.id)
        stop_requests.pop(context.id, None)
        command_queues.pop(context.id, None)
        _free_memory()
    return pack(result)


def _failure(error: BaseException) -> Failure:
    """Convert an exception to a `Failure` that can be unpickled without other packages."""
    if isinstance(error, UNetError):
        kind = next(c for c in type(error).__mro__ if c.__module__ == errors.__name__)
        return Failure(kind(str(error)))
    if isinstance(error, MemoryError):
        text = "The computer is out of memory. Choose a smaller image, or smaller blocks."
        return Failure(DeviceError(text))
    trace = "".join(traceback.format_exception(error))
    _log.error("A job failed:\n%s", trace)
    return Failure(None, trace)


def _free_memory() -> None:
    """Release cached GPU memory for other programs."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
