"""Folder of a user's files: trained models, runs and downloaded data."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["user_folder"]


def user_folder(kind: str = "", *, variable: str = "") -> Path:
    """Return a folder for the user's files, which may not exist yet.

    Parameters
    ----------
    kind
        Name of a subfolder, for example ``"models"``; empty: the whole folder.
    variable
        Environment variable that names the folder; if it is not set, the folder is in the system's
        place for application data.
    """
    import platformdirs

    if named := os.environ.get(variable, "").strip():
        return Path(named).expanduser()
    return platformdirs.user_data_path("napari-unet-live", appauthor=False) / kind
