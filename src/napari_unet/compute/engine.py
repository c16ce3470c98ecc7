"""The engine: hands requests to a process that computes, and never keeps its caller waiting."""

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

_CLOSED = "It was not finished, as the computing process was closed. Start it again."

State = Literal["new", "starting", "ready", "lost", "closed"]


class Engine:
    """Runs requests in another process: one of our own on this computer, or a cluster.

    All methods return at once, but `close`. Starting, packing and sending happen on a thread in
    the background.

    Parameters
    ----------
    address
        Of a dask scheduler, for example ``"tcp://workstation:8786"``; empty: a process of our own,
        which nobody else can reach and which ends with this one.
    environment
        Variables to set for the process of our own, for example ``OMP_NUM_THREADS``.
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
        """As given."""
        return self._address

    @property
    def state(self) -> str:
        """What it does: new, starting, ready, lost (a new job starts it again) or closed."""
        return self._state

    @property
    def pid(self) -> int | None:
        """Id of the process of our own, while there is one."""
        connection = self._connection
        return connection.host.pid if connection and connection.host else None

    def on_state(self, callback: Callable[[str, str], None]) -> None:
        """Call a function with each new state and a sentence about it, and with the present one.

        Parameters
        ----------
        callback
            Called on any thread.
        """
        with self._lock:
            self._listeners.append(callback)
            callback(self._state, self._sentence)

    def start(self, *modules: str) -> None:
        """Start in the background; does nothing where it has started.

        Parameters
        ----------
        *modules
            What else to import on that thread, while the process starts where it has not. Two
            threads that import packages with circular imports at once may both fail.
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
            Waiting; errors come as its last event.
        """
        job = Job(request, self._stop, self._tell)
        with self._lock:
            if self._is_closed():
                job.post(Ended(None, Cancelled(_CLOSED)))
                return job
            self._jobs[job.id] = job
        job.on_event(lambda event: self._forget(job, event))
        self._order(lambda: self._send(job))
        return job

    def close(self, timeout_s: float = 5) -> None:
        """Stop all jobs, which save, and end the process.

        Parameters
        ----------
        timeout_s
            How long the jobs may take to save before the process is ended regardless.
        """
        with self._lock:
            if self._is_closed():
                return
            self._set_state("closed", "The computing process is closed.")
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
        """Wait for a start under way: Python that ends below a thread that imports may crash."""
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
        """Do something in the background, after what was ordered before."""
        with self._lock:
            if self._thread is None and self._state != "closed":
                self._thread = threading.Thread(
                    target=self._work, name="napari-unet-engine", daemon=True
                )
                self._set_state("starting", "The computing process starts.")
                self._thread.start()
                atexit.register(self.close)
        self._orders.put(action)

    def _work(self) -> None:
        while (action := self._orders.get()) is not None:
            try:
                action()
            except Exception:  # without this thread, every later job would wait forever
                _log.exception("The engine failed at something")

    def _try_connect(self, modules: Iterable[str]) -> None:
        with contextlib.suppress(UNetError):  # told as a state
            self._connected(modules)

    def _connected(self, modules: Iterable[str] = ()) -> Connection:
        """Return a working connection, a new one if the old one broke."""
        from napari_unet.compute.connection import connect

        with self._lock:
            if self._is_closed():
                raise Cancelled(_CLOSED)
            old = self._connection
            if old is not None and old.usable:
                return old
            self._connection = None
            if self._state != "starting":
                self._set_state("starting", "The computing process starts again.")
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
            connection = self._connected()
            if job.status == "stopping":
                raise Cancelled("It was stopped before it began; nothing was written.")
            at_job = job.request.prediction if isinstance(job.request, DecodeRequest) else None
            parcel = _packed(self._prepared(job.request))
            connection.run(job, parcel, at_job)
        except UNetError as error:
            job.post(Ended(None, error))
        except Exception as error:
            problem = ComputeError(f"It could not be sent: {type(error).__name__}: {error}.")
            job.post(Ended(None, problem))

    def _prepared(self, request: Request) -> Request:
        if isinstance(request, PredictRequest) and request.folder is None and not self._address:
            return replace(request, folder=results_folder())
        return request

    def _stop(self, job: Job) -> None:
        def stop() -> None:
            if self._connection is not None:
                self._connection.stop(job)

        self._order(stop)

    def _tell(self, job: Job, message: object) -> None:
        def tell() -> None:
            if self._connection is not None:
                self._connection.tell(job, pack(message))

        self._order(tell)

    def _forget(self, job: Job, event: object) -> None:
        if isinstance(event, Ended):
            with self._lock:
                self._jobs.pop(job.id, None)

    def _on_lost(self, sentence: str) -> None:
        with self._lock:
            if self._state == "ready":
                self._set_state("lost", f"{sentence} The next job starts a new one.")

    def _is_closed(self) -> bool:
        return self._state == "closed"

    def _set_state(self, state: State, sentence: str) -> None:
        with self._lock:
            self._state, self._sentence = state, sentence
            for listener in self._listeners:
                try:
                    listener(state, sentence)
                except Exception:  # the jobs must hear how they end all the same
                    _log.exception("A listener to the engine's state failed")


def _stop_all(connection: Connection, jobs: list[Job], timeout_s: float) -> None:
    """Wait for jobs to end as if they were stopped, with their last events."""
    deadline = time.monotonic() + timeout_s
    for job in jobs:
        job.stop()
        connection.stop(job)
    for job in jobs:
        with contextlib.suppress(UNetError, TimeoutError):
            job.wait(max(0.0, deadline - time.monotonic()))


def _not_started(error: Exception) -> str:
    return (
        f"The computing process did not start ({type(error).__name__}: {error}). Check that the "
        "disk is not full and that the plugin is installed completely, then try again."
    )


def _packed(request: Request) -> Parcel:
    try:
        return pack(request)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    raise SettingsError(
        f"The image cannot be handed to the computing process ({problem[:200]}). Load it into "
        "memory, or save it to a file and open that."
    )


_results: Path | None = None


def results_folder() -> Path:
    """Return the folder for results too large for memory; removed when this process ends."""
    global _results
    if _results is None:
        _results = Path(tempfile.mkdtemp(prefix="napari-unet-results-"))
        atexit.register(shutil.rmtree, _results, ignore_errors=True)
    return _results
