"""Tests mirror the package: every module of the core with logic has a test file in its place."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "src" / "napari_unet" / "core"
MIRROR = ROOT / "tests" / "core"

TESTED_ELSEWHERE: dict[str, str] = {}
"""Modules without a separate test file and the file that tests them instead."""


def has_logic(source: str) -> bool:
    """Return whether any function or method has more than a docstring or an ellipsis."""

    def does_something(node: ast.stmt) -> bool:
        return not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))

    return any(
        isinstance(node, ast.FunctionDef) and any(map(does_something, node.body))
        for node in ast.walk(ast.parse(source))
    )


def modules() -> list[str]:
    return sorted(
        path.relative_to(CORE).as_posix()
        for path in CORE.rglob("*.py")
        if path.name != "__init__.py" and has_logic(path.read_text("utf-8"))
    )


@pytest.mark.parametrize("module", modules())
def test_a_module_has_tests_in_its_place(module: str) -> None:
    path = MIRROR / module
    has_tests = path.with_name(f"test_{path.name}").is_file()
    assert has_tests != (module in TESTED_ELSEWHERE), f"tests/core/{module}: tests expected"


def test_exceptions_are_modules_and_name_tests() -> None:
    for module, tests in TESTED_ELSEWHERE.items():
        assert (CORE / module).is_file(), module
        assert (ROOT / "tests" / tests).is_file(), tests


def test_logic_is_distinguished_from_declarations() -> None:
    assert has_logic("class A:\n    def f(self):\n        return 1")
    assert not has_logic('class A(Protocol):\n    def f(self):\n        """Say."""\n        ...')
    assert not has_logic("A = 1\nclass B(Exception):\n    pass")
