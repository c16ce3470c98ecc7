"""Cleaning up layers that remain if the widget is closed while Live runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.core.live.session import LiveSession
from napari_unet.gui.live.previews import is_live_map
from napari_unet.gui.live.session_layers import session_of

if TYPE_CHECKING:
    import napari

__all__ = ["tidy_up"]


def tidy_up(viewer: napari.Viewer) -> Path | None:
    """Remove the map and proposal layers of a training; return its session's folder, if any."""
    from napari_unet.gui.layers import our_metadata, was_edited

    folder = None
    for layer in list(viewer.layers):
        kind = (our_metadata(layer) or {}).get("kind")
        if is_live_map(layer) or (kind == "proposal" and not was_edited(layer)):
            viewer.layers.remove(layer)
        elif (known := session_of(layer)) is not None and LiveSession(known[0]).exists:
            folder = known[0]
    return folder
