"""A connection to a scheduler, either in a child process or at an address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from napari_unet.compute.client_thread import ClientThread
from napari_unet.compute.events import Accepted, Ended, Over, PreviewReady
from napari_unet.compute.host_process import HostProcess
from napari_unet.compute.jobs import ComputeError, Job, WorkerLost
from napari_unet.compute.parcels import Parcel, unpack
from napari_unet.compute.requests import LiveRequest, Request, ResumeRequest, TrainRequest
from napari_unet.compute.worker import Failure, fetch_preview, run_job, send_command, stop_job
from napari_unet.core.errors import Cancelled, UNetError
from napari_unet.core.system.error_log import unforeseen

__all__ = ["Connection", "connect"]

_CONNECT_S = 10
_WATCH_S = 0.25
_SEND_TRIES = 4

_log = logging.getLogger(__name__)


@dataclass
class _Signals:
    """Signals that the events of a job set in the event loop."""

    preview: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Connection:
    """A client of a scheduler, and its unfinished jobs.

    Parameters
    ----------
    thread
        Thread that runs the client.
    host
        Child process that runs the scheduler; None if the scheduler is at an address.
    on_lost
        Called once, with a sentence, if the connection is lost.
    """

    def __init__(
        self, thread: ClientThread, host: HostProcess | None, on_lost: Callable[[str], None]
    ) -> None:
        self._thread = thread
        self._client: Any = thread.client
        self._loop = thread.loop
        self._loop.call_soon_threadsafe(self._loop.set_exception_handler, _handle_exception)
        self._host = host
        self._on_lost = on_lost
        self._workers: dict[str, str] = {}
        self._jobs: dict[str, asyncio.Task[Any]] = {}
        self._send_locks: dict[str, asyncio.Lock] = {}
        self._closing = False
        self._broken = False
        self._disconnecting: asyncio.Task[None] | None = None
        thread.schedule(self._watch())
        self._client.subscribe_topic("all", self._on_scheduler_event)

    @property
    def host(self) -> HostProcess | None:
        """Child process that runs the scheduler; None if the scheduler is at an address."""
        return self._host

    @property
    def usable(self) -> bool:
        """Whether jobs can be submitted."""
        alive = self._host is None or self._host.alive
        return alive and not self._broken and self._client.status == "running"

    def run(self, job: Job, parcel: Parcel, at_job: str | None = None) -> None:
        """Start a job, on the worker that ran the job `at_job` if that id is set."""
        self._thread.schedule(self._run(job, parcel, at_job))

    def stop(self, job: Job) -> None:
        """Ask the worker to stop a job, or cancel the job if no worker has started it."""
        self._thread.schedule(self._stop(job))

    def send(self, job: Job, parcel: Parcel) -> None:
        """Send a command to a job; commands arrive in order."""
        self._thread.schedule(self._send(job, parcel))

    def close(self, timeout_s: float) -> None:
        """Disconnect, and end the child process once its jobs have saved."""
        self._thread.close(self._finish(), 2)
        if self._host is not None:
            self._host.close(timeout_s)
            if not self._broken:
                self._host.remove_folder()

    # -- in the client's event loop --------------------------------------------------------------

    async def _watch(self) -> None:
        """End all jobs if the child process ends or the scheduler disconnects."""
        while not self._closing:
            if self._is_lost():
                self._handle_loss()
                return
            await asyncio.sleep(_WATCH_S)

    def _is_lost(self) -> bool:
        dead = self._host is not None and not self._host.alive
        return dead or self._client.status in ("connecting", "closed")

    async def _is_lost_soon(self) -> bool:
        """Wait briefly, as sockets close before a process ends; return whether it is lost."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(_WATCH_S)
        return self._broken or self._is_lost()

    def _handle_loss(self) -> None:
        """End all jobs of a lost connection immediately, so that each reports the loss."""
        if self._broken or self._closing:
            return
        self._broken = True
        sentence = self._describe_loss()
        self._cancel_jobs()
        self._on_lost(sentence)
        self._disconnecting = self._loop.create_task(self._disconnect())

    async def _disconnect(self) -> None:
        await self._thread.disconnect()
        if self._host is not None:  # it has ended: this closes its pipes
            await self._in_thread(self._host.close, 0.0)

    async def _finish(self) -> None:
        if self._is_lost():  # `_watch` has not noticed yet
            self._handle_loss()
        self._closing = True
        self._cancel_jobs()
        await self._thread.disconnect()

    def _cancel_jobs(self) -> None:
        for task in self._jobs.values():
            task.cancel()

    def _describe_loss(self) -> str:
        if self._host is None:
            return "The connection to the scheduler was lost."
        end = self._host.describe_end()
        return f"The compute process ended unexpectedly: {end} (log: {self._host.log})."

    async def _run(self, job: Job, parcel: Parcel, at_job: str | None) -> None:
        """Run a job to its end; `Ended` is always its last event."""
        self._jobs[job.id] = task = asyncio.ensure_future(self._outcome(job, parcel, at_job))
        try:
            end = Ended(await task, None)
        except UNetError as error:
            end = Ended(None, error)
        except asyncio.CancelledError:
            if self._is_lost():
                self._handle_loss()
            end = Ended(None, self._interruption(job))
        except Exception as error:  # also from a transfer that the end of the process cut off
            if await self._is_lost_soon():
                self._handle_loss()
                end = Ended(None, self._interruption(job))
            else:
                end = Ended(None, ComputeError(unforeseen(f"{type(error).__name__}: {error}")))
        finally:
            del self._jobs[job.id]
            self._send_locks.pop(job.id, None)
            with contextlib.suppress(Exception):
                self._client.unsubscribe_topic(job.id)
        job.post(end)

    async def _outcome(self, job: Job, parcel: Parcel, at_job: str | None) -> Any:
        client, direct = self._client, self._host is not None
        signals = _Signals()
        client.subscribe_topic(job.id, lambda event: self._on_event(job, event[1], signals))
        workers = [self._workers[at_job]] if at_job in self._workers else None
        fetching = asyncio.ensure_future(self._fetch_previews(job, signals))
        long = isinstance(job.request, TrainRequest | ResumeRequest | LiveRequest)
        try:
            data = await client.scatter([parcel], direct=direct, hash=False, workers=workers)
            future = client.submit(
                run_job, job.id, data[0], long, key=f"job-{job.id}", pure=False, workers=workers
            )
            await self._until_done(future, signals.over)
            await self._fetch(job)
            done = await client.gather([future], direct=direct)
        finally:
            fetching.cancel()
        result = await self._in_thread(unpack, done[0])
        if isinstance(result, Failure):
            raise result.error or ComputeError(unforeseen(result.trace))
        return result.value

    async def _in_thread(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """Call a slow function outside the event loop, or inside it if Python is exiting."""
        try:
            return await self._loop.run_in_executor(None, function, argument)
        except RuntimeError:
            return function(argument)

    async def _until_done(self, future: Any, over: asyncio.Event) -> None:
        """Wait for a task; raise `CancelledError` if the worker or the scheduler is lost.

        This polls, because dask runs a future's callbacks on threads, which cannot start while
        Python exits.
        """
        while future.status == "pending" and not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _WATCH_S)
        if future.status in ("cancelled", "lost"):
            raise asyncio.CancelledError

    def _on_event(self, job: Job, message: bytes, signals: _Signals) -> None:
        event = pickle.loads(message)
        if isinstance(event, Accepted):
            if job.id in self._workers:  # the first worker died and another one restarted it
                self._jobs[job.id].cancel()
                return
            self._workers[job.id] = event.worker
            job.started()
        elif isinstance(event, PreviewReady):
            signals.preview.set()
        elif isinstance(event, Over):
            signals.over.set()
        else:
            job.post(event)

    async def _fetch_previews(self, job: Job, signals: _Signals) -> None:
        while True:
            await signals.preview.wait()
            signals.preview.clear()
            if not await self._fetch(job):
                await asyncio.sleep(_WATCH_S)
                signals.preview.set()  # it still has to be fetched

    async def _fetch(self, job: Job) -> bool:
        """Fetch the latest preview if it was not shown yet; return whether that succeeded."""
        if job.id not in self._workers or not _has_previews(job.request):
            return True
        worker = self._workers[job.id]
        try:
            found = await self._client.run(fetch_preview, job.id, workers=[worker])
        except Exception:  # a missing preview must not end the job
            _log.info("A preview could not be fetched", exc_info=True)
            return False
        if found[worker] is not None:
            job.post(pickle.loads(found[worker]))
        return True

    async def _stop(self, job: Job) -> None:
        task = self._jobs.get(job.id)
        if task is None:
            return
        worker = self._workers.get(job.id)
        if worker is None:
            task.cancel()
        async with self._send_locks.setdefault(job.id, asyncio.Lock()):  # after its commands
            with contextlib.suppress(Exception):
                await self._client.run(stop_job, job.id, workers=worker and [worker])

    async def _send(self, job: Job, parcel: Parcel) -> None:
        async with self._send_locks.setdefault(job.id, asyncio.Lock()):  # in order
            while job.id in self._jobs and job.id not in self._workers:
                await asyncio.sleep(_WATCH_S)
            for _ in range(_SEND_TRIES):  # no stroke may be lost
                if job.id not in self._jobs:  # it has ended, or its worker was lost
                    return
                worker = self._workers[job.id]
                try:
                    await self._client.run(send_command, job.id, parcel, workers=[worker])
                except Exception:
                    _log.info("A command did not reach its job; it is sent again", exc_info=True)
                    await asyncio.sleep(_WATCH_S)
                else:
                    return

    def _on_scheduler_event(self, event: tuple[float, Any]) -> None:
        """End the jobs of a worker that left the cluster."""
        message = event[1]
        if isinstance(message, dict) and message.get("action") == "remove-worker":
            for job, worker in self._workers.items():
                if worker == message.get("worker") and job in self._jobs:
                    self._jobs[job].cancel()

    def _interruption(self, job: Job) -> UNetError:
        if job.status == "stopping" and job.id not in self._workers:
            return Cancelled("The job was stopped before it started; nothing was written.")
        if self._closing and not self._broken:
            return Cancelled("The job was stopped because the compute process was closed.")
        loss = (
            "The worker that ran this job was lost." if not self._broken else self._describe_loss()
        )
        return WorkerLost(f"{loss} {_next_step(job)}")


