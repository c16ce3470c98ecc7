"""Colours of figures and layers that are distinct with any colour vision."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BLUE",
    "CLEAR",
    "FAINT",
    "GREEN",
    "GREY",
    "INK",
    "ORANGE",
    "PURPLE",
    "SERIES",
    "SKY",
    "VERMILION",
    "YELLOW",
    "rgb_hex",
]

# Okabe and Ito (2008), "Color Universal Design".
BLUE = "#0072b2"
SKY = "#56b4e9"
GREEN = "#009e73"
YELLOW = "#f0e442"
ORANGE = "#e69f00"
VERMILION = "#d55e00"
PURPLE = "#cc79a7"

SERIES = (BLUE, YELLOW, VERMILION, GREEN, PURPLE, ORANGE, SKY)
"""Colours of classes that have none assigned, in order."""

INK = "#333333"
"""Colour of text in figures."""

FAINT = "#888888"
"""Colour of grid lines and background curves."""

GREY = "#808080"
"""Colour of an object or class that has none."""

CLEAR = "#00000000"
"""Fully transparent: the background of labels."""


def rgb_hex(rgba: Sequence[float]) -> str:
    """Return red, green and blue (0 to 1) as ``"#rrggbb"``; further values are ignored."""
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in rgba[:3])
