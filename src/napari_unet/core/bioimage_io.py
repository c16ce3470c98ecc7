"""Packages of bioimage.io: export a model of ours as one, and read such a package again.

Export needs the optional package bioimageio.core, whose own test a package must pass before it is
kept. Import needs nothing, and runs no code of a package: it reads our own header in it and the
weights as plain tensors.
"""

from __future__ import annotations

import gc
import io
import re
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_unet.core.catalogue import read_card
from napari_unet.core.errors import ModelFileError, SettingsError, StorageError
from napari_unet.core.images import Image
from napari_unet.core.model_file import (
    Model,
    checked_model,
    expected_weights,
    load_model,
    model_hash,
    parse_header,
)
from napari_unet.core.storage import atomic_path, exists

if TYPE_CHECKING:
    from torch import Tensor

    from napari_unet.core.bioimage_io_example import Example

__all__ = ["export_bioimage_io", "import_bioimage_io"]

_MOST_HEADER_BYTES = 100 << 20
_YAML_NAMES = ("bioimageio.yaml", "rdf.yaml", "model.yaml")


def export_bioimage_io(
    model: Path | str,
    package: Path | str,
    *,
    image: Image | None = None,
    authors: Sequence[str] = (),
    licence: str | None = None,
    citations: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a model as a package for bioimage.io, tested by bioimageio.core.

    The package holds the weights as a PyTorch state dict (with the network's source) and as
    TorchScript, test tensors, a cover, documentation, and what `import_bioimage_io` needs to give
    exactly this model back. It computes in float32.

    Parameters
    ----------
    model
        The model file. A model card beside it becomes the documentation.
    package
        The ``.zip`` to write.
    image
        What the package is tested on and what its cover shows, of which the middle is taken: a
        plane, or a volume for a 3-D model. None: nuclei are drawn.
    authors
        Names of the authors; none: "the user of napari-unet-live".
    licence
        SPDX identifier such as ``"CC-BY-4.0"``; None: the model's own, if it is one.
    citations
        What to cite besides the U-Net: text, and its DOI or address.
    overwrite
        Whether to replace a file of that name.

    Returns
    -------
    Path
        The package.

    Raises
    ------
    SettingsError
        When bioimageio.core is missing, or a name, licence or citation is none.
    ModelFileError
        When the model cannot be used, or the package does not pass bioimage.io's test.
    ImageError
        When the image cannot serve as a test; see `napari_unet.core.bioimage_io_example.example`.
    StorageError
        When the package is there already or cannot be written.
    """
    from napari_unet.core.bioimage_io_example import example

    _require_bioimageio()
    target = Path(package)
    if target.suffix.lower() != ".zip":
        raise SettingsError(f"Package '{target}': expected a name that ends in .zip.")
    if exists(target) and not overwrite:
        raise StorageError(
            f"'{target}' is there already. Choose another name, or have it replaced (--overwrite)."
        )
    loaded = load_model(model)
    if licence is None:
        licence = loaded.info.licence if _is_spdx(loaded.info.licence) else None
    elif not _is_spdx(licence):
        raise SettingsError(
            f"Licence '{licence}': expected an SPDX identifier, such as CC-BY-4.0 or BSD-3-Clause."
        )
    for text, source in (citations or {}).items():
        if not re.match(r"10\.\d+/|https?://", source):
            raise SettingsError(
                f"Citation '{text}' with the source '{source}': expected a DOI or an address, such "
                "as 10.1038/s41592-019-0612-7."
            )
    shown = example(loaded, image)
    content = _description(loaded, authors, licence, citations or {})
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder), loaded, shown, read_card(Path(model)))
        with atomic_path(target) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, about themselves
            _pack(content, Path(folder), temporary)
            _test(temporary, loaded.info.name)
    return target


def import_bioimage_io(package: Path | str) -> Model:
    """Read a model from a package that `export_bioimage_io` wrote.

    No code of the package is run, and its weights are read as plain tensors. That is why packages
    of others cannot be used: their network is a program.

    Raises
    ------
    ModelFileError
        When there is no such package, or it is damaged, or not one of ours.
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


def _require_bioimageio() -> None:
    try:
        import bioimageio.core  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "The export to bioimage.io needs the package bioimageio.core, which cannot be loaded "
            f'({error}). Install it: pip install "napari-unet-live[bioimageio]".'
        ) from None


def _is_spdx(licence: str) -> bool:
    from bioimageio.spec.generic.v0_3 import LicenseId

    try:
        LicenseId(licence)
    except ValueError:
        return False
    return True


def _description(
    model: Model, authors: Sequence[str], licence: str | None, citations: Mapping[str, str]
) -> dict[str, Any]:
    import torch

    from napari_unet.core.bioimage_io_text import description

    return description(
        model.info,
        authors=authors,
        licence=licence,
        citations=citations,
        torch_version=torch.__version__.partition("+")[0],
    )


def _write_files(folder: Path, model: Model, shown: Example, card: str) -> None:
    """Write all that the description names."""
    import numpy as np
    import torch

    from napari_unet.core import bioimage_io_text as text
    from napari_unet.core.bioimage_io_network import (
        activated_network,
        architecture_source,
        as_torchscript,
    )

    np.save(folder / text.INPUT_FILE, shown.image[None])
    np.save(folder / text.OUTPUT_FILE, shown.outputs[None])
    shown.write_cover(folder / text.COVER_FILE, model.info)
    document = text.documentation(model.info, card)
    (folder / text.DOCUMENTATION_FILE).write_text(document, encoding="utf-8")
    header = model.info.model_dump_json(indent=1)
    (folder / text.HEADER_FILE).write_text(header, encoding="utf-8")
    source = architecture_source()
    (folder / text.ARCHITECTURE_FILE).write_text(source, encoding="utf-8")
    network = activated_network(model)
    torch.save(dict(network.state_dict()), folder / text.WEIGHTS_FILE)
    as_torchscript(network).save(str(folder / text.TORCHSCRIPT_FILE))


def _pack(content: dict[str, Any], folder: Path, target: Path) -> None:
    """Zip the files with their description, which names the hash of each of them."""
    import yaml

    text = yaml.safe_dump(_with_hashes(content, folder), sort_keys=False, allow_unicode=True)
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_YAML_NAMES[0], text)
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)


def _with_hashes(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_with_hashes(v, folder) for v in value]
    if not isinstance(value, dict):
        return value
    done = {name: _with_hashes(v, folder) for name, v in value.items()}
    if "source" in done:
        done["sha256"] = model_hash(folder / done["source"])
    return done


def _test(package: Path, name: str) -> None:
    """Let bioimageio.core check the format and repeat the prediction with both kinds of weights."""
    from bioimageio.core import test_description

    summary = test_description(package, devices=["cpu"], expected_type="model")
    gc.collect()  # it leaves the file open, which then could not be moved on Windows
    if summary.status == "passed":
        return
    errors = [error for detail in summary.details for error in detail.errors]
    problems = [f"{'.'.join(map(str, error.loc))}: {error.msg}" for error in errors]
    raise ModelFileError(
        f"The package of the model '{name}' does not pass the test of bioimageio.core, and was not "
        f"kept: {_one_line((problems or [summary.status])[0])}."
    )


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _read_model(archive: zipfile.ZipFile, path: Path) -> Model:
    from napari_unet.core.bioimage_io_text import HEADER_FILE, WEIGHTS_FILE

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
            f"({_one_line(str(error))[:100]}). Get the package again."
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
