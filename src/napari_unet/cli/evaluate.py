"""``napari-unet evaluate``: how good predictions are, as a table, as files and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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

__all__ = ["EPILOG", "evaluate"]

EPILOG = """
**Examples**

Two folders of label files, matched by name, or two files:

`napari-unet evaluate results truth --images images --out scores`

`napari-unet evaluate cells_labels.tif cells_truth.tif`

Predict and score in one go, on the images that the model was validated on:

`napari-unet evaluate --model run nuclei --out scores`

Every image of a folder the model has never seen:

`napari-unet evaluate --model run other_nuclei --split all --out scores`

Results: scores.csv, scores_by_image.csv and comparison.png in the folder of --out.
"""


@in_sentences
def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDICTION TRUTH",
            help="Two label files or two folders; with --model, one folder of images and labels.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Predict with this model (file, run or name) first."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The images, for the picture.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write tables and a picture here.")
    ] = None,
    task: Annotated[TaskKind, typer.Option(help="What labels are; a model knows.")] = (
        TaskKind.INSTANCES
    ),
    sparse: SparseOption = False,
    background: BackgroundOption = None,
    classes: ClassOption = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="With --model, which images: model (those it was validated on), all, group, "
            "random42, or a CSV table.",
        ),
    ] = "model",
    validation_fraction: Annotated[
        float, typer.Option(help="For --split group and random42.")
    ] = 0.15,
    seed: Annotated[int, typer.Option(help="For --split group.")] = 0,
    groups: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Groups, as for train.")
    ] = None,
    channels: ChannelsOption = None,
    axes: AxesOption = None,
    repair: RepairOption = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over flips and turns.")] = False,
    definitions: Annotated[
        bool, typer.Option("--definitions", help="Say what each score means.")
    ] = False,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score predictions against the truth."""
    from napari_unet.cli import scoring

    output = Output(as_json)
    if model is None:
        if len(paths) != 2:
            raise SettingsError(
                f"{len(paths)} path(s) given: expected a prediction and its truth, or one folder "
                "of images and labels together with --model."
            )
        what = scoring.ClassTable(str(task), parse_classes(classes), background, sparse)
        evaluation = scoring.score_files(output, paths[0], paths[1], images, what, axes)
    else:
        if len(paths) != 1:
            raise SettingsError(
                f"{len(paths)} path(s) given together with --model: expected one folder of images "
                "and labels. Without --model: a prediction and its truth."
            )
        from napari_unet.core.data_source import DataSource
        from napari_unet.core.image_choice import ImageChoice

        use_threads(threads)
        data = DataSource(
            source=paths[0],
            channels=parse_channels(channels),
            axes=axes,
            groups=groups,
            repair=tuple(repair or ()),
        )
        chosen = ImageChoice(split, validation_fraction, seed)
        computing = scoring.Computing(device, precision, tta)
        evaluation = scoring.score_model(
            output, model, data, chosen, computing, parse_classes(classes)
        )
    scoring.show(output, evaluation, out, definitions)
