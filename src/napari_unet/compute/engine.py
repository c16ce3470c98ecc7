"""The engine, which sends requests to a compute process without blocking the caller."""

from __future__ import annotations

import atexit
import contextlib
import logging
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_unet.compute.events import Ended
from napari_unet.compute.jobs import ComputeError, Job
from napari_unet.compute.parcels import Parcel, pack
from napari_unet.compute.requests import DecodeRequest, PredictRequest, Request
from napari_unet.core.errors import Cancelled, SettingsError, UNetError

if TYPE_CHECKING:
    from napari_unet.compute.connection import Connection

__all__ = ["Engine"]

_log = logging.getLogger(__name__)

_CLOSED = "The job was not finished because the compute process was closed. Start it again."

State = Literal["new", "starting", "ready", "lost", "closed"]


class Engine:
    """Runs requests in a child process on this computer, or on a cluster.

    All methods except `close` return immediately. Starting, packing and sending happen on a
    background thread.

    Parameters
    ----------
    address
        Address of a dask scheduler, for example ``"tcp://workstation:8786"``. Empty: a child
        process, which no other program can reach and which ends with this one.
    environment
        Environment variables of the child process, for example ``OMP_NUM_THREADS``.
    """

    def __init__(self, address: str = "", *, environment: Mapping[str, str] | None = None) -> None:
        self._address = address.strip()
        self._environment = dict(environment or {})
        self._state: State = "new"
        self._sentence = ""
        self._listeners: list[Callable[[str, str], None]] = []
        self._jobs: dict[str, Job] = {}
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._orders: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        """Address of the dask scheduler; empty for a child process."""
        return self._address

    @property
    def state(self) -> str:
        """State: new, starting, ready, lost (the next job starts it again) or closed."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Process id of the child process; None if there is none."""
        connection = self._connection
        return connection.host.pid if connection and connection.host else None

    def on_state(self, callback: Callable[[str, str], None]) -> None:
        """Call a function with the current state, and with every new one.

        Parameters
        ----------
        callback
            Receives the state and a sentence that describes it; called on any thread.
        """
        with self._lock:
            self._listeners.append(callback)
            callback(self._state, self._sentence)

    def start(self, *modules: str) -> None:
        """Start in the background; do nothing if it has already started.

        Parameters
        ----------
        *modules
            Names of further modules to import on the background thread, while the process starts.
            Importing packages with circular imports on two threads at once can fail.
        """
        if self._state == "new":
            self._order(partial(self._try_connect, modules))
            return
        for module in modules:
            self._order(partial(import_module, module))

    def submit(self, request: Request) -> Job:
        """Submit a request.

        Parameters
        ----------
        request
            See `napari_unet.compute.requests`.

        Returns
        -------
        Job
            The job, still waiting; an error is part of its last event.
        """
        job = Job(request, self._stop, self._send_message)
        with self._lock:
            if self._is_closed():
                job.post(Ended(None, Cancelled(_CLOSED)))
                return job
            self._jobs[job.id] = job
        job.on_event(lambda event: self._forget(job, event))
        self._order(lambda: self._send(job))
        return job

    def close(self, timeout_s: float = 5) -> None:
        """Stop all jobs, wait for them to save, and end the process.

        Parameters
        ----------
        timeout_s
            Longest time for the jobs to save; after that, the process is killed.
        """
        with self._lock:
            if self._is_closed():
                return
            self._set_state("closed", "The compute process is closed.")
            jobs, connection = list(self._jobs.values()), self._connection
            self._connection = None
        atexit.unregister(self.close)
        self._orders.put(None)
        if connection is not None:
            _stop_all(connection, jobs, timeout_s)
            connection.close(timeout_s)
        for job in jobs:
            job.post(Ended(None, Cancelled(_CLOSED)))
        self._join(timeout_s)

    def _join(self, timeout_s: float) -> None:
        """Wait for the background thread: Python may crash if it exits during an import."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    # -- on the background thread ----------------------------------------------------------------

    def _order(self, action: Callable[[], object]) -> None:
        """Run an action on the background thread, after all earlier ones."""
        with self._lock:
            if self._thread is None and self._state != "closed":
                self._thread = threading.Thread(
                    target=self._work, name="napari-unet-engine", daemon=True
                )
                self._set_state("starting", "The compute process is starting.")
                self._thread.start()
                atexit.register(self.close)
        self._orders.put(action)

    def _work(self) -> None:
        while (action := self._orders.get()) is not None:
            try:
                action()
            except Exception:  # if this thread ended, all later jobs would wait forever
                _log.exception("An action of the engine failed")

    def _try_connect(self, modules: Iterable[str]) -> None:
        with contextlib.suppress(UNetError):  # reported as a state
            self._connect(modules)

    def _connect(self, modules: Iterable[str] = ()) -> Connection:
        """Return a working connection; make a new one if the old one was lost."""
        from napari_unet.compute.connection import connect

        with self._lock:
            if self._is_closed():
                raise Cancelled(_CLOSED)
            old = self._connection
            if old is not None and old.usable:
                return old
            self._connection = None
            if self._state != "starting":
                self._set_state("starting", "The compute process is starting again.")
        if old is not None:
            old.close(0)
        try:
            new = connect(self._address, self._environment, self._on_lost, modules)
        except Exception as error:
            sentence = str(error) if isinstance(error, ComputeError) else _not_started(error)
            with self._lock:
                if not self._is_closed():
                    self._set_state("lost", sentence)
            raise ComputeError(sentence) from None
        with self._lock:
            if not self._is_closed():
                self._connection = new
                where = f"at {self._address}" if self._address else "on this computer"
                self._set_state("ready", f"Ready to compute {where}.")
                return new
        new.close(0)
        raise Cancelled(_CLOSED)

    def _send(self, job: Job) -> None:
        try:
            connection = self._connect()
            if job.status == "stopping":
                raise Cancelled("The job was stopped before it started; nothing was written.")
            at_job = job.request.prediction if isinstance(job.request, DecodeRequest) else None
            parcel = _pack_request(self._prepare(job.request))
            connection.run(job, parcel, at_job)
        except UNetError as error:
            job.post(Ended(None, error))
        except Exception as error:
            problem = ComputeError(
                f"The request could not be sent ({type(error).__name__}: {error})."
            )
            job.post(Ended(None, problem))

    def _prepare(self, request: Request) -> Request:
        if isinstance(request, PredictRequest) and request.folder is None and not self._address:
            return replace(request, folder=results_folder())
        return request

    def _stop(self, job: Job) -> None:
        def stop() -> None:
            if self._connection is not None:
                self._connection.stop(job)

        self._order(stop)

    def _send_message(self, job: Job, message: object) -> None:
        def send() -> None:
            if self._connection is not None:
                self._connection.send(job, pack(message))

        self._order(send)

    def _forget(self, job: Job, event: object) -> None:
        if isinstance(event, Ended):
            with self._lock:
                self._jobs.pop(job.id, None)

    def _on_lost(self, sentence: str) -> None:
        with self._lock:
            if self._state == "ready":
                self._set_state("lost", f"{sentence} The next job reconnects.")

    def _is_closed(self) -> bool:
        return self._state == "closed"

    def _set_state(self, state: State, sentence: str) -> None:
        with self._lock:
            self._state, self._sentence = state, sentence
            for listener in self._listeners:
                try:
                    listener(state, sentence)
                except Exception:  # it must not keep jobs from ending
                    _log.exception("A listener to the engine's state failed")


def _stop_all(connection: Connection, jobs: list[Job], timeout_s: float) -> None:
    """Stop jobs and wait until each has posted its last event."""
    deadline = time.monotonic() + timeout_s
    for job in jobs:
        job.stop()
        connection.stop(job)
    for job in jobs:
        with contextlib.suppress(UNetError, TimeoutError):
            job.wait(max(0.0, deadline - time.monotonic()))


def _not_started(error: Exception) -> str:
    return (
        f"The compute process did not start ({type(error).__name__}: {error}). Check that the "
        "disk is not full and that the plugin is installed completely, then try again."
    )


def _pack_request(request: Request) -> Parcel:
    try:
        return pack(request)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    raise SettingsError(
        f"The image cannot be sent to the compute process ({problem[:200]}). Load it into memory, "
        "or save it to a file and open that file."
    )


_results: Path | None = None


def results_folder() -> Path:
    """Return the folder for results too large for memory; it is removed when this process ends."""
    global _results
    if _results is None:
        _results = Path(tempfile.mkdtemp(prefix="napari-unet-results-"))
        atexit.register(shutil.rmtree, _results, ignore_errors=True)
    return _results
