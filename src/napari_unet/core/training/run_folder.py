"""The folder of a run: models, resumable state, history, settings and curves; writes are atomic.

best.safetensors    the model with the best validation score (missing without validation)
last.safetensors    the latest model
state.safetensors   everything needed to resume: weights, average, optimizer, position
history.csv         one row per epoch
settings.json       training settings, header of the model and sources of the data
labels.npz          labels and annotated areas at the start of training
curves.png          figure of the history
"""

from __future__ import annotations

import csv
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, model_validator

from napari_unet.core.datasets.splits import Split
from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.images.pair import Pair
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import save_model
from napari_unet.core.models.tensor_file import read_header, write_tensors
from napari_unet.core.settings import Settings
from napari_unet.core.system.atomic_files import (
    atomic_path,
    atomic_write_csv,
    atomic_write_text,
    exists,
)
from napari_unet.core.system.command_line import command_line
from napari_unet.core.training.settings import TrainingSettings

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unet.core.tasks.scores import TaskScores

__all__ = ["RunFolder", "RunSettings", "SavedState", "next_run_folder"]

_STATE_KEY = "napari_unet_state"
_AREA = "area_"


class RunSettings(Settings):
    """Settings that a run was started with.

    Parameters
    ----------
    training
        Training settings, with the chosen device and precision.
    info
        Header of the model in training.
    split
        Indices of the pairs for training and for validation; None: chosen by `divide`.
    threads
        Number of CPU threads; weights are reproducible only with the same number.
    sources
        Sources of the data, so that the command line can read it again.
    """

    training: TrainingSettings
    info: ModelInfo
    split: Split | None = None
    threads: int = 1
    sources: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _migrate_split(cls, values: Any) -> Any:
        """Convert the split of older runs, which stored its two lists as separate fields."""
        if not isinstance(values, dict) or "split_train" not in values:
            return values
        values = dict(values)
        split = {"train": values.pop("split_train"), "kind": "given"}
        split["validation"] = values.pop("split_validation", ())
        return values | {"split": split if split["train"] else None}


@dataclass(frozen=True)
class SavedState:
    """Everything needed to resume a run: named tensors and plain values."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class RunFolder:
    """The files of one run.

    Parameters
    ----------
    path
        Path of the folder, which is created by the first write.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def best_model(self) -> Path:
        """Path of the model with the best validation score."""
        return self.path / "best.safetensors"

    @property
    def last_model(self) -> Path:
        """Path of the latest model."""
        return self.path / "last.safetensors"

    @property
    def curves(self) -> Path:
        """Path of the figure of the history."""
        return self.path / "curves.png"

    @property
    def _state(self) -> Path:
        return self.path / "state.safetensors"

    def start(self, settings: RunSettings, pairs: list[Pair]) -> None:
        """Create the folder and write the settings and a snapshot of the labels.

        Raises
        ------
        SettingsError
            If the folder already contains a run.
        StorageError
            If the folder cannot be written.
        """
        self.check_free()
        atomic_write_text(self.path / "settings.json", settings.model_dump_json(indent=1))
        with atomic_path(self.path / "labels.npz") as temporary, temporary.open("wb") as file:
            arrays: Any = {f"{i:05d}": pair.labels for i, pair in enumerate(pairs)}
            arrays |= {
                f"{_AREA}{i:05d}": pair.annotated
                for i, pair in enumerate(pairs)
                if pair.annotated is not None
            }
            np.savez_compressed(file, **arrays)

    def check_free(self) -> None:
        """Raise `SettingsError` if the folder already contains a run."""
        if any(exists(f) for f in (self._state, self.best_model, self.last_model)):
            command = command_line(["napari-unet", "train", "--resume", self.path])
            raise SettingsError(
                f"{self.path} already contains a run. Resume it ({command}), or choose another "
                "folder."
            )

    def settings(self) -> RunSettings:
        """Read the settings.

        Raises
        ------
        SettingsError
            If there is no run, or its settings are damaged.
        """
        path = self.path / "settings.json"
        try:
            return RunSettings.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError:
            problem = f"{self.path} contains no run: the file settings.json is missing."
        except ValueError:
            problem = f"{path} is damaged, or was written by another version."
        raise SettingsError(f"{problem} Choose the folder of another run, or start a new one.")

    def labels(self) -> list[Any]:
        """Read the snapshot of the labels, in the order of the pairs.

        Raises
        ------
        SettingsError
            If the snapshot is missing or damaged.
        """
        return [labels for labels, _ in self.snapshot()]

    def snapshot(self) -> list[tuple[Any, Any]]:
        """Read the labels and annotated area (None: everywhere) of each pair, in order.

        Raises
        ------
        SettingsError
            If the snapshot is missing or damaged.
        """
        path = self.path / "labels.npz"
        try:
            # Opened here because NumPy leaves a damaged file open.
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                names = sorted(n for n in file.files if not n.startswith(_AREA))
                areas = {n: file[_AREA + n] for n in names if _AREA + n in file.files}
                return [(file[n], areas.get(n)) for n in names]
        except (OSError, ValueError, AttributeError, zipfile.BadZipFile, zlib.error):
            problem = f"{path}, which stores the labels of the run, is missing or damaged."
        raise SettingsError(
            f"{problem} Start a new run, for example from the last model of this one."
        )

    def save_last(self, model: Model) -> None:
        """Write the latest model."""
        save_model(self.last_model, model)

    def save_best(self, model: Model) -> None:
        """Write the best model."""
        save_model(self.best_model, model)

    def save_state(self, state: SavedState) -> None:
        """Write everything needed to resume the run."""
        write_tensors(self._state, state.tensors, {_STATE_KEY: json.dumps(state.values)})

    def load_state(self) -> SavedState:
        """Read everything needed to resume the run.

        Raises
        ------
        SettingsError
            If the run was stopped before its first checkpoint.
        ModelFileError
            If the file is damaged.
        """
        from safetensors.torch import load_file

        if not self._state.exists():
            raise SettingsError(
                f"{self.path} has no checkpoint to resume from. Start the training again in "
                "another folder."
            )
        try:
            header = read_header(self._state).get(_STATE_KEY)
        except ModelFileError:
            header = None
        if header is None:
            raise ModelFileError(
                f"{self._state} is truncated, or not the state of a run. Start a new run, for "
                "example from the last model of this one."
            )
        try:
            return SavedState(load_file(self._state), json.loads(header))
        except ValueError:
            raise ModelFileError(f"{self._state} is damaged. Start a new run.") from None

    def write_history(self, rows: list[dict[str, Any]], scores: TaskScores) -> None:
        """Write the history, and a figure of the loss and the task's scores."""
        from napari_unet.core.training.curves import curves_figure

        if rows:
            atomic_write_csv(self.path / "history.csv", rows)
            curves_figure(self.curves, rows, scores.curves)

    def read_history(self) -> list[dict[str, float]]:
        """Read the history, without empty cells (no validation).

        Raises
        ------
        SettingsError
            If the file is damaged.
        """
        path = self.path / "history.csv"
        if not path.exists():
            return []
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return [
                    {k: float(v) for k, v in row.items() if v not in ("", None)}
                    for row in csv.DictReader(file)
                ]
        except (ValueError, TypeError, csv.Error):
            problem = f"{path} is damaged: expected numbers."
        raise SettingsError(f"{problem} Delete the file; a resumed run writes it again.")


def next_run_folder(runs: Path, name: str) -> Path:
    """Return the first folder ``<name>-<n>`` that does not exist, with n from 1."""
    number = 1
    while (folder := runs / f"{name}-{number}").exists():
        number += 1
    return folder
