"""``napari-unet predict``: predict images and write label files and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_unet.cli.console import FAILED, INTERRUPTED, Output, in_sentences, stoppable
from napari_unet.cli.options import (
    AxesOption,
    ChannelsOption,
    JsonOption,
    ThreadsOption,
    parse_channels,
    use_threads,
)
from napari_unet.cli.settings_options import (
    Option,
    adjustment_options,
    given_settings,
    settings_command,
    settings_options,
)
from napari_unet.core.errors import Cancelled, SettingsError

if TYPE_CHECKING:
    from napari_unet.core.models.model import Model, ModelInfo
    from napari_unet.core.models.predict_options import PredictOptions
    from napari_unet.core.prediction.batch import BatchOptions, FileFailed, FilePredicted
    from napari_unet.core.prediction.batch_inputs import BatchInputs

__all__ = ["COMMAND", "EPILOG", "predict"]


_SIZE = "Objects that differ in size from the training images"

EPILOG = """
**Examples**

Predict all images of a folder with the best model of a run:

`napari-unet predict run new_images --out results`

Predict one channel of files that match a pattern, with test-time augmentation:

`napari-unet predict run/best.safetensors 'plate/*/*.tif' --channels DAPI --tta --out results`

Predict stacks whose files do not name their axes:

`napari-unet predict run stacks --axes TYX --out results`

Predict objects of a different size than in the training images, 40 px wide:

`napari-unet predict run zoomed --diameter 40 --out results`

Estimate the size of the objects in each image:

`napari-unet predict run mixed --diameter auto --out results`

Results: NAME_labels.tif for each image, summary.csv, and objects.csv if the model predicts objects.
"""


def _options() -> list[Option]:
    from napari_unet.core.models.predict_options import PredictOptions
    from napari_unet.core.tasks.any_task import possible_adjustments

    return [*adjustment_options(possible_adjustments()), *settings_options(PredictOptions)]


COMMAND = settings_command(_options)


@in_sentences
def predict(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="Model file, run folder, or name (see napari-unet models).")
    ],
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Image files, folders or patterns.")
    ],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the results.")] = Path(
        "results"
    ),
    probability: Annotated[
        bool, typer.Option("--probability", help="Also write NAME_probability.tif.")
    ] = False,
    diameter: Annotated[
        str | None,
        typer.Option(
            metavar="PX",
            help="Width of a typical object; images are resized to the object size of the training "
            "images. 'auto' estimates it in each image.",
            rich_help_panel=_SIZE,
        ),
    ] = None,
    rescale: Annotated[
        bool,
        typer.Option(
            "--rescale",
            help="Resize each image to the model's pixel size, if both are known.",
            rich_help_panel=_SIZE,
        ),
    ] = False,
    channels: ChannelsOption = None,
    axes: AxesOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing results of these files.")
    ] = False,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict labels of images and measure the objects."""
    from napari_unet.core.models.catalogue import find_model
    from napari_unet.core.models.model_file import load_model
    from napari_unet.core.prediction.batch import BatchOptions
    from napari_unet.core.prediction.batch_inputs import find_inputs

    output = Output(as_json)
    use_threads(threads)
    loaded = load_model(find_model(model))
    prediction = _prediction(context, loaded, diameter, rescale)
    found = find_inputs(inputs)
    options = BatchOptions(
        folder=out,
        prediction=prediction,
        channels=parse_channels(channels),
        axes=axes,
        probabilities=probability,
        rescale=rescale,
        overwrite=overwrite,
    )
    output.say(f"{len(found.files)} image(s), model '{loaded.info.name}'.")
    for path, reason in found.skipped:
        output.warn(f"Skipped {path.name}: {reason}")
    predicted, failed, stopped = _run(output, loaded, found, options)
    if stopped:
        output.say("Stopped; results of finished images are kept.", style="bold")
    _show_end(output, predicted, failed, options)
    output.result(_as_json(predicted, failed, found, options))
    if stopped:
        raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(FAILED)


