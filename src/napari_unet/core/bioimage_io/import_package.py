"""Packages of bioimage.io: read a model from one that we exported.

No code of a package is run: what is read is our own header in it, and the weights as plain tensors.
Nothing but the base of this plugin is needed.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from napari_unet.core.errors import ModelFileError
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import checked_model, expected_weights, parse_header
from napari_unet.core.system.atomic_files import exists

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["import_bioimage_io"]

_MOST_HEADER_BYTES = 100 << 20
_YAML_NAMES = ("bioimageio.yaml", "rdf.yaml", "model.yaml")


def import_bioimage_io(package: Path | str) -> Model:
    """Read a model from a package that `export_bioimage_io` wrote.

    No code of the package is run, and its weights are read as plain tensors. That is why packages
    of others cannot be used: their network is a program.

    Raises
    ------
    ModelFileError
        When there is no such package, or it is damaged, or not one of ours.

    Examples
    --------
    >>> from napari_unet import UNetError, import_bioimage_io
    >>> try:
    ...     import_bioimage_io("missing.zip")
    ... except UNetError as error:
    ...     print(error)
    There is no ...missing.zip...
    """
    path = Path(package)
    if not (exists(path) and path.is_file()):
        raise ModelFileError(f"There is no package '{path}'. Check the name.")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_model(archive, path)
    except zipfile.BadZipFile:
        problem = "is damaged or no zip file: expected a package of bioimage.io"
    except (EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        problem = f"cannot be unpacked ({error})"
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
    raise ModelFileError(f"'{path}' {problem}. Get the file again.")


def _read_model(archive: zipfile.ZipFile, path: Path) -> Model:
    from napari_unet.core.bioimage_io.description import HEADER_FILE, WEIGHTS_FILE

    names = archive.namelist()
    headers = [name for name in names if PurePosixPath(name).name == HEADER_FILE]
    if not headers:
        raise _not_ours(names, path)
    header = min(headers, key=len)
    text = _read(archive, header, _MOST_HEADER_BYTES, path).decode("utf-8", errors="replace")
    info = parse_header(text, str(path))
    expected = sum(t.numel() * t.element_size() for t in expected_weights(info).values())
    weights = str(PurePosixPath(header).with_name(WEIGHTS_FILE))
    content = _read(archive, weights, 2 * expected + (1 << 20), path)
    return checked_model(info, _plain_tensors(content, path), str(path))


def _not_ours(names: list[str], path: Path) -> ModelFileError:
    if any(PurePosixPath(name).name.endswith(_YAML_NAMES) for name in names):
        return ModelFileError(
            f"'{path}' is a package of bioimage.io that napari-unet-live did not write. To run it, "
            "code of its authors would have to be run, which this plugin does not do. Run it with "
            "bioimageio.core, or import a package that was exported with 'napari-unet models "
            "export'."
        )
    return ModelFileError(
        f"'{path}' is a zip file but no package of bioimage.io. Choose one that was exported with "
        "'napari-unet models export'."
    )


def _read(archive: zipfile.ZipFile, name: str, most_bytes: int, path: Path) -> bytes:
    """Read a member that is not larger than it can have reason to be."""
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise ModelFileError(f"'{path}' lacks the file {name}. Get the package again.") from None
    if member.file_size > most_bytes:
        raise ModelFileError(
            f"'{path}' holds {member.file_size:,} bytes as {name}, at most {most_bytes:,} make "
            "sense for this model. Get the package again."
        )
    return archive.read(member)


def _plain_tensors(content: bytes, path: Path) -> dict[str, Tensor]:
    """Read a state dict with nothing but tensors in it; never unpickles anything else."""
    import torch

    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or hostile file leads to
        raise ModelFileError(
            f"'{path}' holds weights that are damaged, or more than tensors: they are not opened "
            f"({' '.join(str(error).split())[:100]}). Get the package again."
        ) from None
    plain = isinstance(found, dict) and all(
        isinstance(name, str)
        and isinstance(tensor, torch.Tensor)
        and tensor.layout is torch.strided
        and not tensor.is_quantized
        for name, tensor in found.items()
    )
    if not plain:
        raise ModelFileError(
            f"'{path}' holds weights that are no state dict of tensors. Get the package again."
        )
    return {str(name): tensor.detach().clone() for name, tensor in found.items()}
