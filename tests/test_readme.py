"""README and tutorials: the Python example runs, and every relative link leads somewhere."""

import re
from pathlib import Path

import pytest

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import write_image, write_labels

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorial").glob("*.md"))]
LONG, SHORT = "Budget(minutes=20)", "Budget(steps=2)"


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def make_images(folder: Path) -> None:
    """The files that the example reads."""
    for seed in range(3):
        image, labels = synthetic_nuclei((128, 128), 8, seed=seed)
        write_image(folder / "nuclei" / "images" / f"{seed}.tif", Image(image, "YX"))
        write_labels(folder / "nuclei" / "masks" / f"{seed}.tif", labels)
    image, _ = synthetic_nuclei((128, 128), 8, seed=9)
    write_image(folder / "new_images" / "a.tif", Image(image, "YX"))


def test_the_python_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_images(tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = python_blocks(ROOT / "README.md")
    assert blocks
    assert LONG in "".join(blocks)
    for block in blocks:
        exec(block.replace(LONG, SHORT), {})  # twenty minutes are too long here
    assert "nuclei" in capsys.readouterr().out.splitlines()[-1]
    assert (tmp_path / "run" / "best.safetensors").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", page.read_text("utf-8"))
    assert targets
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []
