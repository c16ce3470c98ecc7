"""What a client calls in the worker: run a job, stop it, fetch its preview."""

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
from napari_unet.compute.job_context import JobContext, inboxes, open_parcel, previews, stops
from napari_unet.compute.parcels import Parcel, pack
from napari_unet.core import errors
from napari_unet.core.errors import DeviceError, UNetError

__all__ = ["Failure", "Success", "fetch_preview", "run_job", "send_command", "stop_all", "stop_job"]

_log = logging.getLogger("napari_unet")

_running: set[str] = set()


@dataclass(frozen=True)
class Success:
    """What a job came to."""

    value: Any


@dataclass(frozen=True)
class Failure:
    """Why a job failed: an error for users, or the stack trace of an unexpected one."""

    error: UNetError | None
    trace: str = ""


def run_job(job: str, parcel: Parcel, long: bool) -> Parcel:
    """Run a job as a task of a dask worker.

    Parameters
    ----------
    job
        Its id, also the topic of its events.
    parcel
        The request.
    long
        Whether it gives its place among the worker's threads to others, as training does.

    Returns
    -------
    Parcel
        `Success` or `Failure`: no exception leaves this function, as an unpickled one could make
        the client import torch.
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

    # A thread that dask does not know: in its own, every dask array would be computed by sending
    # its graph to the scheduler. Daemon: it must not keep an ending worker alive.
    inboxes[job] = queue.SimpleQueue()  # before anybody can know that it runs here
    send(Accepted(worker.address))
    thread = threading.Thread(target=run, name=f"job-{job[:8]}", daemon=True)
    thread.start()
    thread.join()
    send(Over())
    return outcome[0]


def stop_job(job: str) -> None:
    """Request a job to stop, even one that has not begun."""
    stops.setdefault(job, threading.Event()).set()


def send_command(job: str, parcel: Parcel) -> None:
    """Send a command to a job, which reads it with `JobContext.messages`."""
    if job in inboxes:
        inboxes[job].put(parcel)


def stop_all(timeout_s: float) -> None:
    """Request all jobs to stop, and wait for them to save."""
    for job in list(_running):
        stop_job(job)
    deadline = time.monotonic() + timeout_s
    while _running and time.monotonic() < deadline:
        time.sleep(0.02)


def fetch_preview(job: str) -> bytes | None:
    """Return the latest preview, pickled, once."""
    return previews.pop(job, None)


def _outcome(context: JobContext, parcel: Parcel) -> Parcel:
    from napari_unet.compute.work import work

    stops.setdefault(context.id, threading.Event())
    _running.add(context.id)
    try:
        result: Success | Failure = Success(work(open_parcel(parcel), context))
        context.flush()
        return pack(result)
    except BaseException as error:
        result = _failure(error)
    finally:
        _running.discard(context.id)
        stops.pop(context.id, None)
        inboxes.pop(context.id, None)
        _free_memory()
    return pack(result)


def _failure(error: BaseException) -> Failure:
    """Keep of an error what may travel: our own kinds, without what caused them."""
    if isinstance(error, UNetError):
        kind = next(c for c in type(error).__mro__ if c.__module__ == errors.__name__)
        return Failure(kind(str(error)))
    if isinstance(error, MemoryError):
        text = "The memory of the computer is full. Choose a smaller image, or smaller blocks."
        return Failure(DeviceError(text))
    trace = "".join(traceback.format_exception(error))
    _log.error("A job failed:\n%s", trace)
    return Failure(None, trace)


def _free_memory() -> None:
    """Release cached GPU memory to other programs."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
