"""Command options generated from the fields of settings when a command is used.

The settings are not imported earlier, so that the list of commands appears quickly.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from pydantic import BaseModel

    from napari_unet.core.settings import SettingsField
    from napari_unet.core.tasks.adjustments import Adjustment

__all__ = ["Option", "adjustment_options", "given_settings", "settings_command", "settings_options"]

_GIVEN = "napari_unet.given_settings"


class Option(NamedTuple):
    """An option of a command.

    Parameters
    ----------
    name
        Name of the parameter.
    kind
        Type of its value.
    details
        Arguments of `typer.Option`, the flag, and the default if the help shows one.
    """

    name: str
    kind: Any
    details: dict[str, Any]

    def parameter(self) -> inspect.Parameter:
        """Return the option as a parameter of a function."""
        details = dict(self.details)
        flag, default = details.pop("flag"), details.pop("default", None)
        option = typer.Option(flag, **details)
        kind = self.kind if self.kind is bool or default is not None else self.kind | None
        default = False if kind is bool else default
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[kind, option],
        )


def settings_command(make_options: Callable[[], list[Option]]) -> type[TyperCommand]:
    """Make the class of a command with additional options, see `settings_options`.

    The command's function does not receive them as arguments; `given_settings` returns them.

    Parameters
    ----------
    make_options
        Makes the options when the command is used for the first time.
    """

    class SettingsCommand(TyperCommand):
        """A command with the fields of settings as options."""

        _names: tuple[str, ...] | None = None

        def get_params(self, ctx: Any) -> list[Any]:
            """Return all parameters, those made from settings last."""
            if self._names is None:
                options = make_options()
                self._names = tuple(option.name for option in options)
                self.params = [*self.params, *_parameters(options)]
            return super().get_params(ctx)

        def invoke(self, ctx: Any) -> Any:
            """Store the additional options in the context and call the command's function."""
            values = {name: ctx.params.pop(name, None) for name in self._names or ()}
            given = {n: v for n, v in values.items() if _is_given(ctx, n)}
            ctx.meta[_GIVEN] = {n: v.value if isinstance(v, Enum) else v for n, v in given.items()}
            return super().invoke(ctx)

    return SettingsCommand


def _is_given(context: Any, name: str) -> bool:
    return str(context.get_parameter_source(name)).endswith("COMMANDLINE")


def given_settings(context: typer.Context, names: Iterable[str]) -> dict[str, Any]:
    """Return the values, by field, of options made from settings that the user set."""
    given: dict[str, Any] = context.meta[_GIVEN]
    return {name: given[name] for name in names if name in given}


def settings_options(
    kind: type[BaseModel],
    names: Sequence[str] | None = None,
    *,
    with_defaults: bool = True,
) -> list[Option]:
    """Make an option for each field of settings that is marked `Shown`.

    Parameters
    ----------
    kind
        A class of settings.
    names
        Names of fields, in order; None: all.
    with_defaults
        Whether the help shows the defaults of the fields.
    """
    from napari_unet.core.settings import fields_to_show

    return [_option(field, with_defaults) for field in fields_to_show(kind, names)]


def adjustment_options(adjustments: Iterable[Adjustment]) -> list[Option]:
    """Make an option for each decoder setting that a task declares as adjustable."""
    return [
        Option(
            adjustment.name,
            int if adjustment.is_integer else float,
            {
                "flag": adjustment.flag,
                "help": adjustment.description,
                "metavar": adjustment.unit.upper() or None,
                "rich_help_panel": "Finding objects",
            },
        )
        for adjustment in adjustments
    ]


def _option(field: SettingsField, with_default: bool) -> Option:
    kind: Any = Enum(field.name, {c: c for c in field.choices}) if field.choices else field.kind
    metavar = field.shown.metavar or field.unit.upper() or None
    details: dict[str, Any] = {
        "flag": field.flag,
        "help": field.description,
        "rich_help_panel": field.shown.panel or None,
    }
    if field.kind is not bool:
        details["metavar"] = metavar
    if with_default and field.kind is not bool:
        details["default"] = kind(field.default)
    return Option(field.name, kind, details)


def _parameters(options: Sequence[Option]) -> list[Any]:
    """Build click parameters with typer, as it does for the arguments of a function."""

    def function() -> None: ...

    signature = inspect.Signature([option.parameter() for option in options])
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return list(typer.main.get_command(app).params)
