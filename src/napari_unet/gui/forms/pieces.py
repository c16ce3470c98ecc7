"""Parts of a form: rows, collapsible sections, messages, progress. Readable at 300 px."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from magicgui.widgets import Container, Label, Widget
from psygnal import Signal
from qtpy.QtCore import QObject, QSize, Qt, QTimer
from qtpy.QtGui import QIcon, QShowEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_unet.gui.forms.docking import join_tabs
from napari_unet.gui.layers.colours import MESSAGES

__all__ = [
    "Collapsible",
    "Form",
    "Legend",
    "Message",
    "ProgressRow",
    "duration_words",
    "is_alive",
    "plain_container",
    "row",
]

_LABEL_PX = 100
_LEAST_WIDTH_PX = 260
_WIDTH_PX = 330
"""Initial width of a dock: common layer names fit."""
_TALL_PX = 50
_NO_LIMIT_PX = 16777215  # QWIDGETSIZE_MAX
_MARKS = {"info": "", "good": "", "warning": "⚠ ", "error": "✖ "}

_TITLE_STYLE = (
    "QPushButton, QPushButton:checked, QPushButton:hover, QPushButton:pressed "
    "{ background: transparent; border: none; text-align: left; padding: 3px 0px; }"
    "QPushButton:hover { text-decoration: underline; }"
)

Kind = Literal["info", "good", "warning", "error"]


class _Scroll(QScrollArea):
    _docked = False

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Join the tabs of other forms when first shown."""
        super().showEvent(event)
        if not self._docked:
            self._docked = True
            later = QTimer(self)  # napari has not placed the dock yet
            later.setSingleShot(True)
            later.timeout.connect(self._join)  # no closure: it would keep this alive
            later.start(0)

    def _join(self) -> None:
        join_tabs(self)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return more than the minimum width."""
        return QSize(_WIDTH_PX, super().sizeHint().height())


class Form(Container[Widget]):
    """Content of a dock widget: parts from top to bottom that scroll in a low dock.

    Parameters
    ----------
    widgets
        Rows, collapsible sections, buttons and messages.
    """

    _scroll: QScrollArea | None = None

    def __init__(self, widgets: Sequence[Widget] = (), **kwargs: Any) -> None:
        super().__init__(widgets=widgets, labels=False, **kwargs)
        self.margins = (6, 4, 6, 4)
        layout = super().native.layout()
        layout.setSpacing(5)
        layout.setAlignment(Qt.AlignmentFlag.AlignTop)
        # not magicgui's scrollable=True: napari docks `native`, which would be the scrolled part
        scroll = _Scroll()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setMinimumWidth(_LEAST_WIDTH_PX)
        scroll.setWidget(super().native)
        self._scroll = scroll
        scroll._magic_widget = self  # type: ignore[attr-defined]  # napari looks it up

    @property
    def native(self) -> QWidget:
        """The Qt widget that goes into the dock."""
        native: QWidget = super().native
        return native if self._scroll is None else self._scroll


def plain_container(widgets: Sequence[Widget] = (), *, layout: str = "vertical") -> Container[Any]:
    """Stack widgets without labels and margins, vertically unless `layout` is "horizontal"."""
    container: Container[Any] = Container(widgets=widgets, layout=layout, labels=False)
    container.margins = (0, 0, 0, 0)
    container.native.layout().setSpacing(4)
    return container


def row(label: str, *widgets: Widget, tooltip: str = "") -> Container[Any]:
    """Build a row of one or more widgets behind a label of fixed width.

    Parameters
    ----------
    label
        One or two words.
    *widgets
        Widgets that share the rest of the row.
    tooltip
        Tooltip of the label and of widgets without one.
    """
    head = Label(value=label)
    head.native.setFixedWidth(_LABEL_PX)
    head.native.setWordWrap(True)
    for widget in (head, *widgets):
        if tooltip and not widget.tooltip:
            widget.tooltip = tooltip
    container = plain_container([head, *widgets], layout="horizontal")
    if any(widget.native.sizeHint().height() > _TALL_PX for widget in widgets):
        container.native.layout().setAlignment(head.native, Qt.AlignmentFlag.AlignTop)
    return container


class Collapsible(Container[Widget]):
    """A collapsible section under a title; add widgets to `inner`.

    Parameters
    ----------
    title
        Title of the section.
    widgets
        Rows inside.
    expanded
        Whether the section is open at first.
    tooltip
        Tooltip of the title.
    """

    toggled = Signal(bool)
    """Emitted with True when the section opens and False when it closes."""

    def __init__(
        self,
        title: str,
        widgets: Sequence[Widget] = (),
        *,
        expanded: bool = False,
        tooltip: str = "",
    ) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self.inner = plain_container(widgets)
        self.inner.margins = (10, 0, 0, 2)
        self._title = title
        # the arrow is text, because superqt draws icons in the palette's colour, not the theme's
        self._fold = QCollapsible(title, None, QIcon(), QIcon())
        self._fold.setDuration(0)
        layout: Any = self._fold.layout()
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self._fold.toggleButton().setToolTip(tooltip)
        self._fold.toggleButton().setStyleSheet(_TITLE_STYLE)
        self._fold.setContent(self.inner.native)
        self._fold.toggled.connect(self._on_toggled)
        super().native.layout().addWidget(self._fold)
        self._show_state()
        self.expanded = expanded

    @property
    def title(self) -> str:
        """Text beside the arrow."""
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        self._title = title
        self._fold.setText(f"{'▾' if self.expanded else '▸'} {title}")

    @property
    def expanded(self) -> bool:
        """Whether the section is open."""
        return bool(self._fold.isExpanded())

    @expanded.setter
    def expanded(self, expanded: bool) -> None:
        if expanded and not self.expanded:
            self._fold.expand(animate=False)
        elif self.expanded and not expanded:
            self._fold.collapse(animate=False)

    def _on_toggled(self, expanded: bool) -> None:
        self._show_state()
        self.toggled.emit(expanded)

    def _show_state(self) -> None:
        # superqt fixes the current height, and the Tab key would still reach the inside
        self.inner.native.setMaximumHeight(_NO_LIMIT_PX if self.expanded else 0)
        self.inner.native.setVisible(self.expanded)
        self.title = self._title


class Message(Label):
    """A sentence with a coloured bar; hidden while empty.

    Follows napari's theme: the text has the theme's colour, the bar shows the kind of message.
    """

    def __init__(self, text: str = "", kind: Kind = "info") -> None:
        super().__init__(value="")
        self.native.setWordWrap(True)
        self.native.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.native_parent_changed.connect(self._show_or_hide)
        self.say(text, kind)

    @property
    def text(self) -> str:
        """Text of the message."""
        return str(getattr(self, "_text", ""))

    def say(self, text: str, kind: Kind = "info") -> None:
        """Show a message, or hide it if the text is empty.

        Parameters
        ----------
        text
            Plain text.
        kind
            Kind of message: ``"info"``, ``"good"``, ``"warning"`` or ``"error"``.
        """
        self._text = text
        self.kind: Kind = kind
        self.native.setTextFormat(Qt.TextFormat.PlainText)
        self.native.setText(_MARKS[kind] + text)
        self.native.setStyleSheet(
            f"QLabel {{ border-left: 3px solid {MESSAGES[kind]}; padding: 2px 2px 2px 6px; }}"
        )
        self._show_or_hide()

    def clear(self) -> None:
        """Hide the message."""
        self.say("")

    def _show_or_hide(self) -> None:
        # without a parent it would open as a separate window
        if self.native.parent() is not None or not self.text:
            self.native.setVisible(bool(self.text))


class Legend(Container[Widget]):
    """Colours and their meaning, in lines as narrow as the dock.

    Parameters
    ----------
    colours
        Colours as ``"#rrggbb"`` by name.
    """

    def __init__(self, colours: Mapping[str, str] | None = None) -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._lines = QLabel()
        self._lines.setWordWrap(True)
        self._lines.setTextFormat(Qt.TextFormat.RichText)
        self.native.layout().addWidget(self._lines)
        self.show_colours(colours or {})

    def show_colours(
        self, colours: Mapping[str, str], counts: Mapping[str, int] | None = None
    ) -> None:
        """Show these colours with their counts, if known."""
        number = {name: f" {counts[name]}" for name in colours if counts and name in counts}
        self._lines.setText(
            "&nbsp;&nbsp; ".join(
                f'<span style="color:{colour}">■</span>&nbsp;'
                f"{name.replace(' ', '&nbsp;')}{number.get(name, '')}"
                for name, colour in colours.items()
            )
        )


class ProgressRow(Container[Widget]):
    """A progress bar with the remaining time and a Stop button; hidden while nothing runs."""

    stopped = Signal()
    """Emitted when the user presses Stop."""

    def __init__(self, *, stop_tooltip: str = "Stop and keep the results so far.") -> None:
        super().__init__(labels=False)
        self.margins = (0, 0, 0, 0)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setMaximumHeight(14)
        self._note = QLabel()
        self._note.setWordWrap(True)
        self._stop = QPushButton("Stop")
        self._stop.setToolTip(stop_tooltip)
        self._stop.clicked.connect(self._on_stop)
        line = QWidget()
        inner = QHBoxLayout(line)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self._bar, 1)
        inner.addWidget(self._stop)
        outer = self.native.layout()
        assert isinstance(outer, QVBoxLayout)
        outer.setSpacing(2)
        outer.addWidget(line)
        outer.addWidget(self._note)
        self._began_s = 0.0
        self.native.setVisible(False)

    @property
    def note(self) -> str:
        """Text below the bar."""
        return str(self._note.text())

    @property
    def running(self) -> bool:
        """Whether the row is shown."""
        return not self.native.isHidden()

    def start(self, text: str = "") -> None:
        """Show the bar, as a busy indicator until `show_progress` is called."""
        self._began_s = time.monotonic()
        self._bar.setRange(0, 0)
        self._stop.setEnabled(True)
        self._stop.setText("Stop")
        self._note.setText(text)
        self.native.setVisible(True)

    def show_progress(
        self, done: int, total: int, seconds_left: float | None = None, text: str = ""
    ) -> None:
        """Move the bar.

        Parameters
        ----------
        done, total
            Progress so far and in all; 0 if the total is unknown.
        seconds_left
            Remaining time in seconds. If None, it is not shown.
        text
            Description of the current work.
        """
        self._bar.setRange(0, max(total, 0))
        self._bar.setValue(min(done, total))
        left = "" if seconds_left is None else f"{duration_words(seconds_left)} left"
        self._note.setText(", ".join(part for part in (text, left) if part))

    def finish(self) -> None:
        """Hide the row."""
        self.native.setVisible(False)

    def _on_stop(self) -> None:
        self._stop.setEnabled(False)
        self._stop.setText("Stopping …")
        self.stopped.emit()


def is_alive(qt_object: QObject) -> bool:
    """Return whether the Qt object behind its Python wrapper still exists."""
    from qtpy.compat import isalive

    return bool(isalive(qt_object))  # type: ignore[no-untyped-call]


def duration_words(seconds: float) -> str:
    """Format a duration such as "a few seconds", "about 40 s", "about 3 min", "about 1.5 h"."""
    if seconds < 5:
        return "a few seconds"
    if seconds < 55:
        return f"about {round(seconds / 5) * 5} s"
    if seconds < 55 * 60:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {seconds / 3600:.1f} h"
