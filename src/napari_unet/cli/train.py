"""``napari-unet train``: from a folder of images with labels to a model."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unet.cli.console import Output, in_sentences
from napari_unet.cli.options import (
    AxesOption,
    BackgroundOption,
    ChannelsOption,
    ClassOption,
    DeviceOption,
    JsonOption,
    PrecisionOption,
    RepairOption,
    SparseOption,
    TaskKind,
    ThreadsOption,
    parse_channels,
    parse_classes,
    use_threads,
)
from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.config import TrainingSettings
    from napari_unet.core.data_source import DataSource
    from napari_unet.core.images import Pair
    from napari_unet.core.model_file import Model
    from napari_unet.core.tasks import Instances, Semantic

__all__ = ["EPILOG", "train"]

EPILOG = """
**Examples**

Nuclei in a folder with images/ and masks/, for 20 minutes:

`napari-unet train nuclei --out run --minutes 20`

Images of one field kept on one side of the validation split, from a table:

`napari-unet train nuclei --groups fields.csv --epochs 100 --out run`

Classes instead of objects, only some pixels painted, label 1 being the background:

`napari-unet train tissue --task semantic --sparse --background 1 --class 2=gland --out run`

Go on with a run that was stopped; start from a model that is there:

`napari-unet train --resume run`

`napari-unet train more --from run --steps 500 --lr 0.0005 --out run2`
"""


class Preset(StrEnum):
    """Names of augmentations."""

    NONE = "none"
    LIGHT = "light"
    STANDARD = "standard"


_DATA, _TRAINING, _NETWORK, _COMPUTING = "Data", "Training", "Network", "Computing"


@in_sentences
def train(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(
            show_default=False,
            help="Folder with images and labels (images/ and masks/, labels beside the images, or "
            "one folder per image), or a CSV table with the columns image, labels, group.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of the run; must not hold one already."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Go on with the run in this folder, with its settings."),
    ] = None,
    task: Annotated[
        TaskKind | None, typer.Option(help="Whether labels are objects (instances) or classes.")
    ] = None,
    sparse: SparseOption = False,
    background: BackgroundOption = None,
    classes: ClassOption = None,
    minutes: Annotated[
        float | None, typer.Option(help="Train this long.", rich_help_panel=_TRAINING)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Train this many epochs.", rich_help_panel=_TRAINING)
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Train this many steps.", rich_help_panel=_TRAINING)
    ] = None,
    augmentation: Annotated[
        Preset, typer.Option(help="How much patches are varied.", rich_help_panel=_TRAINING)
    ] = Preset.STANDARD,
    patch: Annotated[
        int | None, typer.Option(metavar="PX", help="Side of a patch.", rich_help_panel=_TRAINING)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Patches per step.", rich_help_panel=_TRAINING)
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate.", rich_help_panel=_TRAINING)
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after this many epochs without improvement.", rich_help_panel=_TRAINING
        ),
    ] = None,
    epoch_steps: Annotated[
        int | None,
        typer.Option(help="Steps between two validations.", rich_help_panel=_TRAINING),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of everything random.", rich_help_panel=_TRAINING)
    ] = 0,
    split: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="Which images validate: group (whole groups, or a block of a single image), "
            "random42 (as StarDist's examples split) or a CSV table with the columns id, split.",
            rich_help_panel=_DATA,
        ),
    ] = "group",
    validation_fraction: Annotated[
        float, typer.Option(help="Share of the images that validates.", rich_help_panel=_DATA)
    ] = 0.15,
    groups: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            help="CSV table with the columns id and group (or field), or 'folder': images of one "
            "group stay on one side of the split.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    group_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Finds the group in an image's name: '^(.+)_tile'.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    channels: ChannelsOption = None,
    axes: AxesOption = None,
    repair: RepairOption = None,
    from_model: Annotated[
        str | None,
        typer.Option("--from", metavar="MODEL", help="Start from a model: file, run or name."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the model is called; as its folder by default.")
    ] = None,
    base_channels: Annotated[
        int | None,
        typer.Option(
            help="Channels at full size; doubled at each halving.", rich_help_panel=_NETWORK
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help="How often the size is halved.", rich_help_panel=_NETWORK)
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(help="Share of the bottleneck dropped.", rich_help_panel=_NETWORK),
    ] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a U-Net on images with labels.

    Ctrl-C stops after the step at hand; everything is saved and can be resumed.
    """
    from napari_unet.cli.training_run import resume_run, start_run

    output = Output(as_json)
    if resume is not None:
        _check_resume_options(context)
        resume_run(output, resume, source, threads)
        return
    if source is None:
        raise SettingsError(
            "There is nothing to train on: name a folder of images with labels, or a run to go on "
            "with (--resume)."
        )
    names = parse_classes(classes)
    data = _data_source(source, channels, axes, groups, group_pattern, repair)
    values = {
        "depth": depth,
        "base_channels": base_channels,
        "dropout": dropout,
        "patch_px": patch,
        "batch_size": batch,
        "learning_rate": lr,
        "patience": patience,
        "epoch_steps": epoch_steps,
        "validation_fraction": validation_fraction,
        "precision": precision,
        "device": device,
        "seed": seed,
    }
    budget = {"minutes": minutes, "epochs": epochs, "steps": steps}
    settings = _settings(values, budget, augmentation)
    start = _start_model(from_model)
    if start is not None and any(v is not None for v in (depth, base_channels, dropout)):
        raise SettingsError(
            f"The network is that of '{from_model}': leave --depth, --base-channels and --dropout "
            "out, or --from."
        )
    folder = out or Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    use_threads(threads)
    start_run(
        output,
        data,
        folder,
        settings,
        make_task=lambda pairs: _task(pairs, task, start, sparse, background, names),
        split=split,
        start=start,
        name=name or folder.resolve().name,
    )


