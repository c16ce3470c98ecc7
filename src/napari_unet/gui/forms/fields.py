"""Fields shared by the widgets: folders, narrow lists and channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from magicgui.types import FileDialogMode
from magicgui.widgets import FileEdit
from qtpy.QtWidgets import QComboBox

__all__ = ["FolderField", "narrow", "parse_channels"]

_BUTTON_PX = 28
_LEAST_CHARACTERS = 6


class FolderField(FileEdit):
    """A field for a folder, with a button to choose one.

    Parameters
    ----------
    tooltip
        Tooltip of the field.
    folder
        Initial text.
    name
        Name of the widget.
    """

    def __init__(self, *, tooltip: str = "", folder: Path | str = "", name: str = "") -> None:
        super().__init__(
            mode=FileDialogMode.EXISTING_DIRECTORY, nullable=True, tooltip=tooltip, name=name
        )
        self.margins = (0, 0, 0, 0)
        self.choose_btn.text = "…"
        self.choose_btn.tooltip = "Choose a folder."
        self.choose_btn.native.setFixedWidth(_BUTTON_PX)
        self.line_edit.value = str(folder)

    @property
    def text(self) -> str:
        """Text without surrounding spaces, with ``~`` expanded to the home folder."""
        text = str(self.line_edit.value).strip()
        return str(Path(text).expanduser()) if text.startswith("~") else text

    @property
    def folder(self) -> Path | None:
        """Path of the folder, or None if the field is empty."""
        return Path(self.text) if self.text else None


def narrow(box: Any) -> Any:
    """Allow a combo box to be narrower than its longest choice."""
    policy = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    box.native.setSizeAdjustPolicy(policy)
    box.native.setMinimumContentsLength(_LEAST_CHARACTERS)
    return box


def parse_channels(text: str) -> tuple[str | int, ...] | None:
    """Read channels from text such as ``"0, 2"`` or ``"DAPI"``; return None if it is empty."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(int(part) if part.isdecimal() else part for part in parts) or None
