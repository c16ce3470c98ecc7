"""A live training on disk: the model, the strokes, the optimizer, so that it goes on tomorrow."""

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
    """The files of a live training.

    Parameters
    ----------
    path
        Their folder; made when something is written.

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
        """The model as it was saved last."""
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
        """Whether the folder holds a live training."""
        return self._labels.is_file()

    @property
    def began(self) -> bool:
        """Whether it had learned something: else there are strokes only."""
        return self._state.is_file()

    def describe(self, about: Mapping[str, Any]) -> None:
        """Keep what belongs to the session and is not the training's: images, names.

        Parameters
        ----------
        about
            Plain data; `about` gives it back.

        Raises
        ------
        StorageError
            When the folder cannot be written.
        """
        with atomic_path(self._about) as temporary:
            temporary.write_text(json.dumps(about, indent=1), encoding="utf-8")

    def about(self) -> dict[str, Any]:
        """Read what `describe` kept; empty where it kept nothing, or it is damaged."""
        try:
            found = json.loads(self._about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def save(
        self, training: LiveTraining, others: Mapping[str, NDArray[np.integer[Any]]] | None = None
    ) -> None:
        """Write everything, each file whole or not at all; the strokes first.

        Parameters
        ----------
        training
            What is learned, and from which labels.
        others
            Labels by name that are kept as well: of images that were taken away.

        Raises
        ------
        StorageError
            When the folder cannot be written.
        """
        from napari_unet.core.models.model_file import save_model
        from napari_unet.core.models.tensor_file import write_tensors

        strokes: dict[str, Any] = {**(others or {}), **training.labels()}
        # An array may not be called as an argument of the function is.
        strokes = {_STROKES + name: labels for name, labels in strokes.items()}
        with atomic_path(self._labels) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **strokes)
        if training.began:
            save_model(self.model, training.model())
            tensors, values = training.state()
            write_tensors(self._state, tensors, {_KEY: json.dumps(values)})

    def labels(self) -> dict[str, NDArray[np.integer[Any]]]:
        """Read the labels of each image by its name.

        Raises
        ------
        SettingsError
            When there are none, or they are damaged.
        """
        try:
            with self._labels.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                # By the full names of its members: one may be called "a.npy" beside "a".
                return {name.removeprefix(_STROKES): file[f"{name}.npy"] for name in file.files}
        except Exception:  # NumPy and zipfile raise what they like where a file is damaged
            pass
        raise SettingsError(
            f"{self.path} holds no strokes of a live training, or they are damaged. Choose another "
            "folder, or start anew."
        )

    def task(self) -> Task:
        """Read what was painted: classes, or objects; raises as `restore`."""
        from napari_unet.core.tasks.any_task import parse_task

        with self._reading():
            return parse_task(self._values()["task"])

    def restore(self, training: LiveTraining) -> None:
        """Go on: `training` was made with the saved task, and gets its images afterwards.

        Raises
        ------
        ModelFileError
            When there is no state, or it is damaged.
        """
        from safetensors.torch import load_file

        with self._reading():
            training.restore(load_file(self._state), self._values())

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Say what is wrong with a state, whatever was raised by it."""
        try:
            yield
        except UNetError:
            raise
        except Exception as error:
            raise ModelFileError(
                f"{self._state} is damaged ({type(error).__name__}: {error}). The strokes are in "
                f"{self._labels.name} beside it; remove {self._state.name} to go on with them from "
                "the start model."
            ) from error

    def _values(self) -> dict[str, Any]:
        from napari_unet.core.models.tensor_file import read_header

        header = read_header(self._state).get(_KEY)
        if header is None:
            raise ModelFileError(f"{self._state} is not the state of a live training.")
        values: dict[str, Any] = json.loads(header)
        return values
