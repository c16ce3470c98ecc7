"""Resolution of all figures, and saving them as PNG."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DPI", "save_png"]

DPI = 150


def save_png(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Save a figure as PNG, completely or not at all; raise `StorageError` on failure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from napari_unet.core.system.atomic_files import atomic_path

    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
