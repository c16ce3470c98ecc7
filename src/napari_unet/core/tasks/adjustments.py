"""Values that can be adjusted after a prediction, by sliders and command-line options.

A field of a task or decoder becomes adjustable through an `Adjustable` in its annotation. Title,
description and bounds are those of the field and are declared only there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

__all__ = [
    "Adjustable",
    "Adjustment",
    "Threshold",
    "adjustments_of",
    "changed_fields",
    "merge_adjustments",
]

_USUAL_DIAMETER_PX = 25.0


@dataclass(frozen=True)
class Adjustable:
    """Marker of a numeric field of a task or decoder that can be adjusted.

    Parameters
    ----------
    flag
        Name of the command-line option.
    minimum, maximum
        Ends of the slider; the field may allow a wider range.
    step
        Step of the slider.
    unit
        Unit to show, such as ``"px"``.
    maximum_in_objects
        Right end of the slider in multiples of the area of a typical object, for sliders that
        depend on the model; None: always `maximum`.

    Examples
    --------
    >>> from typing import Annotated
    >>> from pydantic import Field
    >>> from napari_unet.core.settings import Settings
    >>> from napari_unet.core.tasks import Adjustable
    >>> class Decoder(Settings):
    ...     smallest_px: Annotated[
    ...         float, Field(title="Smallest (px)"), Adjustable("--smallest", 0, 100, 1, unit="px")
    ...     ] = 5.0
    """

    flag: str
    minimum: float
    maximum: float
    step: float
    unit: str = ""
    maximum_in_objects: float | None = None


@dataclass(frozen=True)
class Adjustment:
    """A number of a task or its decoder that can be changed after a prediction.

    Parameters
    ----------
    name
        Name of the field, and key in `Task.adjusted`.
    title
        Label of its slider.
    description
        One or two sentences for the tooltip and the command-line help.
    range
        Flag, unit and ends of the slider.
    value
        Current value.
    is_integer
        Whether only whole numbers are allowed.

    Examples
    --------
    >>> from napari_unet import Instances
    >>> threshold = next(a for a in Instances().adjustments if a.name == "threshold")
    >>> threshold.flag, threshold.value
    ('--threshold', 0.5)
    """

    name: str
    title: str
    description: str
    range: Adjustable
    value: float
    is_integer: bool

    @property
    def flag(self) -> str:
        """Name of the command-line option, such as ``"--min-area"``."""
        return self.range.flag

    @property
    def unit(self) -> str:
        """Unit to show, such as ``"px"``; empty if there is none."""
        return self.range.unit

    @property
    def minimum(self) -> float:
        """Left end of the slider."""
        return self.range.minimum

    @property
    def maximum(self) -> float:
        """Right end of the slider, for any model."""
        return max(self.range.maximum, self.value)

    @property
    def step(self) -> float:
        """Step of the slider."""
        return self.range.step

    def maximum_for(self, object_diameter_px: float | None) -> float:
        """Return the right end of the slider for objects of a given diameter.

        Parameters
        ----------
        object_diameter_px
            Diameter of a typical object in pixels; None: unknown.
        """
        if self.range.maximum_in_objects is None:
            return self.maximum
        area = math.pi / 4 * (object_diameter_px or _USUAL_DIAMETER_PX) ** 2
        return max(self.range.maximum_in_objects * area, self.value)


Threshold = Annotated[
    float,
    Field(
        gt=0,
        lt=1,
        title="Threshold",
        description="Probability above which a pixel is foreground. A lower threshold finds more "
        "and larger objects.",
    ),
    Adjustable("--threshold", 0.02, 0.98, 0.01),
]
"""Threshold of a foreground probability, shared by all tasks and decoders that use one."""


def adjustments_of(settings: BaseModel) -> tuple[Adjustment, ...]:
    """List the adjustable fields of a task or decoder with their current values."""
    return tuple(
        _adjustment(name, field, marked, getattr(settings, name))
        for name, field, marked in _marked_fields(type(settings))
    )


def merge_adjustments(kinds: Iterable[type[BaseModel]]) -> tuple[Adjustment, ...]:
    """List the adjustable fields of several classes with their defaults, each name once."""
    found: dict[str, Adjustment] = {}
    for kind in kinds:
        for name, field, marked in _marked_fields(kind):
            found.setdefault(name, _adjustment(name, field, marked, field.get_default()))
    return tuple(found.values())


def changed_fields(
    settings: BaseModel, values: Mapping[str, float]
) -> tuple[dict[str, float], dict[str, float]]:
    """Split values into those that are adjustable in `settings` and others."""
    known = {a.name for a in adjustments_of(settings)}
    own = {name: value for name, value in values.items() if name in known}
    return own, {name: value for name, value in values.items() if name not in known}


def _marked_fields(kind: type[BaseModel]) -> list[tuple[str, FieldInfo, Adjustable]]:
    return [
        (name, field, marked)
        for name, field in kind.model_fields.items()
        for marked in field.metadata
        if isinstance(marked, Adjustable)
    ]


def _adjustment(name: str, field: FieldInfo, marked: Adjustable, value: float) -> Adjustment:
    return Adjustment(
        name=name,
        title=field.title or name,
        description=field.description or "",
        range=marked,
        value=value,
        is_integer=field.annotation is int,
    )
