"""The colours of figures and layers, chosen to be distinct with any colour vision."""

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
"""Colours of classes without one, in order."""

INK = "#333333"
"""Text of a figure."""

FAINT = "#888888"
"""Grid lines, and curves in the background."""

GREY = "#808080"
"""An object or class without a colour."""

CLEAR = "#00000000"
"""Fully transparent: the background of labels."""


def rgb_hex(rgba: Sequence[float]) -> str:
    """Return ``"#rrggbb"`` of red, green and blue (0 to 1); further values are ignored."""
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in rgba[:3])
