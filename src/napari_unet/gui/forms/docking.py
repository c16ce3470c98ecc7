"""Docking of forms in napari's window."""

from __future__ import annotations

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

__all__ = ["join_tabs"]


def join_tabs(form: QWidget) -> None:
    """Make a docked form a tab beside another form on the same side of the window.

    Stacked forms would be only a few lines high. Floating docks and single docks do not change.

    Parameters
    ----------
    form
        Widget in the dock.
    """
    dock = _dock_of(form)
    window = dock.parentWidget() if dock is not None else None
    if dock is None or not isinstance(window, QMainWindow) or dock.isFloating():
        return
    if window.tabifiedDockWidgets(dock):  # already in tabs
        return
    for other in window.findChildren(type(form)):
        beside = _dock_of(other)
        if (
            beside not in (None, dock)
            and not beside.isFloating()
            and beside.isVisible()
            and window.dockWidgetArea(beside) == window.dockWidgetArea(dock)
        ):
            window.tabifyDockWidget(beside, dock)
            dock.raise_()
            return


def _dock_of(widget: QWidget | None) -> QDockWidget | None:
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget
