"""Button that opens a page of the documentation."""

from __future__ import annotations

from functools import cache
from importlib.metadata import metadata

from magicgui.widgets import PushButton
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

__all__ = ["HelpButton", "documentation_url"]

_DISTRIBUTION = "napari-unet-live"
_SIDE_PX = 24


class HelpButton(PushButton):
    """A small button with a question mark that opens a page of the documentation.

    Parameters
    ----------
    page
        Path of the page without its ending, such as ``"guide/train"``.
    tooltip
        Tooltip of the button.
    """

    def __init__(self, page: str, tooltip: str) -> None:
        super().__init__(text="?", tooltip=tooltip)
        self.page = page
        self.native.setFixedWidth(_SIDE_PX)
        self.native.setAccessibleName("Help")
        self.changed.connect(self._open)

    def _open(self) -> None:
        QDesktopServices.openUrl(QUrl(documentation_url(self.page)))


def documentation_url(page: str) -> str:
    """Return the address of a page of the documentation.

    Parameters
    ----------
    page
        Path of the page without its ending, such as ``"guide/train"``.
    """
    return f"{_base().rstrip('/')}/{page}/"


@cache
def _base() -> str:
    """Read the address of the documentation from the package's metadata."""
    entries = metadata(_DISTRIBUTION).get_all("Project-URL") or []
    return dict(entry.split(", ", 1) for entry in entries)["Documentation"]
