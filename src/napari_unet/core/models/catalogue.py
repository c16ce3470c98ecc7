"""The available models: those that ship with the package, the user's own, and any model file."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.models.model_file import read_info
from napari_unet.core.system.atomic_files import atomic_write_bytes, exists, file_key
from napari_unet.core.system.user_folder import user_folder

__all__ = [
    "DEFAULT_MODEL",
    "CatalogueEntry",
    "add_model",
    "checked_name",
    "find_entry",
    "find_model",
    "free_name",
    "list_models",
    "own_folder",
    "read_card",
    "shipped_folder",
]

DEFAULT_MODEL = "nuclei"
"""The shipped model that is used by default."""

_SUFFIX = ".safetensors"
_ENVIRONMENT = "NAPARI_UNET_MODELS"


@dataclass(frozen=True)
class CatalogueEntry:
    """A model in the catalogue.

    Parameters
    ----------
    name
        Name of the model: the name of its file without suffix.
    path
        Path of the model file.
    origin
        Whether it ships with the package or is the user's own.
    info
        Header of the model; None if the file cannot be used.
    problem
        Reason why it cannot be used.
    """

    name: str
    path: Path
    origin: Literal["shipped", "own"]
    info: ModelInfo | None = None
    problem: str = ""

    def card(self) -> str:
        """Read the model card beside the file; return an empty text if there is none."""
        return read_card(self.path)


def read_card(model: Path) -> str:
    """Read the model card beside a model file; return an empty text if there is none."""
    path = model.with_suffix(".md")
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def shipped_folder() -> Path:
    """Return the folder of the models that ship with the package."""
    return Path(__file__).resolve().parents[2] / "models"


def own_folder() -> Path:
    """Return the folder of the user's own models, which need not exist.

    It is the folder that the environment variable ``NAPARI_UNET_MODELS`` names, otherwise a folder
    in the system's usual place for application data.
    """
    return user_folder("models", variable=_ENVIRONMENT)


def list_models() -> list[CatalogueEntry]:
    """List the models by name, the user's own first; those hide shipped models of the same name.

    Examples
    --------
    >>> from napari_unet import list_models
    >>> shipped = [entry.name for entry in list_models()]
    >>> "nuclei" in shipped
    True
    """
    entries: dict[str, CatalogueEntry] = {}
    folders: tuple[tuple[Path, Literal["shipped", "own"]], ...] = (
        (own_folder(), "own"),
        (shipped_folder(), "shipped"),
    )
    for folder, origin in folders:
        for path in sorted(folder.glob(f"*{_SUFFIX}"), key=lambda file: file.stem):
            entries.setdefault(path.stem, _entry(path, origin))
    return list(entries.values())


def add_model(path: Path | str, name: str | None = None, *, replace: bool = False) -> Path:
    """Copy a model file into the user's folder, completely or not at all.

    Parameters
    ----------
    path
        Path of the model file.
    name
        Name of the copy; None: the name in its header.
    replace
        Whether to replace an existing model of that name. If False, the existing one is kept and
        the copy is named ``<name>-2``.

    Returns
    -------
    Path
        Path of the copy.

    Raises
    ------
    ModelFileError
        If the file is not a model.
    SettingsError
        If the name is not a valid file name.
    StorageError
        If the folder cannot be written.
    """
    info = read_info(path)
    name = checked_name(info.name if name is None else name)
    if not replace:
        name = free_name(name)
    copy = own_folder() / f"{name}{_SUFFIX}"
    atomic_write_bytes(copy, Path(path).read_bytes())
    return copy


def free_name(name: str) -> str:
    """Return the name, or ``<name>-2``, ``-3``, ... if a model already has it."""
    folders = (own_folder(), shipped_folder())
    taken = {file_key(path.stem) for folder in folders for path in folder.glob(f"*{_SUFFIX}")}
    candidates = itertools.chain([name], (f"{name}-{i}" for i in itertools.count(2)))
    return next(candidate for candidate in candidates if file_key(candidate) not in taken)


def checked_name(name: str) -> str:
    """Return the name of a model without surrounding blanks.

    Raises
    ------
    SettingsError
        If it is not a valid file name on this or another system.
    """
    name = name.strip()
    if not name or name[0] == "." or len(name) > 100 or set(name) & set('/\\:*?"<>|\n\t\0'):
        raise SettingsError(
            f"A model cannot be called {name!r}: expected a name of up to 100 characters that is "
            "also a valid file name, for example 'nuclei-10x'."
        )
    return name


def find_entry(name: str) -> CatalogueEntry | None:
    """Find a model in the catalogue by its name."""
    return next((entry for entry in list_models() if entry.name == name), None)


def find_model(model: str | os.PathLike[str]) -> Path:
    """Find the file of a model.

    Parameters
    ----------
    model
        A model file, a name in the catalogue, or the folder of a training run. In a run folder, the
        best model is used, or the last one if there was no validation.

    Raises
    ------
    ModelFileError
        If the model does not exist.

    Examples
    --------
    >>> from napari_unet import find_model
    >>> find_model("nuclei").name
    'nuclei.safetensors'
    """
    path = Path(model)
    there = exists(path)
    if there and (run := _model_of_run(path)):
        return run
    if there and path.suffix == _SUFFIX:
        return path
    if entry := find_entry(str(model)):  # takes precedence over anything else of that name here
        return entry.path
    if there and path.is_dir():
        raise ModelFileError(
            f"The folder '{path}' contains no best{_SUFFIX} and no last{_SUFFIX}: expected the "
            "folder of a training run, or a model file."
        )
    if there:
        return path
    names = ", ".join(e.name for e in list_models()) or "none yet"
    raise ModelFileError(
        f"There is no model '{model}': expected a {_SUFFIX} file, the folder of a training run, or "
        f"one of the available models ({names})."
    )


def _model_of_run(folder: Path) -> Path | None:
    """Return the model file of a run, if this is a run folder."""
    files = (folder / f"{name}{_SUFFIX}" for name in ("best", "last"))
    return next((path for path in files if path.is_file()), None)


def _entry(path: Path, origin: Literal["shipped", "own"]) -> CatalogueEntry:
    try:
        return CatalogueEntry(path.stem, path, origin, read_info(path))
    except ModelFileError as error:
        return CatalogueEntry(path.stem, path, origin, problem=str(error))
