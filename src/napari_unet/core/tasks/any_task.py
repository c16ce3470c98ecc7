"""The tasks that model files can refer to: this package's own and registered ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import SerializeAsAny, TypeAdapter, WrapValidator

from napari_unet.core.tasks.adjustments import Adjustment
from napari_unet.core.tasks.base import Task
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic

__all__ = ["AnyTask", "parse_task", "possible_adjustments", "register_task", "task_kinds"]

T = TypeVar("T", bound=Task)

_KINDS: dict[str, type[Task]] = {}


def register_task(task: type[T]) -> type[T]:
    """Register a task class, so that model files, run folders and sessions can refer to it.

    Use it as a decorator of a class that derives from `Task` and declares its ``kind``.

    Raises
    ------
    ValueError
        If the class has no default kind, or another class is registered under it.

    Examples
    --------
    >>> from typing import Literal
    >>> from napari_unet.core.tasks import Instances, parse_task, register_task
    >>> @register_task
    ... class Cells(Instances):
    ...     kind: Literal["cells"] = "cells"
    >>> parse_task({"kind": "cells"})
    Cells(...)
    """
    kind = task.model_fields["kind"].default
    if not isinstance(kind, str):
        raise ValueError(f"{task.__name__} has no kind: expected a Literal field with a default.")
    other = _KINDS.setdefault(kind, task)
    if f"{other.__module__}.{other.__qualname__}" != f"{task.__module__}.{task.__qualname__}":
        raise ValueError(
            f"The kind '{kind}' of {task.__name__} is already used by {other.__name__}. Choose "
            "another."
        )
    _KINDS[kind] = task
    return task


register_task(Semantic)
register_task(Instances)


def task_kinds() -> tuple[type[Task], ...]:
    """List the registered task classes."""
    return tuple(_KINDS.values())


def possible_adjustments() -> tuple[Adjustment, ...]:
    """List the adjustments of all registered tasks, each name once, in the order of sliders.

    Examples
    --------
    >>> from napari_unet.core.tasks import possible_adjustments
    >>> [adjustment.flag for adjustment in possible_adjustments()]
    [...'--threshold'...]
    """
    found: dict[str, Adjustment] = {}
    for task in task_kinds():
        for adjustment in task.possible_adjustments():
            found.setdefault(adjustment.name, adjustment)
    return tuple(found.values())


def _build(value: Any, _: Any) -> Task:
    if isinstance(value, Task):
        type(value).model_rebuild()  # an unpickled task may be the first of its class
        return value
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if kind not in _KINDS:
        raise ValueError(
            f"there is no task of the kind {kind!r}, expected one of {', '.join(_KINDS)}; first "
            "import the package that defines it"
        )
    return _KINDS[kind].model_validate(value)


AnyTask = Annotated[SerializeAsAny[Task], WrapValidator(_build)]
"""A registered task as a field: read by its kind, written with all its fields."""


def parse_task(values: Mapping[str, Any]) -> Task:
    """Build a task from the values that `model_dump` returned.

    Raises
    ------
    pydantic.ValidationError
        If the kind is not registered, or a value is not valid.

    Examples
    --------
    >>> from napari_unet.core.tasks import Instances, parse_task
    >>> parse_task(Instances(object_name="cell").model_dump()).object_name
    'cell'
    """
    task: Task = TypeAdapter(AnyTask).validate_python(values)
    return task
