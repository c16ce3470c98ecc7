"""Sending commands to the training. No Qt."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_unet.core.live.commands import Command

if TYPE_CHECKING:
    from napari_unet.compute import Job

__all__ = ["CommandSender"]


class CommandSender:
    """Numbers commands and sends them to the running job.

    Attributes
    ----------
    job
        The running job; None: commands are dropped.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.job: Job | None = None

    def send(self, command: Command) -> int:
        """Send a command, and return its number."""
        number = next(self._numbers)
        if self.job is not None:
            self.job.tell(replace(command, number=number))
        return number