def _data_source(
    source: Path,
    channels: str | None,
    axes: str | None,
    groups: str | None,
    group_pattern: str | None,
    repair: list[str] | None,
) -> DataSource:
    from napari_unet.core.config import parse_settings
    from napari_unet.core.data_source import DataSource

    if groups is not None and groups != "folder":
        groups = str(Path(groups).absolute())
    values = {
        "source": source.absolute(),
        "channels": parse_channels(channels),
        "axes": axes,
        "groups": groups,
        "group_pattern": group_pattern,
        "repair": tuple(repair or ()),
    }
    return parse_settings(DataSource, values)


def _check_resume_options(context: typer.Context) -> None:
    """Refuse what a resumed run cannot take: its settings are those it was started with."""
    taken = {"source", "resume", "threads", "as_json"}
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if parameter.name not in taken
        and str(context.get_parameter_source(parameter.name or "")).endswith("COMMANDLINE")
    ]
    if given:
        raise SettingsError(
            f"A resumed run goes on in its own folder with its own settings: leave "
            f"{', '.join(given)} out. For other settings start a new run with --from RUN."
        )


def _settings(
    values: dict[str, Any], budget: dict[str, Any], augmentation: str
) -> TrainingSettings:
    from napari_unet.core.augment import Augmentation
    from napari_unet.core.config import Budget, TrainingSettings, parse_settings

    given = {k: v for k, v in values.items() if v is not None}
    if chosen := {k: v for k, v in budget.items() if v is not None}:
        given["budget"] = parse_settings(Budget, chosen)
    preset: Any = str(augmentation)
    return parse_settings(TrainingSettings, given | {"augmentation": Augmentation.preset(preset)})


def _start_model(name: str | None) -> Model | None:
    if name is None:
        return None
    from napari_unet.core.catalogue import find_model
    from napari_unet.core.model_file import load_model

    return load_model(find_model(name))


def _task(
    pairs: list[Pair],
    kind: TaskKind | None,
    start: Model | None,
    sparse: bool,
    background: int | None,
    names: dict[int, str],
) -> Semantic | Instances:
    """Decide what labels mean; a model to start from does where nothing else is said."""
    from napari_unet.core.tasks import Instances, Semantic

    if kind is None:
        if start is not None and not (names or sparse or background is not None):
            return start.info.task
        kind = TaskKind.SEMANTIC if names or background is not None else TaskKind.INSTANCES
    if kind is TaskKind.SEMANTIC:
        labels = [pair.labels for pair in pairs]
        return Semantic.from_labels(labels, sparse=sparse, names=names, background=background)
    if names or background is not None:
        raise SettingsError(
            "Objects have no classes: leave --class and --background out, or choose "
            "--task semantic."
        )
    return Instances(sparse=sparse)
