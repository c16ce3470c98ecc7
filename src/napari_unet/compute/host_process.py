"""The child process that computes on this computer, seen from its parent."""

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
    """The child process that computes on this computer; it starts at once, see `introduce`.

    Parameters
    ----------
    environment
        Variables to set for it.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="napari-unet-worker-"))
        self.log = self.folder / "worker.log"
        with self.log.open("wb") as log:  # not a pipe: one that nobody reads stops its writer
            self._process = subprocess.Popen(
                # -P: a file in the current folder must not take the place of a library.
                [sys.executable, "-P", "-m", "napari_unet.compute.host"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | dict(environment),
                **_detached(),
            )
        path = [str(Path(p).absolute()) for p in sys.path]
        with contextlib.suppress(OSError):  # it has ended already; `introduce` says so
            self._say({"folder": str(self.folder), "path": path})

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """Describe how the process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        if code == -9:
            return "it was killed, most often because the computer's memory ran out"
        return f"its exit code is {code}"

    def close(self, timeout_s: float) -> None:
        """Wait for jobs to save and the process to end; after the time allowed, end it."""
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
        """Remove log and scratch files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def introduce(self) -> tuple[str, Security]:
        """Send it certificates, and wait until it answers.

        Never on the command line: others can read it.

        Returns
        -------
        address, security
            Of its scheduler.

        Raises
        ------
        ComputeError
            If it did not start.
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
            self._say({"security": certificates | {"require_encryption": True}})
            answer = stdout.readline()
        except OSError:
            answer = b""
        finally:
            timer.cancel()
        if not answer:
            words = self.last_words()
            self.close(1.0)
            raise ComputeError(
                f"The computing process did not start: {words}. What it said is in {self.log}; "
                "the last lines usually name what is missing."
            )
        return str(json.loads(answer)["address"]), security

    def _say(self, what: dict[str, Any]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(what).encode() + b"\n")
        stdin.flush()


def _detached() -> dict[str, Any]:
    """Keep Ctrl-C in a terminal from reaching the child, and on Windows a console from opening."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
