"""``napari-unet models``: which models are at hand, and what each is for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_unet.cli.console import Output, in_sentences
from napari_unet.cli.options import JsonOption

if TYPE_CHECKING:
    from napari_unet.core.model_file import ModelInfo

__all__ = ["EPILOG", "app"]

EPILOG = """
**Examples**

`napari-unet models`

`napari-unet models show nuclei`

`napari-unet models show run/best.safetensors --json`
"""

app = typer.Typer(help="List the models at hand, or show one.", rich_markup_mode="markdown")


@app.callback(invoke_without_command=True, epilog=EPILOG)
@in_sentences
def list_all(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models at hand, or show one."""
    if context.invoked_subcommand is not None:
        return
    from napari_unet.core.catalogue import list_models, user_folder

    output = Output(as_json)
    entries = list_models()
    rows = [
        [e.name, e.origin, _purpose(e.info) if e.info else e.problem, _score(e.info)]
        for e in entries
    ]
    if rows:
        output.table(["name", "from", "for", "score"], rows)
    else:
        output.say("There is no model yet: train one, or put one into the folder below.")
    output.say(f"Your own models: {user_folder()}")
    output.result(
        {
            "folder": user_folder(),
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
    model: Annotated[str, typer.Argument(help="Model file, folder of a run, or name.")],
    as_json: JsonOption = False,
) -> None:
    """Show what a model is for, what it expects and how good it was."""
    from napari_unet.cli.scores import show_scores
    from napari_unet.core.catalogue import find_model, read_card
    from napari_unet.core.model_file import model_hash, read_info

    output = Output(as_json)
    path = find_model(model)
    info = read_info(path)
    for name, value in _facts(info, path).items():
        output.say(f"{name + ':':<16}{value}")
    if info.scores:
        show_scores(output, info.scores, "On its validation images")
    if card := read_card(path):
        output.say("")
        output.say(card)
    output.result({"path": path, "sha256": model_hash(path), "info": info.model_dump(mode="json")})


def _purpose(info: ModelInfo) -> str:
    task = info.task
    if task.kind == "instances":
        what = f"objects ({task.object_name})"
    else:
        what = "classes: " + ", ".join(c.name for c in task.classes)
    return f"{what}, {_input(info)}"


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
