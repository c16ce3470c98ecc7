"""Write the stack traces of unexpected errors to a file that people can send."""

from __future__ import annotations

import os
import tempfile

__all__ = ["unforeseen"]


def unforeseen(trace: str) -> str:
    """Write the stack trace of an unexpected error to a file; return a sentence that names it.

    Parameters
    ----------
    trace
        The stack trace; its last line goes into the sentence.
    """
    number, path = tempfile.mkstemp(prefix="napari-unet-error-", suffix=".log")
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(trace)
    last = trace.strip().splitlines()[-1] if trace.strip() else "no reason given"
    return (
        f"Something went wrong that nobody foresaw ({last[:200]}). The details are in {path}: "
        "please report them."
    )
