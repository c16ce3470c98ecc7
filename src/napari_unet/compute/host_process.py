"""The child process that computes on this computer, as seen by its parent."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.compute.jobs import ComputeError

if TYPE_CHECKING:
    from distributed import Security

__all__ = ["HostProcess"]

_START_S = 60


class HostProcess:
    """The child process that computes on this computer.

    It starts immediately; `introduce` waits until it is ready.

    Parameters
    ----------
    environment
        Environment variables to set for the process.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="napari-unet-worker-"))
        self.log = self.folder / "worker.log"
        with self.log.open("wb") as log:  # an unread pipe would block the process
            self._process = subprocess.Popen(
                # -P: a file in the current folder must not shadow a library.
                [sys.executable, "-P", "-m", "napari_unet.compute.host"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | dict(environment),
                **_detached(),
            )
        path = [str(Path(p).absolute()) for p in sys.path]
        with contextlib.suppress(OSError):  # it has already ended, which `introduce` reports
            self._write({"folder": str(self.folder), "path": path})

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def describe_end(self) -> str:
        """Describe how the process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        if code == -9:
            return "it was killed, most likely because the computer ran out of memory"
        return f"exit code {code}"

    def close(self, timeout_s: float) -> None:
        """Wait until jobs have saved and the process has ended; kill it after `timeout_s`."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
        for end, wait_s in ((None, timeout_s), (process.terminate, 1.0), (process.kill, 5.0)):
            if end is not None:
                end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait_s)
                break

    def remove_folder(self) -> None:
        """Remove the log and temporary files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def introduce(self) -> tuple[str, Security]:
        """Send certificates to the process, and wait for its answer.

        They are not passed on the command line, which other users can read.

        Returns
        -------
        address, security
            Address and certificates of the scheduler in the process.

        Raises
        ------
        ComputeError
            If the process did not start.
        """
        from distributed import Security

        security = Security.temporary()
        certificates = {k: getattr(security, k) for k in security.__slots__ if "tls_" in k}
        certificates = {k: v for k, v in certificates.items() if isinstance(v, str)}
        timer = threading.Timer(_START_S, self._process.kill)
        timer.daemon = True
        timer.start()
        stdout = self._process.stdout
        assert stdout is not None
        try:
            self._write({"security": certificates | {"require_encryption": True}})
            answer = stdout.readline()
        except OSError:
            answer = b""
        finally:
            timer.cancel()
        if not answer:
            end = self.describe_end()
            self.close(1.0)
            raise ComputeError(
                f"The compute process did not start: {end}. Read the last lines of its log, "
                f"{self.log}; they usually name the cause."
            )
        return str(json.loads(answer)["address"]), security

    def _write(self, message: dict[str, Any]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(message).encode() + b"\n")
        stdin.flush()


def _detached() -> dict[str, Any]:
    """Return options that shield the process from Ctrl-C and open no console on Windows."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
