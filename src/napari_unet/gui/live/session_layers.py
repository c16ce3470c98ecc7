"""The live session of a Labels layer, stored in the layer's metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["mark_session", "session_of"]

_KEY = "napari-unet live session"
"""Metadata key of a Labels layer; its value is the session's folder and the layer's name there."""


def mark_session(layer: Any, folder: Path) -> None:
    """Record in a Labels layer that it is painted for the session in `folder`."""
    layer.metadata[_KEY] = str(folder), str(layer.name)


def session_of(layer: Any) -> tuple[Path, str] | None:
    """Return the session that a layer was painted for: its folder, and the layer's name there."""
    match layer.metadata.get(_KEY):
        case (str(folder), str(name)):
            return Path(folder), name
    return None
