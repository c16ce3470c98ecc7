"""The command line: ``napari-unet train | predict | evaluate | models | demo``.

Commands parse arguments and write files; the work is done by the core, which is imported only when
a command runs, so that help appears quickly.
"""

from typing import Annotated

import typer

from napari_unet import __version__
from napari_unet.cli import demo, evaluate, models, predict, train

__all__ = ["app"]

_EPILOG = """
**First try**, without your own data:

`napari-unet demo`

**Your own images**, in a folder with images/ and masks/:

`napari-unet train nuclei --out run --minutes 20`

`napari-unet predict run new_images --out results`

`napari-unet evaluate results nuclei_test/masks`

Exit codes: 0 success, 1 error (explained in a message), 2 wrong usage, 3 some files failed,
130 interrupted.
"""

app = typer.Typer(
    name="napari-unet",
    help="Train, use and score U-Nets on microscope images.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"napari-unet {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


for _module, _command in (
    (train, train.train),
    (predict, predict.predict),
    (evaluate, evaluate.evaluate),
    (demo, demo.demo),
):
    app.command(epilog=_module.EPILOG, cls=_module.COMMAND)(_command)
app.add_typer(models.app, name="models", epilog=models.EPILOG)
