"""Layers of the package: the imports allowed in each, read from the source of every module.

The floors inside `core` and `gui` are in ``test_floors.py``.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "napari_unet"

QT = {"PyQt5", "PyQt6", "PySide2", "PySide6", "magicgui", "pyqtgraph", "qtpy", "superqt", "vispy"}
TORCH = {"kornia", "lightning", "lightning_fabric", "monai", "torch", "torchvision"}

# Imports forbidden in the modules of each layer, also inside functions.
FORBIDDEN = {
    "core": QT
    | {"napari", "distributed"}
    | {f"napari_unet.{n}" for n in ("cli", "compute", "gui", "samples")},
    "compute": QT | {"napari"} | {f"napari_unet.{n}" for n in ("cli", "gui", "samples")},
    "gui": TORCH | {"napari_unet.cli"},
    "samples": TORCH | {"napari_unet.cli"},
    "cli": QT | {"napari", "napari_unet.gui"},
    "": QT | TORCH | {"napari"},
}
# Layers that must not import torch indirectly through their top-level imports.
LIGHT = {"gui", "samples", "cli", ""}
# Modules that napari's own process imports.
TORCH_FREE = [
    "cli",
    "core.errors",
    "core.images.image",
    "core.tasks.any_task",
    "core.training.events",
    "core.training.settings",
]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def layer_of(module: str) -> str:
    name = [*module.split("."), ""][1]
    return "" if name in {"__main__", "version"} else name


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def statements(node: ast.AST, *, when_imported: bool) -> Iterator[ast.AST]:
    """Yield every node below, or only those that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if when_imported and (lazy or is_for_type_checkers(child)):
            continue
        yield child
        yield from statements(child, when_imported=when_imported)


def imports(module: str, source: str, *, package: bool, when_imported: bool) -> set[str]:
    """Return the dotted names that a module imports; ``from a import b`` is ``a`` and ``a.b``."""
    found: set[str] = set()
    for node in statements(ast.parse(source), when_imported=when_imported):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + package]
                base = ".".join([*parts, base] if base else parts)
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def matches(name: str, prefixes: set[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def broken_rules(module: str, source: str, *, package: bool = False) -> set[str]:
    """Return the imports of a module that violate the rule of its layer."""
    layer = layer_of(module)
    names = imports(module, source, package=package, when_imported=False)
    return {name for name in names if matches(name, FORBIDDEN[layer])}


def reached_when_imported(module: str) -> set[str]:
    """Return all names imported with a module, followed through this project's modules."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        parents = {name.rsplit(".", n)[0] for n in range(1, name.count(".") + 1)}
        new = {name} | parents
        if name in MODULES:
            path = MODULES[name]
            source = path.read_text("utf-8")
            package = path.name == "__init__.py"
            new |= imports(name, source, package=package, when_imported=True)
        waiting += [n for n in new - reached if n in MODULES and n != name]
        reached |= new
    return reached


def test_every_module_belongs_to_a_layer() -> None:
    assert {layer_of(module) for module in MODULES} <= FORBIDDEN.keys()
    assert {"napari_unet", "napari_unet.core.images.image"} <= MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_module_keeps_the_import_rule(module: str) -> None:
    path = MODULES[module]
    package = path.name == "__init__.py"
    assert broken_rules(module, path.read_text("utf-8"), package=package) == set()


def base_dependencies() -> set[str]:
    requirements = [Requirement(text) for text in requires("napari-unet-live") or []]
    return {
        canonicalize_name(requirement.name)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }


# Packages of an extra, imported inside a function that reports if they are missing.
OPTIONAL = {name: {"napari_unet.core.bioimage_io.export"} for name in ("bioimageio", "yaml")}


@pytest.fixture(scope="module")
def distributions() -> Mapping[str, list[str]]:
    """Distributions by the import name they provide."""
    return packages_distributions()


@pytest.mark.parametrize("module", [m for m in MODULES if layer_of(m) in {"core", "cli", ""}])
def test_headless_modules_need_only_base_dependencies(
    module: str, distributions: Mapping[str, list[str]]
) -> None:
    path = MODULES[module]
    package = path.name == "__init__.py"
    names = imports(module, path.read_text("utf-8"), package=package, when_imported=False)
    tops = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {PACKAGE.name}
    tops -= {top for top, allowed in OPTIONAL.items() if module in allowed}
    needed = {canonicalize_name(distributions.get(top, [top])[0]) for top in tops}
    assert needed - base_dependencies() == set()


@pytest.mark.parametrize("module", [m for m in MODULES if layer_of(m) in LIGHT])
def test_light_layers_do_not_reach_torch(module: str) -> None:
    assert {name for name in reached_when_imported(module) if matches(name, TORCH)} == set()


@pytest.mark.parametrize(
    ("module", "source", "broken"),
    [
        ("napari_unet.core.x", "import napari.layers", {"napari.layers"}),
        ("napari_unet.core.x", "def f():\n    from qtpy import QtCore", {"qtpy", "qtpy.QtCore"}),
        (
            "napari_unet.core.x",
            "from ..gui import forms",
            {"napari_unet.gui", "napari_unet.gui.forms"},
        ),
        ("napari_unet.core.x", "import torch\nimport napari_unet.core.images.image", set()),
        ("napari_unet.compute.x", "import distributed", set()),
        ("napari_unet.compute.x", "if a:\n    import superqt", {"superqt"}),
        ("napari_unet.gui.train.widget", "import torch.nn", {"torch.nn"}),
        (
            "napari_unet.cli",
            "from napari_unet.gui import train",
            {"napari_unet.gui", "napari_unet.gui.train"},
        ),
    ],
)
def test_the_rule_catches_what_it_should(module: str, source: str, broken: set[str]) -> None:
    assert broken_rules(module, source) == broken


def test_importing_the_vocabulary_loads_nothing_heavy() -> None:
    modules = [f"napari_unet.{name}" for name in TORCH_FREE]
    assert MODULES.keys() >= set(modules)
    code = (
        f"import sys, napari_unet, {', '.join(modules)}\n"
        "heavy = {'torch', 'matplotlib', 'dask', 'zarr', 'napari', 'qtpy', 'distributed'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
