"""A connection to a scheduler: of a child process of our own, or at an address."""

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
_TELL_TRIES = 4

_log = logging.getLogger(__name__)


@dataclass
class _Signals:
    """What a job's events set off in the event loop."""

    preview: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Connection:
    """A client of a scheduler, and the jobs that it has under way.

    Parameters
    ----------
    thread
        Where the client runs.
    host
        The process behind it, if it is ours.
    on_lost
        Called once with a sentence when it breaks.
    """

    def __init__(
        self, thread: ClientThread, host: HostProcess | None, on_lost: Callable[[str], None]
    ) -> None:
        self._thread = thread
        self._client: Any = thread.client
        self._loop = thread.loop
        self._loop.call_soon_threadsafe(self._loop.set_exception_handler, _pass_over_breaks)
        self._host = host
        self._on_lost = on_lost
        self._workers: dict[str, str] = {}
        self._jobs: dict[str, asyncio.Task[Any]] = {}
        self._telling: dict[str, asyncio.Lock] = {}
        self._closing = False
        self._broken = False
        self._parting: asyncio.Task[None] | None = None
        thread.schedule(self._watch())
        self._client.subscribe_topic("all", self._on_scheduler_event)

    @property
    def host(self) -> HostProcess | None:
        """The process, if it is ours."""
        return self._host

    @property
    def usable(self) -> bool:
        """Whether it can take jobs."""
        alive = self._host is None or self._host.alive
        return alive and not self._broken and self._client.status == "running"

    def run(self, job: Job, parcel: Parcel, at_job: str | None = None) -> None:
        """Start a job; `at_job`: on the worker that did that one."""
        self._thread.schedule(self._run(job, parcel, at_job))

    def stop(self, job: Job) -> None:
        """Request a job's worker to stop it, or withdraw it if none has begun."""
        self._thread.schedule(self._stop(job))

    def tell(self, job: Job, parcel: Parcel) -> None:
        """Send a command to a job, in order."""
        self._thread.schedule(self._tell(job, parcel))

    def close(self, timeout_s: float) -> None:
        """End; a process of our own lets jobs save that have not ended."""
        self._thread.close(self._leave(), 2)
        if self._host is not None:
            self._host.close(timeout_s)
            if not self._broken:
                self._host.remove_folder()

    # -- in the client's event loop --------------------------------------------------------------

    async def _watch(self) -> None:
        """Notice that the process died or the scheduler went away."""
        while not self._closing:
            if self._gone():
                self._break()
                return
            await asyncio.sleep(_WATCH_S)

    def _gone(self) -> bool:
        dead = self._host is not None and not self._host.alive
        return dead or self._client.status in ("connecting", "closed")

    async def _found_gone(self) -> bool:
        """Wait for a process to end: its sockets close first."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(_WATCH_S)
        return self._broken or self._gone()

    def _break(self) -> None:
        """End the jobs of a process or scheduler that is gone; at once, so that each is told so."""
        if self._broken or self._closing:
            return
        self._broken = True
        sentence = self._loss()
        self._cancel_jobs()
        self._on_lost(sentence)
        self._parting = self._loop.create_task(self._part())

    async def _part(self) -> None:
        await self._thread.disconnect()
        if self._host is not None:  # it is dead: this closes its pipes
            await self._in_thread(self._host.close, 0.0)

    async def _leave(self) -> None:
        if self._gone():  # before anybody noticed
            self._break()
        self._closing = True
        self._cancel_jobs()
        await self._thread.disconnect()

    def _cancel_jobs(self) -> None:
        for task in self._jobs.values():
            task.cancel()

    def _loss(self) -> str:
        if self._host is None:
            return "The connection to the scheduler broke."
        words = self._host.last_words()
        return f"The computing process ended without warning: {words} (log: {self._host.log})."

    async def _run(self, job: Job, parcel: Parcel, at_job: str | None) -> None:
        """See a job through; whatever happens, `Ended` is its last event."""
        self._jobs[job.id] = task = asyncio.ensure_future(self._outcome(job, parcel, at_job))
        try:
            end = Ended(await task, None)
        except UNetError as error:
            end = Ended(None, error)
        except asyncio.CancelledError:
            if self._gone():
                self._break()
            end = Ended(None, self._interrupted(job))
        except Exception as error:  # of what was being sent or fetched when the process died, too
            if await self._found_gone():
                self._break()
                end = Ended(None, self._interrupted(job))
            else:
                end = Ended(None, ComputeError(unforeseen(f"{type(error).__name__}: {error}")))
        finally:
            del self._jobs[job.id]
            self._telling.pop(job.id, None)
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
        """Keep slow things out of the event loop, but while Python ends and has no threads left."""
        try:
            return await self._loop.run_in_executor(None, function, argument)
        except RuntimeError:
            return function(argument)

    async def _until_done(self, future: Any, over: asyncio.Event) -> None:
        """Wait for a task; cancelled where the worker or the scheduler is gone.

        Not by a callback of the future: dask calls those on threads that an ending Python refuses.
        """
        while future.status == "pending" and not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), _WATCH_S)
        if future.status in ("cancelled", "lost"):
            raise asyncio.CancelledError

    def _on_event(self, job: Job, message: bytes, signals: _Signals) -> None:
        event = pickle.loads(message)
        if isinstance(event, Accepted):
            if job.id in self._workers:  # the first one died, and this one began anew
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
                signals.preview.set()  # it still waits to be taken

    async def _fetch(self, job: Job) -> bool:
        """Get the latest preview, if there is one that was not shown; say whether that worked."""
        if job.id not in self._workers or not _has_previews(job.request):
            return True
        worker = self._workers[job.id]
        try:
            found = await self._client.run(fetch_preview, job.id, workers=[worker])
        except Exception:  # what is computed does not depend on what is shown of it
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
        async with self._telling.setdefault(job.id, asyncio.Lock()):  # after what it was told
            with contextlib.suppress(Exception):
                await self._client.run(stop_job, job.id, workers=worker and [worker])

    async def _tell(self, job: Job, parcel: Parcel) -> None:
        async with self._telling.setdefault(job.id, asyncio.Lock()):  # in order
            while job.id in self._jobs and job.id not in self._workers:
                await asyncio.sleep(_WATCH_S)
            for _ in range(_TELL_TRIES):  # a stroke must not get lost on the way
                if job.id not in self._jobs:  # it has ended, or its worker is gone
                    return
                worker = self._workers[job.id]
                try:
                    await self._client.run(send_command, job.id, parcel, workers=[worker])
                except Exception:
                    _log.info("A job was not told something; once more", exc_info=True)
                    await asyncio.sleep(_WATCH_S)
                else:
                    return

    def _on_scheduler_event(self, event: tuple[float, Any]) -> None:
        """End the jobs of a cluster's worker that died."""
        message = event[1]
        if isinstance(message, dict) and message.get("action") == "remove-worker":
            for job, worker in self._workers.items():
                if worker == message.get("worker") and job in self._jobs:
                    self._jobs[job].cancel()

    def _interrupted(self, job: Job) -> UNetError:
        if job.status == "stopping" and job.id not in self._workers:
            return Cancelled("It was stopped before it began; nothing was written.")
        if self._closing and not self._broken:
            return Cancelled("It was stopped, as the computing process was closed.")
        loss = "The worker that computed it is gone." if not self._broken else self._loss()
        return WorkerLost(f"{loss} {_how_to_go_on(job)}")


