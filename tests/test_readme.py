"""README and documentation: Python examples run and every relative link has a target."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image, write_labels

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("[!_]*.md"))]
PAGES = [page for page in PAGES if "_generated" not in page.parts]
EXAMPLES = [page for page in PAGES if "```python" in page.read_text("utf-8")]
LONG, SHORT = re.compile(r"Budget\(minutes=\d+\)"), "Budget(steps=2)"


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def make_images(folder: Path) -> None:
    """Write the files that the examples read."""
    for seed in range(3):
        image, labels = synthetic_nuclei((128, 128), 8, seed=seed)
        write_image(folder / "nuclei" / "images" / f"{seed}.tif", Image(image, "YX"))
        write_labels(folder / "nuclei" / "masks" / f"{seed}.tif", labels)
    image, labels = synthetic_nuclei((128, 128), 8, seed=9)
    write_image(folder / "new_images" / "a.tif", Image(image, "YX"))
    write_labels(folder / "new_images" / "a_mask.tif", labels)


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(ROOT / "README.md")
    assert blocks
    assert LONG.search("".join(blocks))
    for block in blocks:
        exec(LONG.sub(SHORT, block), {})  # shorten the training
    assert "nuclei" in capsys.readouterr().out.splitlines()[-1]
    assert (tmp_path / "run" / "best.safetensors").is_file()


@pytest.fixture(autouse=True)
def figures_without_a_window() -> Iterator[None]:
    """Draw the figures of examples without a screen, and close them."""
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.mark.parametrize("page", EXAMPLES[1:], ids=lambda page: page.name)
def test_the_examples_of_the_documentation_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict[str, Any] = {}  # blocks of a page share their names, as in a notebook
    for block in python_blocks(page):
        exec(LONG.sub(SHORT, block), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", page.read_text("utf-8"))
    if page.parent in (ROOT, ROOT / "docs" / "tutorials") and page.stem != "index":
        assert targets
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []
