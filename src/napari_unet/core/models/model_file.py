"""The model file: one ``.safetensors`` with weights and a header that says how to use them.

Opening one never runs code: there is no pickle in it. Reading the header does not import torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from napari_unet.core.training.settings import Settings, UNetConfig
from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.system.atomic_files import atomic_write_bytes, exists
from napari_unet.core.tasks.any_task import AnyTask

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unet.core.models.unet import UNet

__all__ = [
    "Model",
    "ModelInfo",
    "TrainedOn",
    "checked_model",
    "expected_weights",
    "load_model",
    "model_hash",
    "read_info",
    "save_model",
]

FORMAT_VERSION = 1
_KEY = "napari_unet"


class TrainedOn(Settings):
    """One image that a model has seen.

    Parameters
    ----------
    name, group
        As in the training data.
    role
        Whether it was trained on or validated on; ``"both"`` where a part was kept for validation.
    sha256
        Hash of its raw pixels, shape and type.
    planes
        Short hashes of its planes (YX, each channel for itself) where there are several.
    """

    name: str
    group: str
    role: Literal["training", "validation", "both"]
    sha256: str
    planes: tuple[str, ...] = ()


class ModelInfo(Settings):
    """The header of a model file: everything needed to use the weights.

    Parameters
    ----------
    unet
        The architecture.
    task
        What it predicts.
    normalization
        What it expects of intensities.
    name, description, licence
        For people.
    channel_names
        Names of the input channels in their order, where known.
    rgb
        Whether the input is red, green and blue.
    pixel_size_um
        Size of a pixel of the training images along Y and X in µm, where known.
    object_diameter_px
        Median diameter of the training objects in pixels, where there are objects.
    contrast
        Whether the training objects are brighter or darker than what is around them; None: not
        known, or not the same in all images.
    scores
        Validation scores by name; empty without validation.
    trained_on
        The images it has seen.
    provenance
        Version, date, settings, duration: plain values.
    """

    format_version: Annotated[int, Field(ge=1)] = FORMAT_VERSION
    unet: UNetConfig
    task: AnyTask
    normalization: Normalization
    name: str = "model"
    description: str = ""
    licence: str = ""
    channel_names: tuple[str, ...] | None = None
    rgb: bool = False
    pixel_size_um: tuple[float, float] | None = None
    object_diameter_px: float | None = None
    contrast: Literal["bright", "dark"] | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    trained_on: tuple[TrainedOn, ...] = ()
    provenance: dict[str, Any] = Field(default_factory=dict)

    def check_image(self, image: Image) -> None:
        """Raise `ModelFileError` when the model cannot be used on an image."""
        wanted = self.unet.in_channels
        if image.channels != wanted and not self.takes_grey(image):
            names = f" ({', '.join(self.channel_names)})" if self.channel_names else ""
            raise ModelFileError(
                f"'{image.name}' has {image.channels} channel(s), the model '{self.name}' was "
                f"trained on {wanted}{names}. Choose {wanted} channel(s) of the image, or "
                "another model."
            )
        if (
            self.channel_names
            and image.channel_names
            and sorted(self.channel_names) == sorted(image.channel_names)
            and self.channel_names != image.channel_names
        ):
            raise ModelFileError(
                f"'{image.name}' has the channels {', '.join(image.channel_names)}, the model "
                f"'{self.name}' expects them in the order {', '.join(self.channel_names)}. Choose "
                "the channels in that order."
            )
        self._check_depth(image)

    def takes_grey(self, image: Image) -> bool:
        """Whether an image is grey and the model for colour: it is then shown as a grey RGB."""
        return self.rgb and image.channels == 1

    def check_start(self, image: Image) -> None:
        """Raise `ModelFileError` when training on such images cannot start from the model.

        They may have other channels; of the same ones, the order must be the same.
        """
        if image.channels == self.unet.in_channels:
            self.check_image(image)
        self._check_depth(image)

    def _check_depth(self, image: Image) -> None:
        if self.unet.ndim == 3 and "Z" not in image.axes:
            raise ModelFileError(
                f"'{image.name}' has axes {image.axes}, the model '{self.name}' was trained on "
                "ZYX. Name the depth axis Z, or choose a 2-D model."
            )


@dataclass(frozen=True)
class Model:
    """A trained network: header and weights.

    Parameters
    ----------
    info
        The header.
    weights
        Tensors by name, as the network's ``state_dict`` has them.
    """

    info: ModelInfo
    weights: dict[str, Tensor]

    def network(self) -> UNet:
        """Build the network with these weights, in evaluation mode."""
        import torch

        from napari_unet.core.models.unet import UNet

        with torch.device("meta"):
            net = UNet(self.info.unet)
        net.load_state_dict({k: w.clone() for k, w in self.weights.items()}, assign=True)
        return net.eval()


def save_model(path: Path | str, model: Model) -> None:
    """Write a model file, whole or not at all.

    Raises
    ------
    StorageError
        When it cannot be written.
    """
    write_tensors(Path(path), model.weights, {_KEY: model.info.model_dump_json()})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a ``.safetensors`` file, whole or not at all; raises `StorageError`."""
    import torch
    from safetensors.torch import save

    # Copied once: Live saves its session twice a minute, and memory stays as high as it once was.
    own = {
        name: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }
    # Not save_file: when the disk is full it raises an error of its own, without the reason.
    atomic_write_bytes(path, save(own, metadata))


def read_info(path: Path | str) -> ModelInfo:
    """Read the header of a model file, without torch.

    Raises
    ------
    ModelFileError
        When it is missing, truncated, foreign, newer than this version, or inconsistent.
    """
    return parse_header(read_header(Path(path)).get(_KEY), str(path))


def load_model(path: Path | str) -> Model:
    """Read a model file.

    Raises
    ------
    ModelFileError
        As `read_info`, and when the weights do not fit the architecture in the header.
    """
    from safetensors.torch import load_file

    info = read_info(path)
    return checked_model(info, load_file(path), str(path))


def checked_model(info: ModelInfo, weights: dict[str, Tensor], path: str) -> Model:
    """Put header and weights together; raise `ModelFileError` where they do not fit."""
    _check_weights(info, weights, path)
    return Model(info, {k: w.float() if w.is_floating_point() else w for k, w in weights.items()})


def expected_weights(info: ModelInfo) -> dict[str, Tensor]:
    """Give tensors without values, of the shapes and types that a header asks for."""
    import torch

    from napari_unet.core.models.unet import UNet

    with torch.device("meta"):
        return UNet(info.unet).state_dict()


def model_hash(path: Path | str) -> str:
    """SHA-256 of a model file, as hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_header(path: Path) -> dict[str, str]:
    """Read the metadata of a ``.safetensors`` file, or say what the file is instead."""
    from safetensors import SafetensorError, safe_open

    if not (exists(path) and path.is_file()):
        raise ModelFileError(f"There is no model file {path}. Check the name, or train one.")
    problem: str
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except SafetensorError:
        problem = _what_is_it(path)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}."
    raise ModelFileError(f"{path} {problem}")


def parse_header(header: str | None, path: str) -> ModelInfo:
    """Check the JSON header of a model file; see `read_info`."""
    if header is None:
        raise ModelFileError(
            f"{path} holds tensors but no header of this plugin: it is not known how to use "
            "them. Choose a file written by napari-unet."
        )
    try:
        values = json.loads(header)
        version = int(values.get("format_version", 1))
    except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
        raise ModelFileError(f"{path} has a damaged header. Get the file again.") from None
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}, this version of the plugin reads up to "
            f"{FORMAT_VERSION}. Update napari-unet-live."
        )
    try:
        return ModelInfo.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelFileError(
            f"{path} has a header that is not usable: {where}: {first['msg']}."
        ) from None
    except SettingsError as error:
        raise ModelFileError(f"{path} has a header that is not usable: {error}") from None


def _what_is_it(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return (
            "is a pickled PyTorch file, which could run code when opened and is refused. "
            "Export it as .safetensors with napari-unet."
        )
    if start[:3] == b"\x89HD":
        return "is an HDF5 (Keras) file: expected a .safetensors file written by napari-unet."
    if not start:
        return "is empty. Get the file again."
    return "is truncated or no .safetensors file. Get the file again."


def _check_weights(info: ModelInfo, weights: dict[str, Tensor], path: str) -> None:
    expected = expected_weights(info)
    for name in sorted(expected.keys() | weights.keys()):
        wanted = tuple(expected[name].shape) if name in expected else None
        found = tuple(weights[name].shape) if name in weights else None
        if wanted != found:
            raise ModelFileError(
                f"{path} does not fit its own header: tensor {name} has shape {found}, expected "
                f"{wanted}. Get the file again."
            )
        if weights[name].is_floating_point() != expected[name].is_floating_point():
            raise ModelFileError(
                f"{path} does not fit its own header: tensor {name} holds {weights[name].dtype}, "
                f"expected {expected[name].dtype}. Get the file again."
            )
        if not weights[name].isfinite().all():
            raise ModelFileError(
                f"{path} holds NaN or infinite weights, in {name}: its training went wrong, or "
                "the file is damaged. Choose another model."
            )
    outputs = sum(head.channels for head in info.task.heads)
    if outputs != info.unet.out_channels:
        raise ModelFileError(
            f"{path} does not fit its own header: {info.unet.out_channels} outputs, the task "
            f"needs {outputs}. Get the file again."
        )
