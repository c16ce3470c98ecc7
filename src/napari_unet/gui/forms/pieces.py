"""Small pieces of a form: rows, folds, sentences, progress. Readable in a dock 300 px wide."""

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
"""At which a dock opens: layer names of usual length are read in full."""
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
        """Join the tabs of its kind, the first time."""
        super().showEvent(event)
        if not self._docked:
            self._docked = True
            later = QTimer(self)  # napari is still placing the dock
            later.setSingleShot(True)
            later.timeout.connect(self._join)  # no closure: it would keep this alive
            later.start(0)

    def _join(self) -> None:
        join_tabs(self)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Ask for more than the least width."""
        return QSize(_WIDTH_PX, super().sizeHint().height())


class Form(Container[Widget]):
    """What a dock widget is made of: pieces from top to bottom, scrolled where the dock is low.

    Parameters
    ----------
    widgets
        Rows, folds, buttons, sentences.
    """

    _scroll: QScrollArea | None = None

    def __init__(self, widgets: Sequence[Widget] = (), **kwargs: Any) -> None:
        super().__init__(widgets=widgets, labels=False, **kwargs)
        self.margins = (6, 4, 6, 4)
        layout = super().native.layout()
        layout.setSpacing(5)
        layout.setAlignment(Qt.AlignmentFlag.AlignTop)
        # not magicgui's scrollable=True: napari docks `native`, which there is the scrolled part
        scroll = _Scroll()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setMinimumWidth(_LEAST_WIDTH_PX)
        scroll.setWidget(super().native)
        self._scroll = scroll
        scroll._magic_widget = self  # type: ignore[attr-defined]  # what napari's docks tell of

    @property
    def native(self) -> QWidget:
        """The Qt widget that goes into the dock."""
        native: QWidget = super().native
        return native if self._scroll is None else self._scroll


def plain_container(widgets: Sequence[Widget] = (), *, layout: str = "vertical") -> Container[Any]:
    """Put widgets below (or beside) each other without labels and margins."""
    container: Container[Any] = Container(widgets=widgets, layout=layout, labels=False)
    container.margins = (0, 0, 0, 0)
    container.native.layout().setSpacing(4)
    return container


def row(label: str, *widgets: Widget, tooltip: str = "") -> Container[Any]:
    """Put a label of the common width in front of one or more widgets.

    Parameters
    ----------
    label
        A word or two.
    *widgets
        Share the rest of the row.
    tooltip
        A plain sentence, for the label and for widgets that have none.
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
    """A section under a title that folds; put widgets into `inner`.

    Parameters
    ----------
    title
        What is inside.
    widgets
        The rows inside.
    expanded
        Whether it starts open.
    tooltip
        For the title.
    """

    toggled = Signal(bool)
    """Emitted with whether it is open now."""

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
        """What stands beside the arrow."""
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        self._title = title
        self._fold.setText(f"{'▾' if self.expanded else '▸'} {title}")

    @property
    def expanded(self) -> bool:
        """Whether it is open."""
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
        # superqt freezes the height at that of the moment, and the Tab key still goes inside
        self.inner.native.setMaximumHeight(_NO_LIMIT_PX if self.expanded else 0)
        self.inner.native.setVisible(self.expanded)
        self.title = self._title


class Message(Label):
    """A plain sentence with a coloured bar; takes no room while it has nothing to say.

    Follows napari's theme: the text has the theme's colour, only the bar says how it is meant.
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
        """The sentence."""
        return str(getattr(self, "_text", ""))

    def say(self, text: str, kind: Kind = "info") -> None:
        """Show a sentence; an empty one hides the message.

        Parameters
        ----------
        text
            Plain text.
        kind
            ``"info"``, ``"good"``, ``"warning"`` or ``"error"``.
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
        """Hide it."""
        self.say("")

    def _show_or_hide(self) -> None:
        # shown without a parent it would be a window of its own
        if self.native.parent() is not None or not self.text:
            self.native.setVisible(bool(self.text))


class Legend(Container[Widget]):
    """Colours and what they mean, in lines as narrow as the dock.

    Parameters
    ----------
    colours
        ``"#rrggbb"`` by name.
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
        """Show these colours, with how many there are of each where that is known."""
        number = {name: f" {counts[name]}" for name in colours if counts and name in counts}
        self._lines.setText(
            "&nbsp;&nbsp; ".join(
                f'<span style="color:{colour}">■</span>&nbsp;'
                f"{name.replace(' ', '&nbsp;')}{number.get(name, '')}"
                for name, colour in colours.items()
            )
        )


class ProgressRow(Container[Widget]):
    """A progress bar, the time left in words, and a Stop button; hidden while nothing runs."""

    stopped = Signal()
    """Emitted when a person presses Stop."""

    def __init__(self, *, stop_tooltip: str = "Stop; what is done so far is kept.") -> None:
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
        """The words below the bar."""
        return str(self._note.text())

    @property
    def running(self) -> bool:
        """Whether it shows a run."""
        return not self.native.isHidden()

    def start(self, text: str = "") -> None:
        """Show the bar, moving without a measure until `show_progress` gives one."""
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
            Of whatever is counted; a `total` of 0 means that nobody knows.
        seconds_left
            None: not said.
        text
            What is being done.
        """
        self._bar.setRange(0, max(total, 0))
        self._bar.setValue(min(done, total))
        left = "" if seconds_left is None else f"{duration_words(seconds_left)} left"
        self._note.setText(", ".join(part for part in (text, left) if part))

    def finish(self) -> None:
        """Hide it."""
        self.native.setVisible(False)

    def _on_stop(self) -> None:
        self._stop.setEnabled(False)
        self._stop.setText("Stopping …")
        self.stopped.emit()


def is_alive(qt_object: QObject) -> bool:
    """Whether Qt has not deleted the object behind its Python wrapper."""
    from qtpy.compat import isalive

    return bool(isalive(qt_object))  # type: ignore[no-untyped-call]


def duration_words(seconds: float) -> str:
    """Say a duration as people do: "a few seconds", "about 40 s", "about 3 min", "about 1.5 h"."""
    if seconds < 5:
        return "a few seconds"
    if seconds < 55:
        return f"about {round(seconds / 5) * 5} s"
    if seconds < 55 * 60:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {seconds / 3600:.1f} h"
