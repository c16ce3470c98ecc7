"""The models at hand: those that ship with the package, the user's own, and any file."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_unet.core.errors import ModelFileError
from napari_unet.core.model_file import ModelInfo, read_info

__all__ = [
    "CatalogueEntry",
    "find_entry",
    "find_model",
    "list_models",
    "shipped_folder",
    "user_folder",
]

_SUFFIX = ".safetensors"
_ENVIRONMENT = "NAPARI_UNET_MODELS"


@dataclass(frozen=True)
class CatalogueEntry:
    """A model at hand.

    Parameters
    ----------
    name
        Its file's name without suffix: what to call it by.
    path
        The file.
    origin
        Whether it came with the package or is the user's own.
    info
        Its header; None where the file cannot be used.
    problem
        Why it cannot be used.
    """

    name: str
    path: Path
    origin: Literal["shipped", "own"]
    info: ModelInfo | None = None
    problem: str = ""

    def card(self) -> str:
        """Read the model card that lies beside the file, or give nothing."""
        path = self.path.with_suffix(".md")
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def shipped_folder() -> Path:
    """Folder of the models that come with the package."""
    return Path(__file__).resolve().parents[1] / "models"


def user_folder() -> Path:
    """Folder of the user's own models, which need not exist.

    The environment variable ``NAPARI_UNET_MODELS``, else where the system keeps data of programs.
    """
    if named := os.environ.get(_ENVIRONMENT):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "napari-unet-live" / "models"


def list_models() -> list[CatalogueEntry]:
    """List the models by name, the user's own first: they hide shipped ones of the same name."""
    entries: dict[str, CatalogueEntry] = {}
    folders: tuple[tuple[Path, Literal["shipped", "own"]], ...] = (
        (user_folder(), "own"),
        (shipped_folder(), "shipped"),
    )
    for folder, origin in folders:
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            entries.setdefault(path.stem, _entry(path, origin))
    return list(entries.values())


def find_entry(name: str) -> CatalogueEntry | None:
    """Find a model of the catalogue by its name."""
    return next((entry for entry in list_models() if entry.name == name), None)


def find_model(model: str | os.PathLike[str]) -> Path:
    """Find the file of a model.

    Parameters
    ----------
    model
        A file; the folder of a run, of which the best model is taken, or the last one where
        nothing was validated; or a name in the catalogue.

    Raises
    ------
    ModelFileError
        When there is no such model.
    """
    path = Path(model)
    if path.is_dir():
        return _model_of_run(path)
    if path.exists():
        return path
    if entry := find_entry(str(model)):
        return entry.path
    names = ", ".join(e.name for e in list_models()) or "none yet"
    raise ModelFileError(
        f"There is no model '{model}': expected a {_SUFFIX} file, the folder of a training run, or "
        f"one of the models at hand ({names})."
    )


def _model_of_run(folder: Path) -> Path:
    for name in ("best", "last"):
        if (path := folder / f"{name}{_SUFFIX}").is_file():
            return path
    raise ModelFileError(
        f"The folder '{folder}' holds no best{_SUFFIX} and no last{_SUFFIX}: expected the folder "
        "of a training run, or a model file."
    )


def _entry(path: Path, origin: Literal["shipped", "own"]) -> CatalogueEntry:
    try:
        return CatalogueEntry(path.stem, path, origin, read_info(path))
    except ModelFileError as error:
        return CatalogueEntry(path.stem, path, origin, problem=str(error))
