"""Choice of a model: built in, the user's own or any file, with a card that describes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, Widget
from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLabel, QSizePolicy

from napari_unet.core.errors import ModelFileError
from napari_unet.gui.forms.fields import narrow
from napari_unet.gui.forms.pieces import Collapsible, Message, is_alive, row

if TYPE_CHECKING:
    from napari_unet.core.models.catalogue import CatalogueEntry
    from napari_unet.core.models.model import ModelInfo

__all__ = ["ModelChooser", "model_card"]

_FILE = "A file …"


class ModelChooser(Container[Widget]):
    """List of models with a collapsible card below.

    Parameters
    ----------
    none
        Text of the choice without a model, for example ``"from scratch"``. If None, a model must
        be chosen.
    label
        Label in front of the list; the card below has the full width. If empty, no label.
    tooltip
        Tooltip of the list.
    """

    changed = Signal(object)
    """Emitted with the path of the chosen model, or None."""

    def __init__(self, *, none: str | None = None, label: str = "", tooltip: str = "") -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self.native.layout().setSpacing(2)
        self._none = none
        self._entries: list[CatalogueEntry] = []
        self._path: Path | None = None
        # a function, because magicgui restores the initial choices when a widget moves
        self._box: ComboBox = ComboBox(choices=self._choices, tooltip=tooltip)
        narrow(self._box)
        self._message = Message()
        self._card = QLabel()
        self._card.setWordWrap(True)
        self._card.setTextFormat(Qt.TextFormat.RichText)
        self._card.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self._card.setOpenExternalLinks(True)
        self._card.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.about = Collapsible("About this model")
        self.about.inner.native.layout().addWidget(self._card)
        head = row(label, self._box, tooltip=tooltip) if label else self._box
        self.extend([head, self._message, self.about])
        self._box.changed.connect(self._on_choice)
        self.refresh()
        self._follow_session()

    @property
    def path(self) -> Path | None:
        """File of the chosen model, or None if there is none or it cannot be used."""
        return self._path if self.info is not None else None

    @property
    def info(self) -> ModelInfo | None:
        """Header of the chosen model."""
        entry = self._entry()
        return None if entry is None else entry.info

    @property
    def problem(self) -> str:
        """Reason why the chosen model cannot be used; empty if it can."""
        entry = self._entry()
        return "" if entry is None else entry.problem

    @property
    def fixed(self) -> bool:
        """Whether the choice is locked; the card stays readable."""
        return not self._box.enabled

    @fixed.setter
    def fixed(self, fixed: bool) -> None:
        self._box.enabled = not fixed

    def choose(self, path: Path | str | None) -> None:
        """Choose a model by its file, in the catalogue or not; None stands for no model."""
        path = None if path is None else Path(path)
        if path is not None and all(entry.path != path for entry in self._entries):
            self._entries.append(_entry_of_file(path))
        before = self._path
        self._path = path
        self._show_choices()
        if path != before:
            self.changed.emit(self.path)

    def refresh(self) -> None:
        """Read the catalogue again, keeping the chosen model and files chosen by hand."""
        from napari_unet.core.models.catalogue import list_models

        listed = list_models()
        paths = {entry.path for entry in listed}
        by_hand = [e for e in self._entries if e.path not in paths and e.path.is_file()]
        by_hand = [e for e in by_hand if not _in_catalogue(e.path)]
        self._entries = listed + by_hand
        known = {entry.path for entry in self._entries}
        usable = [entry for entry in self._entries if entry.info is not None]
        before = self._path
        if self._path not in known:
            self._path = usable[0].path if usable and self._none is None else None
        self._show_choices()
        if self._path != before:
            self.changed.emit(self.path)

    def _follow_session(self) -> None:
        from napari_unet.gui.app.session import session

        session().models_changed.connect(self._on_models_changed)  # keeps a weak reference

    def _on_models_changed(self) -> None:
        if is_alive(self._box.native):
            self.refresh()

    def _entry(self) -> CatalogueEntry | None:
        return next((entry for entry in self._entries if entry.path == self._path), None)

    def _show_choices(self) -> None:
        with self._box.changed.blocked():
            self._box.native.clear()
            self._box.reset_choices()
            self._box.value = self._path
        info = self.info
        self._message.say(self.problem, "error")
        self.about.visible = info is not None
        entry = self._entry()
        if info is not None and entry is not None:
            self._card.setText(model_card(info))

    def _choices(self, _widget: Any = None) -> list[tuple[str, Any]]:
        nothing = self._none or ("no model yet" if self._path is None else None)
        none: list[tuple[str, Any]] = [] if nothing is None else [(nothing, None)]
        return [*none, *((_title(e), e.path) for e in self._entries), (_FILE, _FILE)]

    def _on_choice(self, choice: Any) -> None:
        if choice == _FILE:
            name, _ = QFileDialog.getOpenFileName(
                self.native, "Choose a model", "", "Models (*.safetensors)"
            )
            choice = Path(name) if name else self._path
        self.choose(choice)


def model_card(info: ModelInfo) -> str:
    """Describe a model as HTML: task, training images, pixel size, scores and licence."""
    from html import escape

    lines = [("", info.description), ("Finds", _task_words(info)), ("Needs", _input_words(info))]
    lines += [("Trained on", _training_words(info)), ("Pixels", _size_words(info))]
    lines.append(("Validation", _score_words(info)))
    lines += [("Licence", info.licence)]
    rows = [
        f"<b>{escape(head)}</b>: {escape(text)}" if head else escape(text)
        for head, text in lines
        if text
    ]
    return "<br>".join(rows)


def _task_words(info: ModelInfo) -> str:
    return info.task.words.labels


def _input_words(info: ModelInfo) -> str:
    if info.rgb:
        return "a colour image (RGB)"
    names = f" ({', '.join(info.channel_names)})" if info.channel_names else ""
    depth = "volumes" if info.unet.ndim == 3 else "planes"
    count = info.unet.in_channels
    return f"{count} channel{'s' if count > 1 else ''}{names}, {depth}"


def _training_words(info: ModelInfo) -> str:
    trained = [i for i in info.trained_on if i.role != "validation"]
    checked = [i for i in info.trained_on if i.role != "training"]
    if not info.trained_on:
        return ""
    words = f"{len(trained)} image{'s' if len(trained) != 1 else ''}"
    return f"{words}, validated on {len(checked)}" if checked else f"{words}, not validated"


def _score_words(info: ModelInfo) -> str:
    """Return the main scores of the task, pooled over all validation images."""
    card, scores = info.task.scores.card, info.scores
    return ", ".join(f"{s.label}: {scores[s.key]:.2f}" for s in card if s.key in scores)


def _size_words(info: ModelInfo) -> str:
    parts = []
    if info.pixel_size_um is not None:
        parts.append(f"{info.pixel_size_um[0]:.3g} x {info.pixel_size_um[1]:.3g} µm")
    else:
        parts.append("size unknown")
    if info.object_diameter_px is not None:
        parts.append(f"objects about {info.object_diameter_px:.0f} px across")
    return ", ".join(parts)


def _title(entry: CatalogueEntry) -> str:
    kind = {"shipped": " (built in)", "own": ""}[entry.origin]
    return entry.name + (kind if entry.info is not None else " (cannot be used)")


def _entry_of_file(path: Path) -> CatalogueEntry:
    from napari_unet.core.models.catalogue import CatalogueEntry
    from napari_unet.core.models.model_file import read_info

    try:
        return CatalogueEntry(path.stem, path, "own", read_info(path))
    except ModelFileError as error:
        return CatalogueEntry(path.stem, path, "own", problem=str(error))


def _in_catalogue(path: Path) -> bool:
    from napari_unet.core.models.catalogue import own_folder, shipped_folder

    return path.parent in (shipped_folder(), own_folder())