def _handle_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report exceptions of unawaited tasks, except for calls that dask aborts when it closes."""
    if not isinstance(context.get("exception"), OSError):  # TimeoutError is one
        loop.default_exception_handler(context)


def _has_previews(request: Request) -> bool:
    return isinstance(request, LiveRequest) or getattr(request, "preview", None) is not None


def _next_step(job: Job) -> str:
    request = job.request
    if isinstance(request, LiveRequest):
        return f"The session is saved in {request.folder}: Resume live continues it."
    if not isinstance(request, TrainRequest | ResumeRequest):
        return "Nothing was written. Try again; a new process starts automatically."
    folder = request.run_folder
    if (folder / "state.safetensors").exists():
        return (
            f"The run is saved up to its last checkpoint in {folder}. Resume it; a new process "
            "starts automatically. If memory ran out, choose a smaller batch or patch size."
        )
    return (
        "Nothing was saved yet. Start again; a new process starts automatically. If memory ran "
        "out, choose a smaller batch or patch size."
    )


def connect(
    address: str,
    environment: Mapping[str, str],
    on_lost: Callable[[str], None],
    modules: Iterable[str] = (),
) -> Connection:
    """Connect to the scheduler at `address`, or start a child process if that is empty.

    Parameters
    ----------
    address, environment
        See `napari_unet.compute.engine.Engine`.
    on_lost
        See `Connection`.
    modules
        Names of further modules to import while the child process starts.

    Raises
    ------
    ComputeError
        If the process does not start, or no scheduler answers at the address.
    """
    host = None if address else HostProcess(environment)
    for module in modules:
        with contextlib.suppress(ImportError):  # the code that needs it reports it
            import_module(module)
    at, security = host.introduce() if host else (address, None)
    try:
        thread = ClientThread(at, security, _CONNECT_S)
    except Exception as error:
        if host is not None:
            host.close(1.0)
            raise
        problem = f"No scheduler answers at '{address}' ({error})."
    else:
        return Connection(thread, host, on_lost)
    raise ComputeError(
        f"{problem} Expected the address of a running dask scheduler, such as "
        "tcp://workstation:8786. Check the address, or leave it empty to compute on this computer."
    )
