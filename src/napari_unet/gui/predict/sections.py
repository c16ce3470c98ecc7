"""Collapsed sections of the Predict widget: reproduce a result, and retrain on corrections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from magicgui import widgets as w
from qtpy.QtGui import QClipboard
from qtpy.QtWidgets import QApplication

from napari_unet.core.errors import UNetError
from napari_unet.gui.app.background import Background
from napari_unet.gui.forms import Collapsible, FolderField, Message, row
from napari_unet.gui.predict.form import short
from napari_unet.gui.predict.reproduce import Reproducible, check_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_unet.core.datasets.training_set import Added
    from napari_unet.core.images.image import Image
    from napari_unet.core.models.model import ModelInfo
    from napari_unet.core.records.prediction_record import PredictionRecord

__all__ = ["Correction", "Reproduce", "Retrain"]


class Reproduce(Collapsible):
    """Buttons that copy the script, command and methods text of a result.

    Parameters
    ----------
    find
        Returns the run to reproduce; may raise `UNetError`.
    """

    def __init__(self, find: Callable[[], Reproducible]) -> None:
        self._find = find
        self._copied = ""
        self.python = w.PushButton(
            text="Copy as Python", tooltip="Copy a script that reproduces the labels."
        )
        self.command = w.PushButton(
            text="Copy as command", tooltip="Copy the command that reproduces the labels."
        )
        self.methods = w.PushButton(
            text="Copy methods text",
            tooltip="Copy a paragraph for a paper: version, model and its hash, training data, "
            "settings, and scores with their definitions.",
        )
        self.message = Message()
        super().__init__(
            "Reproduce",
            [self.python, self.command, self.methods, self.message],
            tooltip="Copies describe the last predicted folder if the form is set to a folder; "
            "otherwise the selected result, the last run, or the current settings.",
        )
        self.python.clicked.connect(partial(self._copy, "the script", _python))
        self.command.clicked.connect(partial(self._copy, "the command", _command))
        self.methods.clicked.connect(partial(self._copy, "the paragraph", _methods))

    def _copy(self, what: str, make: Callable[[PredictionRecord], str], *_: Any) -> None:
        try:
            found = self._find()
            check_model(found.record)
            text = make(found.record)
        except UNetError as error:
            self.message.say(f"Nothing was copied. {error}{self._take_back()}", "warning")
            return
        self._copied = text
        _clipboard().setText(text)
        tone: Literal["warning", "good"] = "warning" if found.note else "good"
        self.message.say(f"Copied {what} of {found.about}. {found.note}".rstrip(), tone)

    def _take_back(self) -> str:
        """Clear an earlier copy from the clipboard, and return a sentence about it."""
        clipboard = _clipboard()
        if not self._copied or clipboard.text().splitlines() != self._copied.splitlines():
            return ""  # the user copied something else
        clipboard.clear()
        return " The earlier copy was removed from the clipboard."


def _clipboard() -> QClipboard:
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    return clipboard


def _python(record: PredictionRecord) -> str:
    from napari_unet.core.records.prediction_record import as_python

    return as_python(record)


def _command(record: PredictionRecord) -> str:
    from napari_unet.core.records.prediction_record import as_command

    return as_command(record)


def _methods(record: PredictionRecord) -> str:
    from napari_unet.core.models.model_file import read_info
    from napari_unet.core.records.methods_text import methods_text

    return methods_text(record, read_info(record.model))


class Correction:
    """An image with corrected labels, to be added to a training set."""

    def __init__(
        self, image: Image, labels: NDArray[Any], name: str, group: str | None = None
    ) -> None:
        self.image, self.labels, self.name, self.group = image, labels, name, group


class Retrain(Collapsible):
    """Section that adds corrected labels to a training set, and opens Train to fine-tune on it.

    Parameters
    ----------
    correction
        Returns a snapshot of the image and labels to add; may raise `UNetError`.
    model
        Returns the model that made the prediction, and its header.
    open_train
        Called with the training set and the model to start from.
    folder
        Default folder of the training set.
    """

    def __init__(
        self,
        correction: Callable[[], Correction],
        model: Callable[[], tuple[Path | None, ModelInfo | None]],
        open_train: Callable[[Path, Path | None], None],
        folder: Path,
    ) -> None:
        self._correction, self._model, self._open_train = correction, model, open_train
        self.folder = FolderField(name="training_set", folder=folder)
        self.add = w.PushButton(
            text="Add to training set",
            tooltip="Save the image with its corrected labels. If the image is already in the set, "
            "its earlier labels are kept in earlier_masks.",
        )
        self.train = w.PushButton(
            text="Fine-tune on it …",
            tooltip="Open Train with this folder. Each round trains on all images and starts from "
            "the same model, so that earlier corrections are not lost.",
        )
        self.message = Message()
        super().__init__(
            "Correct and retrain",
            [
                row("Training set", self.folder, tooltip="Folder with images/ and masks/."),
                self.add,
                self.train,
                self.message,
            ],
            tooltip="Correct the result with napari's brush, add it to a training set, and train "
            "on the set.",
        )
        self.add.clicked.connect(self._add)
        self.train.clicked.connect(self._fine_tune)

    @property
    def path(self) -> Path:
        """Folder of the training set."""
        return Path(self.folder.text)

    def _add(self) -> None:
        from napari_unet.core.datasets.training_set import add_to_training_set

        try:
            correction = self._correction()
        except UNetError as error:
            self.message.say(str(error), "warning")
            return
        if not self.folder.text:
            self.message.say("Choose a folder for the training set.", "warning")
            return
        work = partial(
            add_to_training_set,
            self.path,
            correction.image,
            correction.labels,
            correction.name,
            group=correction.group,
            model=self._model()[0],
        )
        self.add.enabled = False
        Background(work, self._added, self.native)

    def _added(self, added: Added | UNetError) -> None:
        self.add.enabled = True
        if isinstance(added, UNetError):
            self.message.say(str(added), "error")
            return
        images = f"{added.images} image" + ("" if added.images == 1 else "s")
        text = f"Added '{short(added.image.stem)}': {images} in the set now."
        if added.earlier is not None:
            text += f" Its earlier labels are kept as '{added.earlier.name}'."
        self.message.say(f"{text} {self._hint()}", "good")

    def _hint(self) -> str:
        start = self._start()
        return f"Fine-tune on it, starting from '{start.stem}'." if start else "Train on it."

    def _start(self) -> Path | None:
        from napari_unet.core.datasets.training_set import base_model

        return base_model(self.path) or self._model()[0]

    def _fine_tune(self) -> None:
        from napari_unet.core.datasets.training_set import find_training_set

        try:
            find_training_set(self.path)
        except UNetError as error:
            self.message.say(f"There is nothing to train on yet. {error}", "warning")
            return
        self._open_train(self.path, self._start())
