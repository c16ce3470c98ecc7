"""The documentation covers every package and every widget."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CORE = ROOT / "src" / "napari_unet" / "core"
PACKAGES = sorted(stub.parent.name for stub in CORE.glob("*/__init__.pyi"))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_of_the_core_has_a_page_with_all_its_public_names(package: str) -> None:
    """The directive documents every name that the package exports (docs/_ext/public_names.py)."""
    page = DOCS / "reference" / "api" / f"{package}.md"
    assert f".. public-names:: napari_unet.core.{package}\n" in page.read_text("utf-8")
    assert re.search(rf"^{package}$", (page.parent / "index.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("widget", ["train", "live", "predict", "evaluate"])
def test_every_widget_has_a_guide(widget: str) -> None:
    page = (DOCS / "guide" / f"{widget}.md").read_text("utf-8")
    assert page.startswith(f"# {widget.capitalize()}\n")
