"""Output, progress, error messages and stopping, shared by all commands."""

from __future__ import annotations

import functools
import io
import json
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import typer

from napari_unet.core.errors import Cancelled, UNetError

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console, RenderableType
    from rich.progress import Progress

__all__ = ["FAILED", "INTERRUPTED", "Output", "duration", "in_sentences", "stoppable"]

USER_ERROR, FAILED, INTERRUPTED = 1, 3, 130
"""Exit codes besides 0 (success) and 2 (wrong usage)."""

P = ParamSpec("P")
R = TypeVar("R")


class Output:
    """Text output of a command.

    Results go to standard output, progress to standard error. With `as_json`, standard output
    holds one JSON object and nothing else, and all text goes to standard error.
    """

    def __init__(self, as_json: bool = False) -> None:

        self.as_json = as_json
        self.errors = _console(stderr=True)
        self.console: Console = self.errors if as_json else _console()

    def say(self, text: str, style: str = "") -> None:
        """Print a sentence without wrapping it, so that paths stay whole."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning on standard error."""
        self.errors.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
        """Print a table; columns after the first hold numbers and are aligned right."""
        if title:  # printed separately, as a table wraps its title to its width
            self.say(title, style="bold")
        self.console.print(_table(columns, rows))

    def next_steps(self, lines: Sequence[str]) -> None:
        """Print the commands to type next."""
        self.say("")
        self.say("Next:", style="bold")
        for line in lines:
            self.say(f"  {line}")

    def result(self, values: Mapping[str, Any]) -> None:
        """Print the JSON object, if it was requested."""
        if self.as_json:
            sys.stdout.write(json.dumps(_plain(values), indent=1, allow_nan=False) + "\n")
            sys.stdout.flush()

    @property
    def live(self) -> bool:
        """Whether progress bars can be shown, which needs a terminal."""
        return self.errors.is_terminal

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show progress bars on standard error, or nothing if that is not a terminal.

        The task's field ``note`` is printed after the bar.
        """
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
        )
        progress = Progress(*columns, console=self.errors, disable=not self.live, transient=True)
        with progress:
            yield progress

    @contextmanager
    def counting(self, description: str) -> Iterator[Callable[[float, int], None]]:
        """Show a bar and the time left; yields a function to call with (done, total)."""
        import time

        start = time.monotonic()
        with self.progress() as progress:
            task = progress.add_task(description, note="")

            def update(done: float, total: int) -> None:
                passed = time.monotonic() - start
                left = passed * (total - done) / done if done else math.inf
                note = f"{int(done)} of {total}, {duration(left)} left"
                progress.update(task, completed=done, total=total, note=note)

            yield update


def in_sentences(command: Callable[P, R]) -> Callable[P, R]:
    """Make a command end with a sentence and an exit code instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Cancelled as error:
            _console(stderr=True).print(str(error), style="yellow", markup=False, soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # the reader of the output has closed the pipe
            raise
        except (UNetError, OSError) as error:
            _console(stderr=True).print(
                _sentence(error), style="red", markup=False, highlight=False, soft_wrap=True
            )
            raise typer.Exit(USER_ERROR) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None

    return wrapped


def _sentence(error: UNetError | OSError) -> str:
    if isinstance(error, UNetError):
        return str(error)
    what = f"'{error.filename}': " if error.filename else ""
    return f"{what}{error.strerror or error}. Check the path and its permissions."


@contextmanager
def stoppable(what: str) -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C (or SIGTERM) into a request to stop; a second one interrupts at once.

    Yields a function that returns whether a stop was requested.

    Parameters
    ----------
    what
        Message to print, such as "Stopping after this step".
    """
    asked = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.signal(number, signal.SIG_DFL)  # a third one ends the process
            raise KeyboardInterrupt
        asked = True
        # Not through the console: the signal may arrive while the console is writing.
        os.write(2, f"\n{what}. Press Ctrl-C again to stop immediately.\n".encode())

    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if main else ()  # Python refuses in other threads
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def duration(seconds: float) -> str:
    """Format a duration in at most two units: ``"42 s"``, ``"3 min 05 s"``, ``"2 h 10 min"``."""
    if not math.isfinite(seconds):
        return "?"
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):  # names that the terminal cannot show must not fail
        stream.reconfigure(errors="replace")
    console = Console(stderr=stderr)
    if not console.is_terminal:  # a file or a pipe: no wrapping at an arbitrary width
        console.width = 120
    return console


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if i else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _plain(value: Any) -> Any:
    """Convert values to types that JSON supports: paths to text, NaN to null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
