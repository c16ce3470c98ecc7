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
    """Connects to a scheduler.

    A client that makes its own thread leaves it behind where nobody answers, and may lock up the
    next one when it is collected.

    Parameters
    ----------
    address
        Of the scheduler.
    security
        Certificates, where it asks for some.
    timeout_s
        How long to wait for its answer.

    Raises
    ------
    Exception
        Of any kind, when it does not answer or the address is none.
    """

    def __init__(self, address: str, security: Security | None, timeout_s: float) -> None:
        # As dask chooses it: on Windows, the default one does not do for its sockets.
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
            If it is closed.
        """
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        except RuntimeError:
            coroutine.close()
            raise

    async def disconnect(self) -> None:
        """Close the client, from within the loop; the other side may be gone."""
        with _quiet_client(), contextlib.suppress(Exception):
            await self.client._close(fast=True)

    def close(self, last: Coroutine[Any, Any, Any], timeout_s: float) -> None:
        """Do something last, then end the thread; does nothing the second time.

        Parameters
        ----------
        last
            What to do in the loop, `disconnect` among it.
        timeout_s
            How long to wait for it.
        """
        try:
            done = self.schedule(last)
        except RuntimeError:
            return
        if threading.current_thread() is not self._thread:
            with contextlib.suppress(TimeoutError, CancelledError):
                done.result(timeout_s)
        self._end()
        self.client.status = "closed"  # also where that took too long: nothing is left to do

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
    """Keep dask from printing stack traces about a scheduler that is known to be gone."""
    logger = logging.getLogger("distributed.client")

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)
