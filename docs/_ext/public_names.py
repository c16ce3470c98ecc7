"""Document every public name of a package, so that none can be forgotten.

The directive `public-names` documents all that a package exports. The build warns, and `make docs`
treats warnings as errors, of a public name without a docstring and of a package without a page.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

ROOT = "napari_unet"
logger = logging.getLogger(__name__)


def origin_modules(package: str) -> dict[str, str]:
    """Return, for each exported name, the module that defines it, as the stub records."""
    module = importlib.import_module(package)
    stub = Path(str(module.__file__)).with_suffix(".pyi")
    if not stub.exists():  # a plain module: what it exports is its own
        return dict.fromkeys(module.__all__, package)
    return {
        alias.asname or alias.name: f"{package}.{node.module}"
        for node in ast.parse(stub.read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def packages_of_core() -> Iterator[str]:
    """Find the packages of the core that export something, and the module of errors."""
    yield f"{ROOT}.core.errors"
    core = importlib.import_module(f"{ROOT}.core")
    for stub in sorted(Path(str(core.__file__)).parent.glob("*/__init__.pyi")):
        yield f"{ROOT}.core.{stub.parent.name}"


def directive_for(value: Any, name: str, package: str, origin: str) -> list[str]:
    """Return the lines of reStructuredText that document one name."""
    if inspect.isclass(value):
        members = "" if issubclass(value, Exception) else "   :members:"
        return [f".. autoclass:: {package}.{name}", members, ""]
    if inspect.isroutine(value):
        return [f".. autofunction:: {package}.{name}", ""]
    return [f".. autodata:: {origin}.{name}", "   :no-value:", ""]


class PublicNames(SphinxDirective):
    """Document all that the package in the argument exports, in alphabetical order."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Make the entries."""
        package = self.arguments[0]
        module, origins = importlib.import_module(package), origin_modules(package)
        documented: dict[str, str] = self.env.domaindata.setdefault("public_names", {})
        lines: list[str] = [f".. py:currentmodule:: {package}", ""]
        for name in sorted(module.__all__, key=lambda n: (n[0].islower(), n.lower())):
            value = getattr(module, name)
            lines += directive_for(value, name, package, origins[name])
            documented[name] = self.env.docname
            if not _has_docstring(value, name, origins[name]):
                logger.warning(
                    "%s.%s has no docstring", package, name, location=self.get_location()
                )
        return self.parse_text_to_nodes("\n".join(lines))


def _has_docstring(value: Any, name: str, origin: str) -> bool:
    if inspect.isclass(value) or inspect.isroutine(value):
        return bool(value.__doc__)
    source = Path(str(importlib.import_module(origin).__file__)).read_text("utf-8")
    return re.search(rf'^( *){name}\b[^\n]*=(?s:.*?)\n\1"""', source, re.MULTILINE) is not None


def check_complete(_app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of public names that no page documents."""
    documented = env.domaindata.get("public_names", {})
    for package in [ROOT, *packages_of_core()]:
        for name in importlib.import_module(package).__all__:
            if name not in documented and not name.startswith("__"):
                logger.warning("%s.%s is public and on no page of the reference", package, name)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Node | None:
    """Link a name, however it was written, to the entry of the public name."""
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    parts = target.split(".")
    documented = env.domaindata.get("public_names", {})
    if parts[0] == ROOT or len(parts) == 1:
        found = [n for n in parts[-2:] if n in documented]
        if found and app.builder is not None:
            return _link(app, env, node, content, found[-1], documented[found[-1]])
    return None


def _link(
    app: Sphinx,
    env: BuildEnvironment,
    node: pending_xref,
    content: nodes.Element,
    name: str,
    page: str,
) -> nodes.Node | None:
    objects = env.domains.python_domain.objects
    ends = [full for full in objects if full.endswith(f".{name}")]
    if not ends:
        return None
    if content.astext().startswith(f"{ROOT}."):  # of a type annotation, with its module
        content = nodes.inline(name, name)
    uri = app.builder.get_relative_uri(node["refdoc"], page)
    return nodes.reference("", "", content, internal=True, refuri=f"{uri}#{min(ends, key=len)}")


def shield_from_napoleon(
    _app: Sphinx, what: str, _name: str, _value: Any, _options: Any, lines: list[str]
) -> None:
    """Keep Napoleon from taking what stands before a colon for the type of a property."""
    if what in ("attribute", "data", "property"):
        lines.insert(0, "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_directive("public-names", PublicNames)
    app.connect("autodoc-process-docstring", shield_from_napoleon, priority=400)
    app.connect("env-updated", check_complete)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": False}
