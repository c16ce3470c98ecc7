"""Messages while Live runs, each shown long enough to be read. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Notices"]

_READING_S = 4.0
_LONGEST_SILENCE_S = 2.0


class Notices:
    """Shows messages, and delays progress messages while an important one is being read.

    Parameters
    ----------
    show
        Called with each message and its kind (info, good, warning, error).
    """

    def __init__(self, show: Callable[[str, str], None]) -> None:
        self._show = show
        self._quiet_until_s = 0.0
        self.progress_shown_s = 0.0

    def say(self, text: str, kind: str = "info", *, read_s: float = 0.0) -> None:
        """Show a message, and delay progress messages for `read_s` seconds."""
        self._show(text, kind)
        if read_s:
            self._quiet_until_s = time.monotonic() + read_s

    def complain(self, text: str) -> None:
        """Show an error long enough to be read; the training continues."""
        self.say(text, "error", read_s=_READING_S)

    def explain(self, text: str) -> None:
        """Show an answer long enough to be read."""
        self.say(text, read_s=_READING_S)

    def say_progress(self, text: str) -> None:
        """Show the progress, unless another message is still being read."""
        if time.monotonic() > self._quiet_until_s:
            self._show(text, "info")
            self.progress_shown_s = time.monotonic()

    @property
    def progress_due(self) -> bool:
        """Whether progress was shown so long ago that it must not wait for a preview."""
        return time.monotonic() > self.progress_shown_s + _LONGEST_SILENCE_S
