"""Form fields made from the fields of settings and from the adjustments of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from magicgui import widgets as w

from napari_unet.core.settings import AUTO, SettingsField, fields_to_show
from napari_unet.gui.forms.fields import narrow
from napari_unet.gui.forms.pieces import row

if TYPE_CHECKING:
    from pydantic import BaseModel

    from napari_unet.core.tasks.adjustments import Adjustment

__all__ = ["SettingsFields", "adjustment_slider", "settings_widget"]


_LARGEST = 2**31 - 1
"""Largest value that Qt's fields accept, for numbers without an upper bound."""


class SettingsFields:
    """Form fields for settings, with the titles, tooltips, bounds and defaults of their class.

    Parameters
    ----------
    kind
        Class of settings.
    names
        Names of the fields to show.

    Attributes
    ----------
    widgets
        Control of each setting by name.
    automatic
        Check boxes that replace a number with ``"auto"``, for settings that allow it, by name.
    """

    def __init__(self, kind: type[BaseModel], names: Sequence[str]) -> None:
        self._fields = fields_to_show(kind, names)
        self.widgets: dict[str, Any] = {f.name: settings_widget(f) for f in self._fields}
        self.automatic: dict[str, Any] = {
            f.name: w.CheckBox(name=f"{f.name}_auto", text=f.shown.auto[0], tooltip=f.shown.auto[1])
            for f in self._fields
            if f.auto
        }
        self._rows = {f.name: self._row(f) for f in self._fields}

    def rows(self, *names: str) -> list[w.Widget]:
        """Return the rows of some settings, in this order."""
        return [piece for name in names for piece in self._rows[name]]

    @property
    def fields(self) -> list[Any]:
        """All controls, to watch for changes."""
        return [*self.widgets.values(), *self.automatic.values()]

    @property
    def values(self) -> dict[str, Any]:
        """Current values by the name of the setting."""
        found = {name: widget.value for name, widget in self.widgets.items()}
        return found | {name: AUTO for name, box in self.automatic.items() if box.value}

    def show(self, **values: Any) -> None:
        """Show values of some settings, by name."""
        for name, value in values.items():
            self.widgets[name].value = value

    def _row(self, field: SettingsField) -> list[w.Widget]:
        widget = self.widgets[field.name]
        if field.kind is bool:  # the title is beside the box
            return [widget]
        boxes = [self.automatic[field.name]] if field.auto else []
        return [row(field.title, widget, tooltip=field.description), *boxes]


def settings_widget(field: SettingsField) -> Any:
    """Make the widget for one field of settings: a check box, choices, a number or a line."""
    if field.kind is bool:
        return w.CheckBox(
            name=field.name, text=field.title, tooltip=field.description, value=field.default
        )
    if field.choices:
        choices = [(field.shown.choices.get(c, c), c) for c in field.choices]
        return narrow(w.ComboBox(name=field.name, choices=choices, value=field.default))
    if field.kind in (int, float):
        return _number(field)
    return w.LineEdit(name=field.name, value=field.default)


def adjustment_slider(adjustment: Adjustment) -> Any:
    """Make the slider for a decoder setting that a task declares as adjustable."""
    kind: Any = w.Slider if adjustment.is_integer else w.FloatSlider
    number = int if adjustment.is_integer else float
    return kind(
        name=adjustment.name,
        min=number(adjustment.minimum),
        max=number(adjustment.maximum),
        step=number(adjustment.step),
        value=number(adjustment.value),
    )


def _number(field: SettingsField) -> Any:
    maximum = _LARGEST if field.maximum is None else field.maximum
    given = {"min": field.minimum, "max": maximum, "step": field.shown.step}
    limits = {name: value for name, value in given.items() if value is not None}
    kind: Any = w.SpinBox if field.kind is int else w.FloatSpinBox
    return kind(name=field.name, value=field.default, **limits)
