"""Stack traces of unexpected errors, in files that users can send."""

from __future__ import annotations

import os
import tempfile

__all__ = ["unforeseen"]


def unforeseen(trace: str) -> str:
    """Write the stack trace of an unexpected error to a file; return a message that names the file.

    Parameters
    ----------
    trace
        Stack trace; its last line is part of the message.
    """
    number, path = tempfile.mkstemp(prefix="napari-unet-error-", suffix=".log")
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(trace)
    last = trace.strip().splitlines()[-1] if trace.strip() else "no reason given"
    return (
        f"An unexpected error occurred ({last[:200]}). The details are in {path}: "
        "please report them."
    )
