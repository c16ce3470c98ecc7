"""The model file: one ``.safetensors`` file with weights and a header that describes their use.

Opening one never runs code, as it contains no pickle. Reading the header does not import torch.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.models.model import FORMAT_VERSION, Model, ModelInfo
from napari_unet.core.models.tensor_file import read_header, write_tensors

if TYPE_CHECKING:
    from torch import Tensor


__all__ = [
    "checked_model",
    "expected_weights",
    "load_model",
    "model_hash",
    "parse_header",
    "read_info",
    "save_model",
]

_KEY = "napari_unet"


def save_model(path: Path | str, model: Model) -> None:
    """Write a model file, completely or not at all.

    Raises
    ------
    StorageError
        If it cannot be written.

    Examples
    --------
    >>> from napari_unet import find_model, load_model, save_model
    >>> save_model("copy.safetensors", load_model(find_model("nuclei")))
    >>> load_model("copy.safetensors").info.name
    'nuclei'
    """
    write_tensors(Path(path), model.weights, {_KEY: model.info.model_dump_json()})


def read_info(path: Path | str) -> ModelInfo:
    """Read the header of a model file, without torch.

    Raises
    ------
    ModelFileError
        If the file is missing, truncated, inconsistent, newer than this version, or not a model of
        this plugin.
    """
    return parse_header(read_header(Path(path)).get(_KEY), str(path))


def load_model(path: Path | str) -> Model:
    """Read a model file.

    Raises
    ------
    ModelFileError
        As for `read_info`, and if the weights do not fit the architecture in the header.

    Examples
    --------
    >>> from napari_unet import find_model, load_model
    >>> load_model(find_model("nuclei")).info.name
    'nuclei'
    """
    from safetensors.torch import load_file

    info = read_info(path)
    return checked_model(info, load_file(path), str(path))


def checked_model(info: ModelInfo, weights: dict[str, Tensor], path: str) -> Model:
    """Build a model from a header and weights; raise `ModelFileError` if they do not fit."""
    _check_weights(info, weights, path)
    return Model(info, {k: w.float() if w.is_floating_point() else w for k, w in weights.items()})


def expected_weights(info: ModelInfo) -> dict[str, Tensor]:
    """Return tensors without values that have the shapes and types which a header requires."""
    import torch

    from napari_unet.core.models.unet import UNet

    with torch.device("meta"):
        return UNet(info.unet).state_dict()


def model_hash(path: Path | str) -> str:
    """Compute the SHA-256 of a model file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_header(header: str | None, path: str) -> ModelInfo:
    """Parse and check the JSON header of a model file; see `read_info`."""
    if header is None:
        raise ModelFileError(
            f"{path} contains tensors, but not the header that describes how to use them. Choose a "
            "file written by napari-unet."
        )
    try:
        values = json.loads(header)
        version = int(values.get("format_version", 1))
    except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
        raise ModelFileError(f"{path} has a damaged header. Get the file again.") from None
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}, but this version of the plugin reads only up to "
            f"{FORMAT_VERSION}. Update napari-unet-live."
        )
    try:
        return ModelInfo.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelFileError(f"{path} has an unusable header: {where}: {first['msg']}.") from None
    except SettingsError as error:
        raise ModelFileError(f"{path} has an unusable header: {error}") from None


def _check_weights(info: ModelInfo, weights: dict[str, Tensor], path: str) -> None:
    expected = expected_weights(info)
    for name in sorted(expected.keys() | weights.keys()):
        wanted = tuple(expected[name].shape) if name in expected else None
        found = tuple(weights[name].shape) if name in weights else None
        if wanted != found:
            raise ModelFileError(
                f"{path} does not match its own header: tensor {name} has shape {found}, expected "
                f"{wanted}. Get the file again."
            )
        if weights[name].is_floating_point() != expected[name].is_floating_point():
            raise ModelFileError(
                f"{path} does not match its own header: tensor {name} has type "
                f"{weights[name].dtype}, expected {expected[name].dtype}. Get the file again."
            )
        if not weights[name].isfinite().all():
            raise ModelFileError(
                f"{path} contains NaN or infinite weights in {name}: its training diverged, or "
                "the file is damaged. Choose another model."
            )
    outputs = sum(head.channels for head in info.task.heads)
    if outputs != info.unet.out_channels:
        raise ModelFileError(
            f"{path} does not match its own header: the network has {info.unet.out_channels} "
            f"outputs, but the task needs {outputs}. Get the file again."
        )
