"""Live training on disk: model, strokes and optimizer, from which it can be resumed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import ModelFileError, SettingsError, UNetError
from napari_unet.core.system.atomic_files import atomic_path

if TYPE_CHECKING:
    from napari_unet.core.live.trainer import LiveTraining
    from napari_unet.core.tasks.base import Task

__all__ = ["LiveSession"]

_STROKES = "strokes/"
_KEY = "napari_unet_live"


@dataclass(frozen=True)
class LiveSession:
    """The files of a live training session.

    Parameters
    ----------
    path
        Folder of the session; created when something is written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from napari_unet.core.live import LiveSession
    >>> LiveSession(Path("live")).exists
    False
    """

    path: Path

    @property
    def model(self) -> Path:
        """Path of the most recently saved model."""
        return self.path / "last.safetensors"

    @property
    def _state(self) -> Path:
        return self.path / "live.safetensors"

    @property
    def _about(self) -> Path:
        return self.path / "about.json"

    @property
    def _labels(self) -> Path:
        return self.path / "strokes.npz"

    @property
    def exists(self) -> bool:
        """Whether the folder contains a session."""
        return self._labels.is_file()

    @property
    def began(self) -> bool:
        """Whether the session has a network; otherwise it contains only strokes."""
        return self._state.is_file()

    def describe(self, about: Mapping[str, Any]) -> None:
        """Write a description of the session, such as its images and names.

        Parameters
        ----------
        about
            Plain data, which `about` reads.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        with atomic_path(self._about) as temporary:
            temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")

    def about(self) -> dict[str, Any]:
        """Read the description written by `describe`; empty if it is missing or damaged."""
        try:
            found = json.loads(self._about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def save(
        self, training: LiveTraining, others: Mapping[str, NDArray[np.integer[Any]]] | None = None
    ) -> None:
        """Write all files, the strokes first; each file is written completely or not at all.

        Parameters
        ----------
        training
            Training to save.
        others
            Labels of images that training does not use, by name.

        Raises
        ------
        StorageError
            If the folder cannot be written.
        """
        from napari_unet.core.models.model_file import save_model
        from napari_unet.core.models.tensor_file import write_tensors

        strokes: dict[str, Any] = {**(others or {}), **training.labels()}
        # The prefix keeps names from colliding with the function's own arguments.
        strokes = {_STROKES + name: labels for name, labels in strokes.items()}
        with atomic_path(self._labels) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **strokes)
        if training.began:
            save_model(self.model, training.model())
            tensors, values = training.state()
            write_tensors(self._state, tensors, {_KEY: json.dumps(values)})

    def labels(self) -> dict[str, NDArray[np.integer[Any]]]:
        """Read the labels of each image, by name.

        Raises
        ------
        SettingsError
            If there are none, or they are damaged.
        """
        try:
            with self._labels.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                # Full member names, because there may be both "a" and "a.npy".
                return {name.removeprefix(_STROKES): file[f"{name}.npy"] for name in file.files}
        except Exception:  # NumPy and zipfile raise various types for damaged files
            pass
        raise SettingsError(
            f"{self.path} contains no strokes of a live training, or they are damaged. Choose "
            "another folder, or start a new session."
        )

    def task(self) -> Task:
        """Read the task of the session; raises the errors of `restore`."""
        from napari_unet.core.tasks.any_task import parse_task

        with self._reading():
            return parse_task(self._values()["task"])

    def restore(self, training: LiveTraining) -> None:
        """Restore the saved state; call this before adding images.

        Parameters
        ----------
        training
            New training with the saved task.

        Raises
        ------
        ModelFileError
            If the state is missing or damaged.
        """
        from safetensors.torch import load_file

        with self._reading():
            training.restore(load_file(self._state), self._values())

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Convert unexpected exceptions while reading the state to a `ModelFileError`."""
        try:
            yield
        except UNetError:
            raise
        except Exception as error:
            raise ModelFileError(
                f"{self._state} is damaged ({type(error).__name__}: {error}). The strokes are in "
                f"{self._labels.name} in the same folder. Delete {self._state.name} to train with "
                "them again from the start model."
            ) from error

    def _values(self) -> dict[str, Any]:
        from napari_unet.core.models.tensor_file import read_header

        header = read_header(self._state).get(_KEY)
        if header is None:
            raise ModelFileError(
                f"{self._state} is not the state of a live training. Choose the folder of a "
                "session."
            )
        values: dict[str, Any] = json.loads(header)
        return values
