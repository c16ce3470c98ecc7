"""Reading and writing of ``.safetensors`` files, which store models, run states and sessions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.core.errors import ModelFileError
from napari_unet.core.system.atomic_files import atomic_write_bytes, exists

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_header", "write_tensors"]


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a ``.safetensors`` file, completely or not at all; raise `StorageError` on failure."""
    import torch
    from safetensors.torch import save

    # Copied only once: Live saves its session twice a minute, and peak memory is not returned.
    own = {
        name: t.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, t in tensors.items()
    }
    # Not save_file: if the disk is full, its error does not name the reason.
    atomic_write_bytes(path, save(own, metadata))


def read_header(path: Path) -> dict[str, str]:
    """Read the metadata of a ``.safetensors`` file, or raise an error that describes the file."""
    from safetensors import SafetensorError, safe_open

    if not (exists(path) and path.is_file()):
        raise ModelFileError(f"There is no model file {path}. Check the name, or train a model.")
    problem: str
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except SafetensorError:
        problem = _what_is_it(path)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}."
    raise ModelFileError(f"{path} {problem}")


def _what_is_it(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return (
            "is a pickled PyTorch file, which is refused because opening it could run code. "
            "Export it as .safetensors with napari-unet."
        )
    if start[:3] == b"\x89HD":
        return "is an HDF5 (Keras) file: expected a .safetensors file written by napari-unet."
    if not start:
        return "is empty. Get the file again."
    return "is truncated or not a .safetensors file. Get the file again."
