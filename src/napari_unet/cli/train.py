"""``napari-unet train``: train a model on a folder of images with labels."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_unet.cli.console import Output, in_sentences
from napari_unet.cli.options import (
    AnnotatedOption,
    AxesOption,
    BackgroundOption,
    ChannelsOption,
    ClassOption,
    EmptyPlanes,
    EmptyPlanesOption,
    GroupPatternOption,
    GroupsOption,
    JsonOption,
    RepairOption,
    SparseOption,
    TaskKind,
    ThreadsOption,
    data_source,
    given_options,
    parse_classes,
    use_threads,
)
from napari_unet.cli.settings_options import (
    Option,
    given_settings,
    settings_command,
    settings_options,
)
from napari_unet.core.errors import SettingsError

__all__ = ["COMMAND", "EPILOG", "train"]

EPILOG = """
**Examples**

Train on nuclei in a folder with images/ and masks/ for 20 minutes:

`napari-unet train nuclei --out run --minutes 20`

Keep images of one field on one side of the validation split, using a table:

`napari-unet train nuclei --groups fields.csv --epochs 100 --out run`

Train on sparsely painted classes, with label 1 as the background:

`napari-unet train tissue --task semantic --sparse --background 1 --class 2=gland --out run`

Use only the annotated areas of each image, given as masks:

`napari-unet train nuclei --annotated areas --minutes 20 --out run`

Resume a stopped run, or start from an existing model:

`napari-unet train --resume run`

`napari-unet train more --from run --minutes 5 --out run2`
"""


class PresetName(StrEnum):
    """Names of training presets."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"
    NUCLEI = "nuclei"
    NUCLEI_BRIGHTFIELD = "nuclei-brightfield"


class Variation(StrEnum):
    """Names of augmentation presets."""

    NONE = "none"
    LIGHT = "light"
    STANDARD = "standard"


_DATA, _TRAINING = "Data", "Training"
_NETWORK = ("depth", "base_channels", "norm", "upsampling", "dropout")
"""Settings that are fixed by the start model."""


def _options() -> list[Option]:
    from napari_unet.core.training.settings import Budget, TrainingSettings

    return [
        *settings_options(Budget, ("minutes", "epochs", "steps"), with_defaults=False),
        *settings_options(TrainingSettings, with_defaults=False),
    ]


COMMAND = settings_command(_options)


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
        typer.Option(metavar="FOLDER", help="Folder of the run; must not contain a run yet."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Resume the run in this folder with its own settings."),
    ] = None,
    task: Annotated[
        TaskKind | None, typer.Option(help="Whether labels are objects (instances) or classes.")
    ] = None,
    sparse: SparseOption = False,
    background: BackgroundOption = None,
    classes: ClassOption = None,
    class_weight: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=WEIGHT", help="Weight of a class in the loss; may be repeated."),
    ] = None,
    preset: Annotated[
        PresetName,
        typer.Option(
            help="Budget, learning rate and augmentation together: 3, 15 or 60 minutes from "
            "scratch, 1, 5 or 20 from a model; or the last stage of the shipped model of that "
            "name.",
            rich_help_panel=_TRAINING,
        ),
    ] = PresetName.STANDARD,
    augmentation: Annotated[
        Variation | None,
        typer.Option(
            help="Strength of the augmentation; by default that of the preset.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="Split into training and validation images: group (whole groups, or a block of a "
            "single image), random42 (as in StarDist's examples) or a CSV table with the columns "
            "id, split.",
            rich_help_panel=_DATA,
        ),
    ] = "group",
    groups: GroupsOption = None,
    group_pattern: GroupPatternOption = None,
    annotated: AnnotatedOption = None,
    empty_planes: EmptyPlanesOption = EmptyPlanes.IGNORE,
    channels: ChannelsOption = None,
    axes: AxesOption = None,
    repair: RepairOption = None,
    intensity_range: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="Raw intensities that become 0 and 1 in every image, instead of percentiles.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    from_model: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="MODEL", help="Start from a model: file, run folder or name."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model; by default that of its folder.")
    ] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a U-Net on images with labels.

    Ctrl-C stops after the current step; everything is saved, and the run can be resumed.
    """
    from napari_unet.cli.training_run import resume_run, start_run
    from napari_unet.cli.training_settings import (
        Meaning,
        parse_range,
        parse_weights,
        start_model,
        training_settings,
    )
    from napari_unet.core.training.settings import Budget, TrainingSettings

    output = Output(as_json)
    if resume is not None:
        _check_resume_options(context)
        resume_run(output, resume, source, threads)
        return
    if source is None:
        raise SettingsError(
            "No training data: expected a folder of images with labels, or a run to resume "
            "(--resume)."
        )
    data = data_source(
        source, channels, axes, groups, group_pattern, repair, annotated, empty_planes
    )
    values = given_settings(context, TrainingSettings.model_fields)
    values["normalization"] = parse_range(intensity_range)
    budget = given_settings(context, Budget.model_fields)
    settings = training_settings(values, budget, preset, augmentation, from_model is not None)
    start = start_model(from_model)
    if start is not None and (given := given_options(context, {*_NETWORK, "intensity_range"})):
        raise SettingsError(
            f"The network and its normalisation are those of '{from_model}': omit "
            f"{', '.join(given)}, or omit --from."
        )
    meaning = Meaning(task, sparse, background, parse_classes(classes), parse_weights(class_weight))
    folder = out or Path("runs") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    use_threads(threads)
    start_run(
        output,
        data,
        folder,
        settings,
        make_task=lambda pairs: meaning.task(pairs, start),
        split=split,
        start=start,
        name=name or folder.resolve().name,
    )


def _check_resume_options(context: typer.Context) -> None:
    """Reject options that a resumed run cannot change."""
    names = {p.name or "" for p in context.command.params}
    if given := given_options(context, names - {"source", "resume", "threads", "as_json"}):
        raise SettingsError(
            f"A resumed run continues in its folder with its own settings: omit "
            f"{', '.join(given)}. To change settings, start a new run with --from RUN."
        )
