"""Base class of all settings, and errors about them that read as sentences."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from napari_unet.core.errors import SettingsError

__all__ = ["Settings", "parse_settings"]


S = TypeVar("S", bound=BaseModel)


class Settings(BaseModel):
    """Base of all settings: immutable, unknown names refused."""

    # Built when first used: napari imports these to show a widget, and does not wait for it.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def parse_settings(kind: type[S], values: dict[str, Any]) -> S:
    """Build settings from plain values, with errors that read as sentences.

    Raises
    ------
    SettingsError
        Naming each value that is not allowed and what would be.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        parts = [_complaint(kind, dict(e)) for e in error.errors()]
        raise SettingsError(f"Settings not usable: {'; '.join(parts)}.") from None


def _complaint(kind: type[BaseModel], error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "settings"
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        return f"{where}: there is no such setting, expected among {', '.join(kind.model_fields)}"
    return f"{where}: {error['msg'].lower()}, got {error['input']!r}"
