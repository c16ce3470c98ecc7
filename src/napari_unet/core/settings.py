"""Base class of all settings, and how the command line and forms show their fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from napari_unet.core.errors import SettingsError

__all__ = [
    "AUTO",
    "Device",
    "Precision",
    "Settings",
    "SettingsField",
    "Shown",
    "fields_to_show",
    "parse_settings",
    "settings_error",
]

AUTO = "auto"
"""Value of a setting that the program determines automatically."""

_UNITS = ("px", "um", "s")

S = TypeVar("S", bound=BaseModel)


class Settings(BaseModel):
    """Base class of all settings: immutable; unknown names are refused."""

    # Validators are built on first use, so that importing these classes stays fast in napari.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def parse_settings(kind: type[S], values: Mapping[str, Any]) -> S:
    """Build settings from plain values, with errors that read as sentences.

    Raises
    ------
    SettingsError
        If values are not allowed; the message names each one and what is allowed.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise settings_error(kind, error) from None


def settings_error(kind: type[BaseModel], error: ValidationError) -> SettingsError:
    """Convert pydantic's validation errors to a message of sentences."""
    parts = [_complaint(kind, dict(e)) for e in error.errors()]
    return SettingsError(f"Invalid settings: {'; '.join(parts)}.")


def _complaint(kind: type[BaseModel], error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "settings"
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        return f"{where}: there is no such setting, expected one of {', '.join(kind.model_fields)}"
    return f"{where}: {error['msg'].lower()}, got {error['input']!r}"


# -- fields in the command line and forms --------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """Mark a field of settings as an option of the command line and a field of forms.

    Add it to the field's annotation; title, description and bounds come from the field.

    Parameters
    ----------
    flag
        Name of the command-line option; empty: the field's name without its unit.
    panel
        Heading of its section in the command line's help.
    metavar
        Placeholder of the value in the help; empty: its type or unit.
    step
        Step of the field in a form.
    choices
        Labels of the allowed values in a form.
    auto
        Title and description of the check box that sets the field to ``"auto"``.
    """

    flag: str = ""
    panel: str = ""
    metavar: str = ""
    step: float | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    auto: tuple[str, str] = ("Automatic", "")


Device = Annotated[
    str,
    Field(title="Device", description="auto, cpu, cuda, cuda:1 or mps."),
    Shown(panel="Computing"),
]
"""Device to compute on, in settings of training and prediction."""

Precision = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    Field(title="Precision", description="Number format of the network; float16 needs a GPU."),
    Shown(panel="Computing"),
]
"""Number format of the network, in settings of training and prediction."""


@dataclass(frozen=True)
class SettingsField:
    """Description of a settings field for the command line and forms.

    Parameters
    ----------
    name
        Name of the field.
    kind
        Type of its value: bool, int, float or str.
    default
        Default value.
    title
        Label of its row in a form.
    description
        One or two sentences for a tooltip and the help of the command line.
    shown
        Declaration in its class for the command line and forms.
    choices
        Allowed values, if there are only a few.
    auto
        Whether a number may be ``"auto"``.
    minimum, maximum
        Inclusive bounds of a number; None: unbounded.
    """

    name: str
    kind: type
    default: Any
    title: str
    description: str
    shown: Shown
    choices: tuple[str, ...] = ()
    auto: bool = False
    minimum: float | None = None
    maximum: float | None = None

    @property
    def flag(self) -> str:
        """Name of the command-line option, such as ``"--block"`` for ``block_px``."""
        words = self.name.split("_")
        words = words[:-1] if self.unit else words
        return self.shown.flag or "--" + "-".join(words)

    @property
    def unit(self) -> str:
        """Unit at the end of the name, such as ``"px"``; empty if it has none."""
        last = self.name.rpartition("_")[2]
        return last if last in _UNITS else ""


def fields_to_show(
    kind: type[BaseModel], names: Sequence[str] | None = None
) -> tuple[SettingsField, ...]:
    """List the fields of settings that are marked `Shown`.

    Parameters
    ----------
    kind
        A class of settings.
    names
        Names of the fields to list, in this order; None: all.
    """
    fields = (f for name, info in kind.model_fields.items() for f in _shown(name, info))
    found = {field.name: field for field in fields}
    return tuple(found.values()) if names is None else tuple(found[name] for name in names)


def _shown(name: str, info: FieldInfo) -> Iterator[SettingsField]:
    marks = [m for m in info.metadata if isinstance(m, Shown)]
    if not marks:
        return
    types, choices, constraints = _parts(info.annotation)
    limits = [*constraints, *info.metadata]
    number = int in types or float in types
    yield SettingsField(
        name=name,
        kind=types[0] if types else str,
        default=info.get_default(call_default_factory=True),
        title=info.title or name,
        description=info.description or "",
        shown=marks[-1],
        choices=() if number else choices,
        auto=number and AUTO in choices,
        minimum=_limit(limits, "ge", "gt"),
        maximum=_limit(limits, "le", "lt"),
    )


def _parts(annotation: Any) -> tuple[list[type], tuple[str, ...], list[Any]]:
    """Split an annotation into plain types, values of literals and constraints on any part."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is NoneType:
        return [], (), []
    if origin is Literal:
        return [], arguments, []
    if origin is Annotated:
        types, choices, constraints = _parts(arguments[0])
        inner = [m for a in arguments[1:] for m in getattr(a, "metadata", [a])]
        return types, choices, constraints + inner
    if not arguments:
        return [annotation], (), []
    parts = [_parts(argument) for argument in arguments]
    return (
        [t for types, _, _ in parts for t in types],
        tuple(c for _, choices, _ in parts for c in choices),
        [c for _, _, constraints in parts for c in constraints],
    )


def _limit(constraints: Sequence[Any], *names: str) -> float | None:
    found = (getattr(c, name, None) for c in constraints for name in names)
    return next((limit for limit in found if limit is not None), None)
