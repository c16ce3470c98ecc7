"""The palette is the only source of colours for figures and layers."""

import re
from pathlib import Path

import pytest

from napari_unet.core.evaluation.error_map import ERROR_CATEGORIES, ERROR_COLOURS
from napari_unet.core.images.palette import SERIES, rgb_hex

SOURCE = Path(__file__).resolve().parents[3] / "src"
PLACES = {"core/images/palette.py", "gui/layers/colours.py"}


def test_colours_are_declared_in_two_places() -> None:
    declared = re.compile(r'^(?! *>>>).*"#[0-9a-fA-F]{6}', re.MULTILINE)  # examples may have some
    root = SOURCE / "napari_unet"
    found = {
        str(p.relative_to(root))
        for p in root.rglob("*.py")
        if declared.search(p.read_text("utf-8"))
    }
    assert found == PLACES


def test_each_kind_of_error_has_its_own_colour() -> None:
    assert ERROR_COLOURS.keys() == set(ERROR_CATEGORIES) - {"none"}
    assert len(set(ERROR_COLOURS.values())) == len(ERROR_COLOURS)


def test_classes_in_a_figure_differ() -> None:
    assert len(set(SERIES)) == len(SERIES)


@pytest.mark.parametrize(("rgba", "text"), [((1, 0, 0.5, 1), "#ff0080"), ((0, 0, 0), "#000000")])
def test_rgb_hex(rgba: tuple[float, ...], text: str) -> None:
    assert rgb_hex(rgba) == text
