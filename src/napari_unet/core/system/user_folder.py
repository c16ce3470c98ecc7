"""Where this package keeps a user's files: models of their own, runs, downloaded data."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["user_folder"]


def user_folder(kind: str = "", *, variable: str = "") -> Path:
    """Return a folder for the user's files, which need not exist.

    Parameters
    ----------
    kind
        A folder inside, for example ``"models"``; empty: the folder of all.
    variable
        Environment variable that names the folder; if it is not set, the folder lies where the
        system keeps the data of programs.
    """
    import platformdirs

    if named := os.environ.get(variable, "").strip():
        return Path(named).expanduser()
    return platformdirs.user_data_path("napari-unet-live", appauthor=False) / kind
