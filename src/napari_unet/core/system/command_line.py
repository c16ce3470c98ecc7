"""Commands as users type them."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence

__all__ = ["command_line"]


def command_line(words: Sequence[str | os.PathLike[str]]) -> str:
    """Return a command as one line for the shell of this system, quoted if necessary."""
    plain = [os.fspath(word) for word in words]
    return subprocess.list2cmdline(plain) if os.name == "nt" else shlex.join(plain)
