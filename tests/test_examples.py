"""Every public name has an example in its docstring, and the examples run."""

import doctest
import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import napari_unet
from napari_unet.core.tasks import any_task

PACKAGE = Path(napari_unet.__file__).parent
STUBS = [PACKAGE / "__init__.pyi", *sorted(PACKAGE.glob("core/*/__init__.pyi"))]
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def package_of(stub: Path) -> ModuleType:
    parts = stub.parent.relative_to(PACKAGE.parent).parts
    return importlib.import_module(".".join(parts))


def public_names() -> dict[str, Any]:
    """Find the classes and functions that packages export; type aliases have no docstring."""
    found = {}
    for package in map(package_of, STUBS):
        for name in package.__all__:
            value = getattr(package, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


PUBLIC = public_names()


def example_of(name: str) -> doctest.DocTest:
    value = PUBLIC[name]
    names = dict(vars(sys.modules[value.__module__]))
    names.pop("annotations", None)  # an example is not compiled with the module's __future__
    return doctest.DocTestParser().get_doctest(inspect.getdoc(value) or "", names, name, None, 0)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_that_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # examples write files with short names
    monkeypatch.setattr(any_task, "_KINDS", dict(any_task._KINDS))  # and register a task
    example = example_of(name)
    assert example.examples, f"{name} has no example in its docstring"
    words: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=words.append)
    assert not failed, "".join(words)
