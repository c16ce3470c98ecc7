"""The description and the documentation of a model in a bioimage.io package."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from napari_unet.core.bioimage_io.example import SCALE_RANGE_EPS, SMALLEST_PX
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.records.methods_text import trained_on_text

__all__ = [
    "ARCHITECTURE_FILE",
    "COVER_FILE",
    "DOCUMENTATION_FILE",
    "HEADER_FILE",
    "INPUT_FILE",
    "OUTPUT_FILE",
    "TORCHSCRIPT_FILE",
    "WEIGHTS_FILE",
    "channel_names",
    "description",
    "documentation",
    "output_names",
]

ARCHITECTURE_FILE = "unet.py"
COVER_FILE = "cover.png"
DOCUMENTATION_FILE = "README.md"
HEADER_FILE = "napari_unet.json"
INPUT_FILE = "test_input.npy"
OUTPUT_FILE = "test_output.npy"
TORCHSCRIPT_FILE = "weights_torchscript.pt"
WEIGHTS_FILE = "weights.pt"

_FORMAT = "0.5.4"
"""Version of the format; every program that reads packages with named axes supports it."""

_UNET_PAPERS = {
    2: ("Ronneberger et al., U-Net, MICCAI 2015", "10.1007/978-3-319-24574-4_28"),
    3: ("Çiçek et al., 3D U-Net, MICCAI 2016", "10.1007/978-3-319-46723-8_49"),
}
_DEFAULT_AUTHOR = "the user of napari-unet-live"


def description(
    info: ModelInfo,
    *,
    authors: Sequence[str],
    licence: str | None,
    citations: Mapping[str, str],
    torch_version: str,
) -> dict[str, Any]:
    """Describe a model in bioimage.io's format, as plain values.

    Parameters
    ----------
    info
        Header of the model.
    authors
        Names of the authors; empty: "the user of napari-unet-live".
    licence
        SPDX identifier or None.
    citations
        DOI or URL of each text to cite.
    torch_version
        Version of torch that wrote the weights.
    """
    from napari_unet.version import __version__

    paper, doi = _UNET_PAPERS[info.unet.ndim]
    return {
        "type": "model",
        "format_version": _FORMAT,
        "name": _name(info.name),
        "description": _summary(info),
        "authors": [{"name": name} for name in authors or (_DEFAULT_AUTHOR,)],
        "cite": [_citation(t, s) for t, s in {paper: doi, **citations}.items()],
        "license": licence,
        "tags": _tags(info),
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "covers": [COVER_FILE],
        "documentation": DOCUMENTATION_FILE,
        "attachments": [{"source": HEADER_FILE}],
        "inputs": [_input(info)],
        "outputs": [_output(info)],
        "weights": _weights(info, torch_version),
        "config": {
            "napari_unet": {
                "version": __version__,
                "header": HEADER_FILE,
                "halo_px": _halo_px(info),
            }
        },
    }


def channel_names(info: ModelInfo) -> list[str]:
    """Return the names of the input channels."""
    if info.channel_names:
        return list(info.channel_names)
    if info.rgb:
        return ["red", "green", "blue"]
    return [f"channel {i}" for i in range(1, info.unet.in_channels + 1)]


def output_names(info: ModelInfo) -> list[str]:
    """Return the names of the output channels."""
    return [channel.name for channel in info.task.output_channels]


def documentation(info: ModelInfo, card: str = "") -> str:
    """Write the documentation: the model card, if any, and how to use the package."""
    parts = [card.strip() or f"# {info.name}\n\n{_summary(info)}", _inputs_text(info)]
    parts += [_outputs_text(info), _use_text(info)]
    parts.append(f"## Validation\n\n{trained_on_text(info)}")
    if info.licence:
        parts.append(f"## Licence\n\n{info.licence}")
    return "\n\n".join(parts) + "\n"


def _name(name: str) -> str:
    """Return the name with only the characters that bioimage.io allows."""
    allowed = re.sub(r"[^A-Za-z0-9_+() -]+", "-", name)[:64].strip()
    return allowed if len(allowed) >= 5 else f"{allowed} U-Net".strip()


def _summary(info: ModelInfo) -> str:
    if info.description:
        return info.description[:500]
    return f"A {info.unet.ndim}-D U-Net that {info.task.words.does}."[:500]


def _citation(text: str, source: str) -> dict[str, str]:
    return {"text": text, "url" if "://" in source else "doi": source}


def _tags(info: ModelInfo) -> list[str]:
    tags = ["unet", f"{info.unet.ndim}d", "pytorch", "napari-unet-live"]
    return tags + list(info.task.words.tags)


def _input(info: ModelInfo) -> dict[str, Any]:
    axes = [axis | {"size": {"min": SMALLEST_PX[axis["id"]], "step": 1}} for axis in _space(info)]
    return {
        "id": "image",
        "description": "raw intensities; the package includes the normalisation",
        "axes": [{"type": "batch"}, _channels(channel_names(info)), *axes],
        "data": {"type": "float32"},
        "test_tensor": {"source": INPUT_FILE},
        "preprocessing": _preprocessing(info),
    }


def _output(info: ModelInfo) -> dict[str, Any]:
    axes = [axis | {"size": {"tensor_id": "image", "axis_id": axis["id"]}} for axis in _space(info)]
    linear = {"type": "float32"}
    probability = {"type": "float32", "range": [0.0, 1.0]}
    data = [
        linear if head.activation == "linear" else probability
        for head in info.task.heads
        for _ in range(head.channels)
    ]
    return {
        "id": "outputs",
        "description": "outputs of the network for each pixel; see the documentation",
        "axes": [{"type": "batch"}, _channels(output_names(info)), *axes],
        "data": data,
        "test_tensor": {"source": OUTPUT_FILE},
    }


def _channels(names: list[str]) -> dict[str, Any]:
    return {"type": "channel", "id": "channel", "channel_names": [_identifier(n) for n in names]}


def _identifier(name: str) -> str:
    """Convert a name to letters, digits and underscores, as the format requires for channels."""
    # A superscript, as in "Ca²", matches \w and is yet no part of an identifier.
    allowed = "".join(c if f"_{c}".isidentifier() else " " for c in name)
    plain = re.sub(r"\W+", "_", allowed).strip("_") or "channel"
    return plain if plain.isidentifier() and not keyword.iskeyword(plain) else f"_{plain}"


def _space(info: ModelInfo) -> list[dict[str, Any]]:
    """Describe the spatial axes, with the pixel size if it is known."""
    axes = []
    sizes = dict(zip("yx", info.pixel_size_um or (), strict=False))
    for name in "zyx"[3 - info.unet.ndim :]:
        known = {"unit": "micrometer", "scale": sizes[name]} if name in sizes else {}
        axes.append({"type": "space", "id": name} | known)
    return axes


def _preprocessing(info: ModelInfo) -> list[dict[str, Any]]:
    norm = info.normalization
    steps: list[dict[str, Any]] = [{"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}]
    if norm.manual is not None:
        low, high = norm.manual
        kwargs: dict[str, Any] = {"gain": 1 / (high - low), "offset": -low / (high - low)}
        steps.append({"id": "scale_linear", "kwargs": kwargs})
    elif norm.mode == "percentile":
        kwargs = {
            "axes": [*(["channel"] if info.rgb else []), *"zyx"[3 - info.unet.ndim :]],
            "min_percentile": norm.low,
            "max_percentile": norm.high,
            "eps": SCALE_RANGE_EPS,
        }
        steps.append({"id": "scale_range", "kwargs": kwargs})
    return [*steps, steps[0]]


def _weights(info: ModelInfo, torch_version: str) -> dict[str, Any]:
    from napari_unet.core.bioimage_io.network import architecture_arguments

    return {
        "pytorch_state_dict": {
            "source": WEIGHTS_FILE,
            "pytorch_version": torch_version,
            "architecture": {
                "source": ARCHITECTURE_FILE,
                "callable": "ActivatedUNet",
                "kwargs": architecture_arguments(info),
            },
        },
        "torchscript": {
            "source": TORCHSCRIPT_FILE,
            "pytorch_version": torch_version,
            "parent": "pytorch_state_dict",
        },
    }


def _halo_px(info: ModelInfo) -> int:
    """Compute the halo: the receptive radius, rounded up to a multiple of 2^depth."""
    return -(-info.unet.receptive_radius_px // info.unet.multiple) * info.unet.multiple


def _inputs_text(info: ModelInfo) -> str:
    channels = ", ".join(channel_names(info))
    text = (
        f"## Input\n\nChannels: {channels}. Intensities are raw; each side may have any size of at "
        "least 64 pixels."
    )
    if info.pixel_size_um:
        size = " x ".join(f"{s:g}" for s in info.pixel_size_um)
        text += f" The pixel size is {size} µm (Y x X)."
    if info.object_diameter_px:
        text += f" Objects are about {info.object_diameter_px:g} pixels wide."
    return f"{text}\n\n{_normalisation_text(info)}"


def _normalisation_text(info: ModelInfo) -> str:
    norm = info.normalization
    if norm.manual is not None:
        return f"Intensities {norm.manual[0]:g} and {norm.manual[1]:g} are mapped to 0 and 1."
    if norm.mode == "none":
        return "Intensities are not normalised: use the same scale as the training images."
    scope = "of all three channels together" if info.rgb else "of each channel separately"
    return f"""\
