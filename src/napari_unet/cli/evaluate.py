"""``napari-unet evaluate``: score predictions and write tables and a picture."""

from __future__ import annotations

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
    FractionOption,
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

__all__ = ["COMMAND", "EPILOG", "evaluate"]

EPILOG = """
**Examples**

Score two folders of label files, matched by name, or two files:

`napari-unet evaluate results ground_truth --images images --out scores`

`napari-unet evaluate cells_labels.tif cells_ground_truth.tif`

Predict and score the images that the model was validated on:

`napari-unet evaluate --model run nuclei --out scores`

Predict and score every image of a folder that was not used for training:

`napari-unet evaluate --model run other_nuclei --split all --out scores`

Results: scores.csv, scores_by_image.csv and comparison.png in the folder of --out.
"""

_ONLY_FILES = {"images", "task", "sparse", "background"}
"""Options that cannot be combined with ``--model``, which defines them."""

_PREDICTING = ("test_time_augmentation", "device", "precision")
"""Options of the prediction."""

_ONLY_MODEL = {
    "split",
    "validation_fraction",
    "seed",
    "groups",
    "group_pattern",
    "channels",
    "repair",
    *_PREDICTING,
    "threads",
}
"""Options that have no effect on existing predictions."""


def _options() -> list[Option]:
    from napari_unet.core.models.predict_options import PredictOptions

    return settings_options(PredictOptions, _PREDICTING)


COMMAND = settings_command(_options)


@in_sentences
def evaluate(
    context: typer.Context,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDICTION GROUND_TRUTH",
            help="Two label files or two folders; with --model, one folder of images with labels.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Predict with this model (file, run folder or name) first."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Images to show in the picture.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder for tables and a picture.")
    ] = None,
    task: Annotated[
        TaskKind,
        typer.Option(help="Whether labels are objects (instances) or classes; not with --model."),
    ] = TaskKind.INSTANCES,
    sparse: SparseOption = False,
    background: BackgroundOption = None,
    classes: ClassOption = None,
    split: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="Images to score with --model: model (those it was validated on), all, group, "
            "random42, or a CSV table.",
        ),
    ] = "model",
    validation_fraction: FractionOption = 0.15,
    seed: Annotated[int, typer.Option(help="Random seed of --split group.")] = 0,
    groups: GroupsOption = None,
    group_pattern: GroupPatternOption = None,
    annotated: AnnotatedOption = None,
    empty_planes: EmptyPlanesOption = EmptyPlanes.IGNORE,
    channels: ChannelsOption = None,
    axes: AxesOption = None,
    repair: RepairOption = None,
    definitions: Annotated[bool, typer.Option("--definitions", help="Explain each score.")] = False,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score predictions against ground truth."""
    from napari_unet.cli import scoring

    output = Output(as_json)
    _check_options(context, paths, model)
    if model is None and task is TaskKind.INSTANCES and (classes or background is not None):
        raise SettingsError(
            "Objects have no classes: omit --class and --background, or choose --task semantic."
        )
    names = parse_classes(classes)
    if model is None:
        table = scoring.ClassTable(str(task), names, background, sparse, empty_planes.value)
        evaluation = scoring.score_files(output, paths[0], paths[1], images, table, axes, annotated)
    else:
        from napari_unet.core.evaluation.scored_images import ImageChoice
        from napari_unet.core.models.predict_options import PredictOptions
        from napari_unet.core.settings import parse_settings

        use_threads(threads)
        data = data_source(
            paths[0], channels, axes, groups, group_pattern, repair, annotated, empty_planes
        )
        chosen = ImageChoice(split, validation_fraction, seed)
        options = parse_settings(PredictOptions, given_settings(context, _PREDICTING))
        evaluation = scoring.score_model(output, model, data, chosen, options, names)
    scoring.show(output, evaluation, out, definitions)


def _check_options(context: typer.Context, paths: list[Path], model: str | None) -> None:
    """Reject options that the chosen kind of evaluation would ignore."""
    if model is None and len(paths) != 2:
        raise SettingsError(
            f"{len(paths)} path(s) given: expected a prediction and its ground truth, or one "
            "folder of images with labels together with --model."
        )
    if model is not None and len(paths) != 1:
        raise SettingsError(
            f"{len(paths)} path(s) given together with --model: expected one folder of images "
            "with labels. Without --model: a prediction and its ground truth."
        )
    if model is None and (given := given_options(context, _ONLY_MODEL)):
        raise SettingsError(
            f"{', '.join(given)}: allowed only with --model, which predicts; two files or folders "
            "of labels are scored as they are. Omit it."
        )
    if model is not None and (given := given_options(context, _ONLY_FILES)):
        raise SettingsError(
            f"{', '.join(given)}: not allowed with --model, which defines the meaning of labels "
            "and reads the images. Omit it."
        )
