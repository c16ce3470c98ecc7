"""A pytest plugin that fails tests which leave a widget, thread, process or file behind."""

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
"""Threads that a library starts once and keeps, by the beginning of their names."""

CACHES = {
    "dask-scratch-space": "distributed's folder for its workers",
    "torchinductor_": "torch's cache of compiled code",
}
"""Temporary folders that a library creates once and keeps, by the beginning of their names."""

MENUS = "QMenu"
"""Class of the context menus that pyqtgraph creates for each plot and keeps without a parent."""

PATIENCE_S = 3.0
"""Longest time to wait for something to end; there is no wait if nothing is left."""

Key = tuple[str, *tuple[float | str, ...]]
"""Kind of a resource and values that identify it."""

_MARK = "_leak_watch"
_numbers = itertools.count()


class LeakWatch:
    """Comparison of the resources after a test with those before it.

    Parameters
    ----------
    temporary
        Folder of temporary files.
    """

    def __init__(self, temporary: Path) -> None:
        self.temporary = temporary
        self._known: set[Key] = set()

    def begin(self) -> None:
        """Ignore all current resources."""
        self._known = set(self.present())

    @contextlib.contextmanager
    def adopt(self) -> Iterator[None]:
        """Ignore resources created inside the context, which a fixture of a wider scope owns."""
        before = self.present().keys()
        try:
            yield
        finally:
            self._known |= self.present().keys() - before

    def left(self, unchecked: frozenset[str] = frozenset()) -> list[str]:
        """Describe the resources that were added since the beginning and do not disappear.

        Parameters
        ----------
        unchecked
            Kinds that may be left: thread, process, temporary or widget.
        """
        end = time.monotonic() + PATIENCE_S
        if self._new(unchecked):
            _finish_deletions()  # enough for closed widgets; a garbage collection is slow
        while found := self._new(unchecked):
            if time.monotonic() > end:
                return sorted(found)
            gc.collect()
            _finish_deletions()
            time.sleep(0.02)
        return []

    def present(self) -> dict[Key, str]:
        """Describe all current resources by unique keys."""
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
    """Find the threads started by Python code, except the pools of libraries."""
    for thread in threading.enumerate():
        if isinstance(thread, threading._DummyThread) or thread.name.startswith(tuple(POOLS)):
            continue
        yield ("thread", _number(thread.__dict__)), f"thread {thread.name}"


def _processes() -> Iterator[tuple[Key, str]]:
    """Find the running processes that Python code started."""
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
    """Start a process and record it, because listing all processes of the system is slow."""
    _start(process, *args, **options)
    _started.add(process)


def _widgets() -> Iterator[tuple[Key, str]]:
    """Find the widgets without a parent; a property of the Qt object identifies them."""
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
    """Delete the widgets for which `deleteLater` was called, because no event loop runs."""
    if application := _application():
        from qtpy.QtCore import QEvent

        application.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        application.processEvents()


def _number(attributes: dict[str, Any]) -> int:
    return attributes.setdefault(_MARK, next(_numbers))


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker of tests that may leave something behind."""
    config.addinivalue_line(
        "markers", "leaves_behind(reason): the test replaces a resource of a wider fixture"
    )


_WATCH = pytest.StashKey[LeakWatch]()
_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="session", autouse=True)
def watched_surroundings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Record started processes and separate temporary files from those of other programs."""
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
    """Return a context for resources that a wider fixture creates on first use by a test."""
    return request.config.stash[_WATCH].adopt


@pytest.fixture(scope="session")
def may_be_left() -> frozenset[str]:
    """Return the kinds of resources that tests may leave; a folder's conftest may extend them."""
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
        return  # the traceback keeps the objects of the test alive
    if left := watch.left(may_be_left):
        pytest.fail("The test leaves behind: " + "; ".join(left), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Ignore the resources of fixtures that outlive the first test that uses them."""
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
