"""A dask client whose event loop runs in a separate thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client, Security

__all__ = ["ClientThread"]

_END_S = 5


class ClientThread:
    """A connection to a scheduler, with the thread that runs its event loop.

    If a dask client creates its own thread, the thread is left behind when the scheduler does not
    answer, and it can block the next client when it is garbage-collected.

    Parameters
    ----------
    address
        Address of the scheduler.
    security
        Certificates; None if the scheduler needs none.
    timeout_s
        Longest time to wait for an answer.

    Raises
    ------
    Exception
        Of any type, if the scheduler does not answer or the address is invalid.
    """

    def __init__(self, address: str, security: Security | None, timeout_s: float) -> None:
        # The same choice as dask's: the default event loop on Windows does not support its sockets.
        self.loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._work, name="napari-unet-client", daemon=True)
        self._thread.start()
        try:
            self.client: Client = self.schedule(_connect(address, security, timeout_s)).result()
        except BaseException:
            self._end()
            raise

    def schedule(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine in the loop.

        Raises
        ------
        RuntimeError
            If the loop is closed.
        """
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:
            coroutine.close()
            raise

    async def disconnect(self) -> None:
        """Close the client; call it inside the loop. The scheduler may no longer exist."""
        with _quiet_client(), contextlib.suppress(Exception):
            await self.client._close(fast=True)

    def close(self, last: Coroutine[Any, Any, Any], timeout_s: float) -> None:
        """Run a final coroutine, then end the thread; do nothing if it has already ended.

        Parameters
        ----------
        last
            Coroutine to run in the loop; it must await `disconnect`.
        timeout_s
            Longest time to wait for the coroutine.
        """
        try:
            done = self.schedule(last)
        except RuntimeError:
            return
        if threading.current_thread() is not self._thread:
            with contextlib.suppress(TimeoutError, CancelledError):
                done.result(timeout_s)
        self._end()
        self.client.status = "closed"  # even after a timeout: nothing else can be done

    def _end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(_END_S)

    def _work(self) -> None:
        self.loop.run_forever()
        self.loop.run_until_complete(_cancel_all())
        self.loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _connect(address: str, security: Security | None, timeout_s: float) -> Client:
    from distributed import Client

    client = Client(
        address,
        asynchronous=True,
        security=security,
        set_as_default=False,
        timeout=timeout_s,
        name="napari-unet",
    )
    try:
        await client
    except BaseException:
        with contextlib.suppress(Exception):
            await client._close(fast=True)
        client.status = "closed"
        raise
    return client


@contextlib.contextmanager
def _quiet_client() -> Iterator[None]:
    """Keep dask from printing stack traces when the connection is already known to be lost."""
    logger = logging.getLogger("distributed.client")

    def drop(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)