def _prediction(
    context: typer.Context, model: Model, diameter: str | None, rescale: bool
) -> PredictOptions:
    """Collect the options of the prediction, and check them before the first image is read."""
    from napari_unet.core.models.predict_options import PredictOptions
    from napari_unet.core.settings import parse_settings
    from napari_unet.core.tasks.any_task import possible_adjustments

    values = given_settings(context, PredictOptions.model_fields)
    if sum(("scale" in values, diameter is not None, rescale)) > 1:
        raise SettingsError("--scale, --diameter and --rescale cannot be combined: choose one.")
    if diameter is not None:
        values["scale"] = _scale(model.info, diameter)
    elif rescale and model.info.pixel_size_um is None:
        raise SettingsError(
            f"--rescale: the pixel size of the model '{model.info.name}' is unknown. Use --scale "
            "or --diameter instead."
        )
    adjustments = given_settings(context, [a.name for a in possible_adjustments()])
    model.info.adjusted(adjustments)
    return parse_settings(PredictOptions, values | {"adjustments": adjustments})


def _scale(info: ModelInfo, diameter: str) -> float | Literal["auto"]:
    from napari_unet.core.prediction.diameter import check_estimable
    from napari_unet.core.prediction.scale import scale_for_diameter

    if diameter != "auto":
        return scale_for_diameter(info, _number(diameter))
    check_estimable(info)
    return "auto"


def _number(diameter: str) -> float:
    try:
        return float(diameter)
    except ValueError:
        raise SettingsError(
            f"--diameter {diameter!r}: expected the width of a typical object in pixels, such as "
            "40, or auto."
        ) from None


def _run(
    output: Output, model: Model, found: BatchInputs, options: BatchOptions
) -> tuple[list[FilePredicted], list[FileFailed], bool]:
    from napari_unet.core.prediction.batch import FilePredicted, predict_files

    predicted: list[FilePredicted] = []
    failed: list[FileFailed] = []
    total = len(found.files)
    with (
        stoppable("Stopping after this block") as should_stop,
        output.counting("predicting") as count,
    ):
        results = predict_files(
            model,
            found.files,
            options,
            progress=lambda index, done, blocks: count(index + done / blocks, total),
            should_stop=should_stop,
        )
        try:
            for result in results:
                if isinstance(result, FilePredicted):
                    _show_note(output, result, predicted, options)
                    predicted.append(result)
                else:
                    failed.append(result)
                    output.warn(f"{result.input}: {result.problem}")
        except Cancelled:
            return predicted, failed, True
    return predicted, failed, False


def _show_note(
    output: Output, result: FilePredicted, before: list[FilePredicted], options: BatchOptions
) -> None:
    """Warn once if pixel sizes differ, and print how each image was fitted to the model."""
    if result.note and not any(r.note for r in before):
        output.warn(result.note + ("" if options.rescale else " --rescale applies it."))
    for sentence in result.fitted:
        output.say(sentence)


def _show_end(
    output: Output,
    predicted: list[FilePredicted],
    failed: list[FileFailed],
    options: BatchOptions,
) -> None:
    rows = [result.summary for result in predicted]
    if rows:
        objects = "objects" in rows[0]
        text = f"{len(rows)} image(s) predicted"
        if objects:
            inside = sum(row["objects_inside"] for row in rows)
            text += f", {sum(row['objects'] for row in rows)} objects ({inside} not at the border)"
        output.say(f"{text}.", style="bold")
        tables = "summary.csv and objects.csv" if objects else "summary.csv"
        output.say(f"Labels, {tables}: {options.folder}")
    if (other := sum(bool(r.note) for r in predicted)) > 1:
        output.warn(f"The pixel size differs from that of the model in {other} images.")
    if failed:
        output.warn(f"{len(failed)} image(s) failed:")
        for result in failed:
            output.warn(f"  {result.input}")


def _as_json(
    predicted: list[FilePredicted],
    failed: list[FileFailed],
    found: BatchInputs,
    options: BatchOptions,
) -> dict[str, Any]:
    return {
        "folder": options.folder,
        "predicted": [
            {"input": r.input, "labels": r.labels, "probability": r.probabilities} | r.summary
            for r in predicted
        ],
        "failed": [{"input": r.input, "problem": r.problem} for r in failed],
        "notes": [r.note for r in predicted if r.note],
        "passed_over": [{"path": p, "reason": reason} for p, reason in found.skipped],
    }
