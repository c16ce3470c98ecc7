"""``napari-unet models``: list and describe models, export and import bioimage.io packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unet.cli.console import Output, in_sentences
from napari_unet.cli.options import AxesOption, ChannelsOption, JsonOption, parse_channels
from napari_unet.core.errors import SettingsError

if TYPE_CHECKING:
    from napari_unet.core.models.model import ModelInfo

__all__ = ["EPILOG", "app"]

EPILOG = """
**Examples**

`napari-unet models`

`napari-unet models show nuclei`

`napari-unet models show run/best.safetensors --json`

Export a package for bioimage.io, and import a model from a package:

`napari-unet models export run --out nuclei.zip --author "Ada Lovelace" --licence CC-BY-4.0`

`napari-unet models import nuclei.zip --name nuclei-10x`
"""

app = typer.Typer(
    help="List the available models, or show, export or import one.", rich_markup_mode="markdown"
)


@app.callback(invoke_without_command=True, epilog=EPILOG)
@in_sentences
def list_all(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the available models, or show, export or import one."""
    if context.invoked_subcommand is not None:
        return
    from napari_unet.core.models.catalogue import list_models, own_folder

    output = Output(as_json)
    entries = list_models()
    rows = [
        [e.name, e.origin, _purpose(e.info) if e.info else e.problem, _score(e.info)]
        for e in entries
    ]
    if rows:
        output.table(["name", "from", "for", "score"], rows)
    else:
        output.say("There is no model yet: train one, or copy one to the folder below.")
    output.say(f"Your own models: {own_folder()}")
    output.result(
        {
            "folder": own_folder(),
            "models": [
                {"name": e.name, "path": e.path, "origin": e.origin, "problem": e.problem}
                | ({"info": e.info.model_dump(mode="json")} if e.info else {})
                for e in entries
            ],
        }
    )


@app.command(epilog=EPILOG)
@in_sentences
def show(
    model: Annotated[str, typer.Argument(help="Model file, run folder, or name.")],
    as_json: JsonOption = False,
) -> None:
    """Show the purpose, input, training data and scores of a model."""
    from napari_unet.cli.scores import show_scores
    from napari_unet.core.models.catalogue import find_model, read_card
    from napari_unet.core.models.model_file import model_hash, read_info

    output = Output(as_json)
    path = find_model(model)
    info = read_info(path)
    for name, value in _facts(info, path).items():
        output.say(f"{name + ':':<16}{value}")
    if info.scores:
        show_scores(output, info.scores, "Scores on its validation images")
    if card := read_card(path):
        output.say("")
        output.say(card)
    output.result({"path": path, "sha256": model_hash(path), "info": info.model_dump(mode="json")})


@app.command(epilog=EPILOG)
@in_sentences
def export(
    model: Annotated[str, typer.Argument(help="Model file, run folder, or name.")],
    out: Annotated[Path, typer.Option(metavar="FILE.zip", help="The package to write.")],
    image: Annotated[
        Path | None,
        typer.Option(
            help="Image for the test and the cover of the package; by default synthetic nuclei."
        ),
    ] = None,
    channels: ChannelsOption = None,
    axes: AxesOption = None,
    author: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An author; may be repeated.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            metavar="SPDX", help="Licence, such as CC-BY-4.0; by default that of the model."
        ),
    ] = None,
    cite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT=DOI", help="Reference with its DOI or address; may be repeated."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing package.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a model as a package for bioimage.io, tested by bioimageio.core."""
    from napari_unet.core.bioimage_io.export import export_bioimage_io
    from napari_unet.core.io.image_files import read_image
    from napari_unet.core.models.catalogue import find_model

    output = Output(as_json)
    package = export_bioimage_io(
        find_model(model),
        out,
        image=read_image(image, parse_channels(channels), axes=axes) if image else None,
        authors=author or (),
        licence=licence,
        citations=_citations(cite or []),
        overwrite=overwrite,
    )
    output.say(f"{package} passes the test of bioimageio.core.")
    output.result({"package": package})


@app.command("import", epilog=EPILOG)
@in_sentences
def import_package(
    package: Annotated[
        Path, typer.Argument(metavar="PACKAGE.zip", help="Package written by export.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the model; by default that in the package.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an existing model of that name.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add the model of a bioimage.io package to your models; none of its code is run."""
    import tempfile

    from napari_unet.core.bioimage_io.import_package import import_bioimage_io
    from napari_unet.core.models.catalogue import add_model
    from napari_unet.core.models.model_file import save_model

    output = Output(as_json)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        save_model(file, import_bioimage_io(package))
        path = add_model(file, name, replace=replace)
    output.say(f"The model is now available as '{path.stem}': {path}")
    output.result({"name": path.stem, "path": path})


def _citations(texts: list[str]) -> dict[str, str]:
    """Read references from texts such as ``"Caicedo et al., 2019=10.1038/s41592-019-0612-7"``."""
    found = {}
    for text in texts:
        title, sign, source = text.partition("=")
        if not (sign and title.strip() and source.strip()):
            raise SettingsError(
                f"--cite {text!r}: expected a text and its DOI or address, such as "
                "'Caicedo et al., 2019=10.1038/s41592-019-0612-7'."
            )
        found[title.strip()] = source.strip()
    return found


def _purpose(info: ModelInfo) -> str:
    return f"{info.task.words.labels}, {_input(info)}"


def _input(info: ModelInfo) -> str:
    if info.rgb:
        return "colour images"
    names = f" ({', '.join(info.channel_names)})" if info.channel_names else ""
    return f"{info.unet.in_channels} channel(s){names}"


def _score(info: ModelInfo | None) -> str:
    from napari_unet.cli.scores import short_scores

    scores = short_scores(info.scores) if info else {}
    return ", ".join(f"{name} {value:.2f}" for name, value in scores.items()) or "–"


def _facts(info: ModelInfo, path: Path) -> dict[str, Any]:
    unet = info.unet
    roles = [image.role for image in info.trained_on]
    facts: dict[str, Any] = {
        "Name": info.name,
        "File": path,
        "For": info.description,
        "Predicts": _purpose(info),
        "Network": f"{unet.ndim}-D, depth {unet.depth}, {unet.base_channels} base channels",
        "Object diameter": f"{info.object_diameter_px:g} px" if info.object_diameter_px else "",
        "Pixel size": " x ".join(f"{s:g} µm" for s in info.pixel_size_um or ()),
        "Trained on": f"{sum(r != 'validation' for r in roles)} image(s)" if roles else "",
        "Validated on": f"{sum(r != 'training' for r in roles)} image(s)" if roles else "",
        "Date": info.provenance.get("date", ""),
        "Licence": info.licence,
    }
    return {name: value for name, value in facts.items() if value}
