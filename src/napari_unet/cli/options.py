"""Options shared by several commands, and the parsing of their values."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection

    from napari_unet.core.datasets.data_source import DataSource

__all__ = [
    "AnnotatedOption",
    "AxesOption",
    "BackgroundOption",
    "ChannelsOption",
    "ClassOption",
    "EmptyPlanes",
    "EmptyPlanesOption",
    "FractionOption",
    "GroupPatternOption",
    "GroupsOption",
    "JsonOption",
    "RepairOption",
    "SparseOption",
    "TaskKind",
    "ThreadsOption",
    "data_source",
    "given_options",
    "parse_channels",
    "parse_classes",
    "use_threads",
]


class TaskKind(StrEnum):
    """Kinds of labels: objects or classes."""

    INSTANCES = "instances"
    SEMANTIC = "semantic"


class EmptyPlanes(StrEnum):
    """Meanings of a plane without any label in a stack."""

    IGNORE = "ignore"
    BACKGROUND = "background"


ChannelsOption = Annotated[
    str | None,
    typer.Option(
        metavar="LIST",
        help="Channels to use, by number from 0 or by name: 0,2 or DAPI.",
        rich_help_panel="Data",
    ),
]
AxesOption = Annotated[
    str | None,
    typer.Option(
        metavar="LETTERS",
        help="Axes of images whose files do not name them, from T Z C Y X, such as TYX.",
        rich_help_panel="Data",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Number of CPU threads; all by default.", rich_help_panel="Computing"),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, for scripts, and nothing else.")
]
SparseOption = Annotated[
    bool, typer.Option("--sparse", help="Label 0 means 'not painted', not background.")
]
BackgroundOption = Annotated[
    int | None,
    typer.Option(
        metavar="ID",
        help="Label of the background; by default 0, or the lowest label with --sparse.",
    ),
]
ClassOption = Annotated[
    list[str] | None,
    typer.Option("--class", metavar="ID=NAME", help="Name a class; may be repeated."),
]
RepairOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="Repair labels as the label check suggests: pieces, fragments, single_id, 0_255, "
        "class_255, colours, no_background, wrapped_ids; may be repeated.",
        rich_help_panel="Data",
    ),
]
GroupsOption = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE",
        help="CSV table with the columns id and group (or field), or 'folder' to group by folder. "
        "Images of one group stay on one side of the split.",
        rich_help_panel="Data",
    ),
]
GroupPatternOption = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Regular expression for the group in an image's name, such as '^(.+)_tile'.",
        rich_help_panel="Data",
    ),
]
FractionOption = Annotated[
    float, typer.Option(help="Share of images used for validation.", rich_help_panel="Data")
]
AnnotatedOption = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Folder with masks of the annotated areas, named like the images, or one mask for one "
        "image; by default the folder annotated/ beside masks/, if it exists.",
        rich_help_panel="Data",
    ),
]
EmptyPlanesOption = Annotated[
    EmptyPlanes,
    typer.Option(
        help="Meaning of a plane without any label in a stack: not annotated (ignore), or without "
        "objects (background).",
        rich_help_panel="Data",
    ),
]


def data_source(
    source: Path,
    channels: str | None,
    axes: str | None,
    groups: str | None,
    group_pattern: str | None,
    repair: list[str] | None,
    annotated: Path | None,
    empty_planes: EmptyPlanes,
) -> DataSource:
    """Build a data source from the options for the location and reading of data."""
    from napari_unet.core.datasets.data_source import DataSource
    from napari_unet.core.settings import parse_settings

    if groups is not None and groups != "folder":
        groups = str(Path(groups).absolute())
    values = {
        "source": source.absolute(),
        "channels": parse_channels(channels),
        "axes": axes,
        "groups": groups,
        "group_pattern": group_pattern,
        "repair": tuple(repair or ()),
        "annotated": None if annotated is None else annotated.absolute(),
        "empty_planes": empty_planes.value,
    }
    return parse_settings(DataSource, values)


def given_options(context: typer.Context, names: Collection[str]) -> list[str]:
    """Return which of some parameters were set on the command line, as flags."""
    return [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if parameter.name in names
        and str(context.get_parameter_source(parameter.name)).endswith("COMMANDLINE")
    ]


def parse_channels(text: str | None) -> tuple[str | int, ...] | None:
    """Read a list of channels: whole numbers are indices, everything else is a name."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise SettingsError(f"--channels {text!r}: expected numbers or names, such as 0,2 or DAPI.")
    return tuple(int(part) if part.isdecimal() else part for part in parts)


def parse_classes(texts: list[str] | None) -> dict[int, str]:
    """Read class names by id from texts such as ``"2=border"``."""
    names: dict[int, str] = {}
    for text in texts or []:
        number, sign, name = text.partition("=")
        if not (sign and number.strip().isdecimal() and name.strip()):
            raise SettingsError(f"--class {text!r}: expected a label and its name, such as 1=cell.")
        names[int(number)] = name.strip()
    return names


def use_threads(threads: int | None) -> None:
    """Limit torch to a number of threads."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
