"""Steps of the demo: draw images, optionally train, predict, evaluate and write pictures."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from napari_unet.cli.console import INTERRUPTED, Output, stoppable
from napari_unet.cli.scoring import ClassTable, Evaluation, score_files, show
from napari_unet.cli.training_run import follow
from napari_unet.core.errors import SettingsError
from napari_unet.core.models.catalogue import DEFAULT_MODEL
from napari_unet.core.system.command_line import command_line
from napari_unet.core.training.events import FinishReason

if TYPE_CHECKING:
    from napari_unet.core.models.predict_options import PredictOptions
    from napari_unet.core.training.settings import TrainingSettings

__all__ = ["run"]

_MARK = ".napari-unet-demo"
_TRAIN, _TEST = 12, 4


def run(
    output: Output,
    folder: Path,
    seed: int,
    options: PredictOptions,
    settings: TrainingSettings | None,
) -> None:
    """Run the demo in a folder, replacing an earlier demo there.

    Parameters
    ----------
    output
        Text output of the command.
    folder
        Folder for all files of the demo.
    seed
        Random seed of the images.
    options
        Options of the prediction.
    settings
        Settings of the training; None: predict with the shipped model.
    """
    _clear(folder)
    training = f" and {_TRAIN} training images" if settings else ""
    output.say(f"Drawing {_TEST} test images{training}.")
    _draw(folder, seed, training=settings is not None)
    if settings is not None and _train(output, folder, settings) is FinishReason.STOPPED:
        raise typer.Exit(INTERRUPTED)
    model = str(folder / "run") if settings is not None else DEFAULT_MODEL
    output.say(f"Predicting with the model '{model}'.")
    _predict(folder, model, options)
    table = ClassTable("instances")
    evaluation = score_files(
        output, folder / "results", folder / "test" / "masks", folder / "test" / "images", table
    )
    _show(output, evaluation, folder, model)


def _clear(folder: Path) -> None:
    """Remove the files of an earlier demo; folders not made by the demo are not touched."""
    from napari_unet.core.system.atomic_files import atomic_write_text

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (folder / _MARK).is_file():
            raise SettingsError(
                f"'{folder}' already exists and was not made by the demo. Choose another folder "
                "with --out."
            )
        for part in ("train", "test", "run", "results", "scores"):
            shutil.rmtree(folder / part, ignore_errors=True)
    atomic_write_text(folder / _MARK, "Made by napari-unet demo, which may empty this folder.\n")


def _draw(folder: Path, seed: int, *, training: bool) -> None:
    from napari_unet.core.datasets.synthetic import synthetic_dataset
    from napari_unet.core.images.image import Image, PixelSize
    from napari_unet.core.io.image_files import write_image, write_labels

    size = PixelSize((0.5, 0.5))
    for i, (image, labels) in enumerate(synthetic_dataset(_TRAIN + _TEST, seed=seed)):
        if i < _TRAIN and not training:
            continue  # the test images are the same either way
        side = folder / ("train" if i < _TRAIN else "test")
        name = f"nuclei_{i:02d}.tif"
        write_image(side / "images" / name, Image(image, "YX", pixel_size=size))
        write_labels(side / "masks" / name, labels, pixel_size=size)


def _train(output: Output, folder: Path, settings: TrainingSettings) -> FinishReason:
    from napari_unet.core.datasets.data_source import DataSource
    from napari_unet.core.tasks.instances import Instances
    from napari_unet.core.training.training import train

    data = DataSource(source=(folder / "train").absolute())
    pairs = data.load(data.find())
    with stoppable("Stopping after this step") as should_stop:
        events = train(
            pairs,
            Instances(),
            folder / "run",
            settings,
            name="demo",
            sources=data.model_dump(mode="json"),
            should_stop=should_stop,
        )
        return follow(output, events).reason


def _predict(folder: Path, name: str, how: PredictOptions) -> None:
    from napari_unet.core.models.catalogue import find_model
    from napari_unet.core.models.model_file import load_model
    from napari_unet.core.prediction.batch import BatchOptions, FileFailed, predict_files
    from napari_unet.core.prediction.batch_inputs import find_inputs

    model = load_model(find_model(name))
    options = BatchOptions(folder=folder / "results", prediction=how)
    found = find_inputs([folder / "test" / "images"])
    for result in predict_files(model, found.files, options):
        if isinstance(result, FileFailed):
            raise SettingsError(f"{result.input}: {result.problem}")


def _show(output: Output, evaluation: Evaluation, folder: Path, model: str) -> None:
    where: dict[str, Any] = {
        "image, ground truth, prediction, errors": folder / "scores" / "comparison.png",
        "labels, objects.csv, summary.csv": folder / "results",
    }
    if model != DEFAULT_MODEL:
        where |= {
            "curves of the training": folder / "run" / "curves.png",
            "model": folder / "run" / "best.safetensors",
        }
    show(output, evaluation, folder / "scores", definitions=False)
    for what, path in where.items():
        output.say(f"{what + ':':<41}{path}")
    command = ["napari-unet", "predict", model, "YOUR_IMAGES", "--out", "results"]
    output.next_steps([command_line(command)])
