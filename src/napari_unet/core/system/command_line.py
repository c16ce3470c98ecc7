"""Commands that are shown to be typed."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence

__all__ = ["command_line"]


def command_line(words: Sequence[str | os.PathLike[str]]) -> str:
    """Write a command as the shell of this system reads it: with quotes where they are needed."""
    plain = [os.fspath(word) for word in words]
    return subprocess.list2cmdline(plain) if os.name == "nt" else shlex.join(plain)
