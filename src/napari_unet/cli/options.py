"""Options that several commands have, and what they mean in words."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from napari_unet.core.errors import SettingsError

__all__ = [
    "AxesOption",
    "BackgroundOption",
    "BlockOption",
    "ChannelsOption",
    "ClassOption",
    "DeviceOption",
    "JsonOption",
    "PrecisionOption",
    "RepairOption",
    "SparseOption",
    "TaskKind",
    "ThreadsOption",
    "parse_channels",
    "parse_classes",
    "use_threads",
]


class TaskKind(StrEnum):
    """What labels mean."""

    INSTANCES = "instances"
    SEMANTIC = "semantic"


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
        help="Axes of the images where their files do not name them, of T Z C Y X: such as TYX.",
        rich_help_panel="Data",
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel="Computing")
]
PrecisionOption = Annotated[
    str,
    typer.Option(help="auto, float32, bfloat16 or float16.", rich_help_panel="Computing"),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads; all by default.", rich_help_panel="Computing"),
]
BlockOption = Annotated[
    int,
    typer.Option(
        min=16,
        metavar="PX",
        help="Side of the blocks in which large images are computed; the result stays the same.",
        rich_help_panel="Computing",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object for machines, and nothing else.")
]
SparseOption = Annotated[
    bool, typer.Option("--sparse", help="Label 0 means 'not painted', not background.")
]
BackgroundOption = Annotated[
    int | None,
    typer.Option(metavar="ID", help="Label of the background; 0, or with --sparse the lowest."),
]
ClassOption = Annotated[
    list[str] | None,
    typer.Option("--class", metavar="ID=NAME", help="Name a class; may be repeated."),
]
RepairOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND",
        help="Repair labels, as the label check offers: pieces, fragments, single_id, 0_255, "
        "class_255, colours, no_background, wrapped_ids; may be repeated.",
        rich_help_panel="Data",
    ),
]


def parse_channels(text: str | None) -> tuple[str | int, ...] | None:
    """Read a list of channels: whole numbers are places, everything else is a name."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise SettingsError(f"--channels {text!r}: expected numbers or names, such as 0,2 or DAPI.")
    return tuple(int(part) if part.isdigit() else part for part in parts)


def parse_classes(texts: list[str] | None) -> dict[int, str]:
    """Read names of classes by id from texts such as ``"2=border"``."""
    names: dict[int, str] = {}
    for text in texts or []:
        number, sign, name = text.partition("=")
        if not (sign and number.strip().isdigit() and name.strip()):
            raise SettingsError(f"--class {text!r}: expected a label and its name, such as 1=cell.")
        names[int(number)] = name.strip()
    return names


def use_threads(threads: int | None) -> None:
    """Limit torch to a number of threads."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
