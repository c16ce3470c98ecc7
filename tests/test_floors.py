"""Floors of packages: inside `core` and `gui`, imports only go down and never form a circle.

Imports inside functions and for type checkers count, and so do those of ``__init__.pyi``, which
lists what a package exports.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"

CORE_FLOORS = {
    "errors": 1,
    "augmentation": 2,
    "images": 2,
    "settings": 2,
    "system": 2,
    "io": 3,
    "tasks": 3,
    "datasets": 4,
    "models": 4,
    "evaluation": 5,
    "prediction": 6,
    "records": 6,
    "training": 6,
    "bioimage_io": 7,
    "live": 7,
}
GUI_FLOORS = {
    "app": 1,
    "layers": 1,
    "forms": 2,
    "live": 3,
    "evaluate": 4,
    "predict": 4,
    "train": 4,
    "demo": 5,
}
LONGEST_LINES = 400


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.pyi")])
MODULES = {module_name(path) for path in FILES}


def imported(module: str, source: str, *, package: bool) -> Iterator[str]:
    """Yield every module of this project that a file imports, at any place in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            above = parts[: len(parts) - node.level + package] if node.level else []
            base = ".".join([*above, node.module] if node.module else above)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield name if name in MODULES else base


def import_graph() -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for path in FILES:
        module = module_name(path)
        source = path.read_text("utf-8")
        names = imported(module, source, package=path.stem == "__init__")
        graph[module] |= {name for name in names if name in MODULES and name != module}
    return graph


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Find the groups of modules that reach each other through imports."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            new = graph[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    reach = {module: reached(module) for module in graph}
    groups = {frozenset(m for m in reach[n] if n in reach[m]) for n in graph if n in reach[n]}
    return [set(group) for group in sorted(groups, key=sorted)]


def climbs(graph: dict[str, set[str]], layer: str, floors: dict[str, int]) -> list[tuple[str, str]]:
    """List the imports between packages of a layer that do not go down."""
    prefix = f"napari_unet.{layer}."
    inside = {m: m.removeprefix(prefix).split(".")[0] for m in graph if m.startswith(prefix)}
    return sorted(
        (module, other)
        for module, package in inside.items()
        for other in graph[module] & inside.keys()
        if inside[other] != package and floors[inside[other]] >= floors[package]
    )


GRAPH = import_graph()


@pytest.mark.parametrize(("layer", "floors"), [("core", CORE_FLOORS), ("gui", GUI_FLOORS)])
def test_imports_only_go_down(layer: str, floors: dict[str, int]) -> None:
    prefix = f"napari_unet.{layer}."
    packages = {m.removeprefix(prefix).split(".")[0] for m in GRAPH if m.startswith(prefix)}
    assert packages == floors.keys()
    assert climbs(GRAPH, layer, floors) == []


def test_nothing_imports_in_a_circle() -> None:
    assert circles(GRAPH) == []


def test_climbs_and_circles_are_found() -> None:
    graph = {
        "napari_unet.core.io.tiff": {"napari_unet.core.models.unet"},
        "napari_unet.core.models.unet": {"napari_unet.core.tasks.base"},
        "napari_unet.core.tasks.base": {"napari_unet.core.io.tiff"},
    }
    assert climbs(graph, "core", CORE_FLOORS) == [
        ("napari_unet.core.io.tiff", "napari_unet.core.models.unet"),
        ("napari_unet.core.tasks.base", "napari_unet.core.io.tiff"),
    ]
    assert circles(graph) == [set(graph)]


def test_imports_are_read_wherever_they_stand() -> None:
    source = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from napari_unet.core.images.pair import Pair\n"
        "def f():\n    from napari_unet.core.io import tiff\n"
        "from .settings import Budget\n"
    )
    names = set(imported("napari_unet.core.training", source, package=True))
    assert names & MODULES == {
        "napari_unet.core.images.pair",
        "napari_unet.core.io.tiff",
        "napari_unet.core.training.settings",
    }


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_file_has_one_subject_and_so_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_LINES
