"""``napari-unet demo``: predict and evaluate synthetic nuclei, with or without training first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_unet.cli.console import Output, in_sentences
from napari_unet.cli.options import JsonOption, ThreadsOption, use_threads
from napari_unet.cli.settings_options import (
    Option,
    given_settings,
    settings_command,
    settings_options,
)
from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.training.settings import TrainingSettings

__all__ = ["COMMAND", "EPILOG", "demo"]

EPILOG = """
**Examples**

`napari-unet demo`

`napari-unet demo --train --seconds 120 --out my_demo`
"""

_SECONDS = 45


def _options() -> list[Option]:
    from napari_unet.core.models.predict_options import PredictOptions

    return settings_options(PredictOptions, ("device",))


COMMAND = settings_command(_options)


@in_sentences
def demo(
    context: typer.Context,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder for all files of the demo.")
    ] = Path("napari-unet-demo"),
    train: Annotated[
        bool,
        typer.Option("--train", help="Train a model first instead of using the shipped one."),
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Training time with --train.  [default: 45]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the images and the training.")] = 0,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict and evaluate synthetic nuclei with exact ground truth, offline."""
    from napari_unet.cli import demo_run
    from napari_unet.core.models.predict_options import PredictOptions

    output = Output(as_json)
    use_threads(threads)
    if seconds is not None and not train:
        raise SettingsError("--seconds sets the training time: add --train, or omit it.")
    options = PredictOptions(**given_settings(context, ("device",)))
    settings = demo_settings(seconds or _SECONDS, seed, options.device) if train else None
    demo_run.run(output, out, seed, options, settings)


def demo_settings(seconds: float, seed: int, device: str) -> TrainingSettings:
    """Choose a small network, which learns synthetic nuclei in well under a minute."""
    from napari_unet.core.augmentation.settings import Augmentation
    from napari_unet.core.training.settings import Budget, TrainingSettings

    return TrainingSettings(
        budget=Budget(minutes=seconds / 60),
        depth=3,
        base_channels=8,
        patch_px=128,
        batch_size=4,
        learning_rate=4e-3,
        average_decay=0.95,
        augmentation=Augmentation.preset("light"),
        epoch_steps=50,
        device=device,
        seed=seed,
    )
