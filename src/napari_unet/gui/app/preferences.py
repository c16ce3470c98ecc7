"""Preferences from napari's settings or environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_unet.core.system.user_folder import user_folder

__all__ = ["Preferences", "preferences"]

_DEFAULTS: dict[str, str | int] = {
    "device": "auto",
    "address": "",
    "data_folder": "",
    "block_px": 1024,
}
"""Must equal the defaults in the manifest."""


@dataclass(frozen=True)
class Preferences:
    """Preferences of the plugin, in napari's preferences under U-Net live.

    Parameters
    ----------
    device
        Device to compute on: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    address
        Address of a dask scheduler. If empty, a separate process on this computer is used.
    data_folder
        Folder of downloads, runs and other files of the plugin. It need not exist.
    block_px
        Height and width in pixels of the blocks in which large planes are predicted.
    """

    device: str
    address: str
    data_folder: Path
    block_px: int


def preferences() -> Preferences:
    """Read the current preferences.

    The environment variables ``NAPARI_UNET_DEVICE``, ``NAPARI_UNET_ADDRESS``,
    ``NAPARI_UNET_DATA_FOLDER`` and ``NAPARI_UNET_BLOCK_PX`` take precedence. Before napari 0.9,
    which has no preferences for plugins, they are the only way to set them.
    """
    values = _DEFAULTS | _of_napari() | _of_environment(os.environ)
    folder = str(values["data_folder"]).strip()
    return Preferences(
        device=str(values["device"]),
        address=str(values["address"]).strip(),
        data_folder=Path(folder).expanduser() if folder else user_folder(),
        block_px=int(values["block_px"]),
    )


def _of_napari() -> dict[str, str | int]:
    try:
        from napari.settings import get_plugin_settings

        settings = get_plugin_settings("napari-unet-live")
        computing, files = settings.computing, settings.files
    except (ImportError, KeyError, AttributeError):  # napari before 0.9, or a disabled plugin
        return {}
    return {
        "device": computing.device,
        "address": computing.address,
        "block_px": computing.block_px,
        "data_folder": files.data_folder,
    }


def _of_environment(environment: Mapping[str, str]) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for name, default in _DEFAULTS.items():
        text = environment.get(f"NAPARI_UNET_{name.upper()}", "").strip()
        if isinstance(default, str) and text:
            found[name] = text
        elif text.isdecimal() and int(text) > 0:
            found[name] = int(text)
    return found
