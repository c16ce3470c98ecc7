"""A pytest plugin: a test fails that leaves a widget, thread, process or temporary file behind."""

import contextlib
import gc
import itertools
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

POOLS = {
    "IO loop": "distributed's event loop",
    "Dask-": "distributed's callbacks and offloaded work",
    "TCP-Executor": "distributed's connections",
    "ThreadPoolExecutor": "dask's default pool",
    "asyncio_": "the default executor of an event loop",
    "zarr_": "zarr's event loop and its pool",
}
"""Threads, by the beginning of their names, that a library starts once and keeps."""

CACHES = {
    "dask-scratch-space": "distributed's folder for its workers",
    "torchinductor_": "torch's cache of compiled code",
}
"""Temporary folders, by the beginning of their names, that a library makes once and keeps."""

MENUS = "QMenu"
"""Class of the context menus that pyqtgraph makes for each plot and keeps without a parent."""

PATIENCE_S = 3.0
"""How long what is about to end may take; nobody waits if nothing is left."""

Key = tuple[str, *tuple[float | str, ...]]
"""The kind of what is there, and what tells it from others of its kind."""

_MARK = "_leak_watch"
_numbers = itertools.count()


class LeakWatch:
    """Compares what is there after a test with what was there before.

    Parameters
    ----------
    temporary
        Folder in which temporary files are made.
    """

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary
        self._known: set[Key] = set()

    def begin(self) -> None:
        """Take for granted whatever is there now."""
        self._known = set(self.present())

    @contextlib.contextmanager
    def adopt(self) -> Iterator[None]:
        """Take for granted what is made meanwhile: a fixture of a wider scope is set up."""
        before = self.present().keys()
        try:
            yield
        finally:
            self._known |= self.present().keys() - before

    def left(self, unchecked: frozenset[str] = frozenset()) -> list[str]:
        """Describe what was not there at the beginning, if it does not go away.

        Parameters
        ----------
        unchecked
            What may be left: thread, process, temporary or widget.
        """
        end = time.monotonic() + PATIENCE_S
        while found := self._new(unchecked):
            if time.monotonic() > end:
                return sorted(found)
            gc.collect()
            _finish_deletions()
            time.sleep(0.02)
        return []

    def present(self) -> dict[Key, str]:
        """Describe everything that is there, by keys that nothing else will have."""
        return dict(
            itertools.chain(_threads(), _processes(), self._temporary_entries(), _widgets())
        )

    def _new(self, unchecked: frozenset[str]) -> list[str]:
        return [
            text
            for key, text in self.present().items()
            if key not in self._known and key[0] not in unchecked
        ]

    def _temporary_entries(self) -> Iterator[tuple[Key, str]]:
        with os.scandir(self.temporary) as entries:  # tests replace methods of Path
            names = [entry.name for entry in entries]
        for name in names:
            if not name.startswith(tuple(CACHES)):
                yield ("temporary", name), f"temporary file or folder {name}"


def _threads() -> Iterator[tuple[Key, str]]:
    """Find the threads that Python code started, but for the pools of libraries."""
    for thread in threading.enumerate():
        if isinstance(thread, threading._DummyThread) or thread.name.startswith(tuple(POOLS)):
            continue
        yield ("thread", _number(thread.__dict__)), f"thread {thread.name}"


def _processes() -> Iterator[tuple[Key, str]]:
    """Find the processes that Python code started and that still run."""
    for process in (*_started, *(subprocess._active or ())):
        if process.poll() is None:
            words = (
                process.args if isinstance(process.args, str) else " ".join(map(str, process.args))
            )
            yield ("process", process.pid), f"process {process.pid}: {words}"
    for child in multiprocessing.active_children():
        yield ("process", child.pid or 0), f"process {child.pid}: {child.name}"


_started: weakref.WeakSet[subprocess.Popen] = weakref.WeakSet()
_start = subprocess.Popen.__init__


def _note_start(process: subprocess.Popen, *args: Any, **options: Any) -> None:
    """Start a process and note it: to ask the system for all its processes takes long."""
    _start(process, *args, **options)
    _started.add(process)


def _widgets() -> Iterator[tuple[Key, str]]:
    """Find the widgets without a parent; marks stay with them whoever holds them."""
    for widget in _application().topLevelWidgets() if _application() else ():
        if type(widget).__name__ == MENUS:
            continue
        number = widget.property(_MARK)
        if number is None:
            number = next(_numbers)
            widget.setProperty(_MARK, number)
        title = widget.windowTitle() or widget.objectName()
        yield ("widget", number), f"widget {type(widget).__name__} '{title}'"


def _application() -> Any:
    if "qtpy.QtWidgets" not in sys.modules:
        return None
    return sys.modules["qtpy.QtWidgets"].QApplication.instance()


def _finish_deletions() -> None:
    """Delete the widgets for which `deleteLater` was called; no event loop runs that would."""
    if application := _application():
        from qtpy.QtCore import QEvent

        application.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        application.processEvents()


def _number(attributes: dict[str, Any]) -> int:
    return attributes.setdefault(_MARK, next(_numbers))


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of tests that may leave something."""
    config.addinivalue_line(
        "markers", "leaves_behind(reason): the test replaces what a wider fixture owns"
    )


_WATCH = pytest.StashKey[LeakWatch]()
_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session", autouse=True)
def watched_surroundings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Note which processes start, and keep temporary files apart from those of other programs."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setattr(subprocess.Popen, "__init__", _note_start)
        request.config.stash[_WATCH] = LeakWatch(folder)
        yield


@pytest.fixture(scope="session")
def adopting(
    request: pytest.FixtureRequest, watched_surroundings: None
) -> Callable[[], AbstractContextManager[None]]:
    """Return a context for what a fixture of a wider scope makes when a test first asks for it."""
    return request.config.stash[_WATCH].adopt


@pytest.fixture(scope="session")
def may_be_left() -> frozenset[str]:
    """Return the kinds of things that tests may leave; none, unless a folder's conftest says so."""
    return frozenset()


@pytest.fixture(autouse=True)
def nothing_left(
    request: pytest.FixtureRequest, watched_surroundings: None, may_be_left: frozenset[str]
) -> Iterator[None]:
    """Fail a test that leaves a widget, a thread, a process or a temporary file behind."""
    watch = request.config.stash[_WATCH]
    watch.begin()
    yield
    if request.node.get_closest_marker("leaves_behind"):
        return
    if request.node.stash.get(_FAILED, False):
        return  # the traceback holds what the test used
    if left := watch.left(may_be_left):
        pytest.fail("The test leaves behind: " + "; ".join(left), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Take for granted what fixtures make that outlive the test which asks for them first."""
    watch = request.config.stash.get(_WATCH, None)
    if fixturedef.scope == "function" or watch is None:
        return (yield)
    with watch.adopt():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report