Percentiles {norm.low:g} and {norm.high:g} {scope} are mapped to 0 and 1 (`scale_range`). They are
computed from the whole image, not from a tile. napari-unet-live does the same with three
differences, so its results can deviate:

- its percentiles are values of pixels, whereas `scale_range` interpolates between two pixels;
- its range is at least {norm.noise_floor:g} standard deviations of the image's noise, and in a
  nearly empty field it uses the far end of the histogram instead of the high percentile;
  `scale_range` does neither, and stretches the noise of an image without objects to full contrast;
- it uses one range for all planes of a stack; `scale_range` uses one range for each plane that is
  passed alone."""


def _outputs_text(info: ModelInfo) -> str:
    table = "\n".join(f"| {c.name} | {c.meaning} |" for c in info.task.output_channels)
    return (
        "## Output\n\nThe output is one tensor with these channels:\n\n"
        f"| channel | meaning |\n|---|---|\n{table}"
    )


def _use_text(info: ModelInfo) -> str:
    return f"""\
## Use

Whole images need no overlap. Tiles should start at multiples of {info.unet.multiple} pixels and
overlap by {_halo_px(info)} pixels on each side; the tiled result then equals that of the whole
image.

{info.task.words.decoding}. To compute them, use `napari-unet models import PACKAGE` and
`napari-unet predict`."""