def _pass_over_breaks(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what nobody awaited, but for the calls that dask breaks off when it closes."""
    if not isinstance(context.get("exception"), OSError):  # TimeoutError is one
        loop.default_exception_handler(context)


def _has_previews(request: Request) -> bool:
    return isinstance(request, LiveRequest) or getattr(request, "preview", None) is not None


def _how_to_go_on(job: Job) -> str:
    request = job.request
    if isinstance(request, LiveRequest):
        return f"The session is saved in {request.folder}: Resume live goes on with it."
    if not isinstance(request, TrainRequest | ResumeRequest):
        return "Nothing was written. Try again: a new process starts by itself."
    folder = request.run_folder
    if (folder / "state.safetensors").exists():
        return (
            f"The run is saved up to its last checkpoint in {folder}. Resume it: a new process "
            "starts by itself. Where memory was short, choose a smaller batch or patch size."
        )
    return (
        "Nothing was saved yet. Start again: a new process starts by itself. Where memory was "
        "short, choose a smaller batch or patch size."
    )


def connect(
    address: str,
    environment: Mapping[str, str],
    on_lost: Callable[[str], None],
    modules: Iterable[str] = (),
) -> Connection:
    """Connect to the scheduler at `address`, or start a process of our own where that is empty.

    Parameters
    ----------
    address, environment
        See `napari_unet.compute.engine.Engine`.
    on_lost
        See `Connection`.
    modules
        What else to import, while a process of our own starts.

    Raises
    ------
    ComputeError
        If the process does not start, or nothing answers at the address.
    """
    host = None if address else HostProcess(environment)
    for module in modules:
        with contextlib.suppress(ImportError):  # whoever needs it says so
            import_module(module)
    at, security = host.introduce() if host else (address, None)
    try:
        thread = ClientThread(at, security, _CONNECT_S)
    except Exception as error:
        if host is not None:
            host.close(1.0)
            raise
        problem = f"There is no answer from a scheduler at '{address}' ({error})."
    else:
        return Connection(thread, host, on_lost)
    raise ComputeError(
        f"{problem} Expected an address such as tcp://workstation:8786 of a dask scheduler that "
        "runs. Check it, or leave it empty to compute on this computer."
    )
