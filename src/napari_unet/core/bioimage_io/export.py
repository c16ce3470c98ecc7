"""Export of models as bioimage.io packages.

The export needs the optional package bioimageio.core. A package is kept only if it passes the test
of bioimageio.core.
"""

from __future__ import annotations

import gc
import re
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unet.core.errors import ModelFileError, SettingsError, StorageError
from napari_unet.core.images.image import Image
from napari_unet.core.models.catalogue import read_card
from napari_unet.core.models.model import Model
from napari_unet.core.models.model_file import load_model, model_hash
from napari_unet.core.system.atomic_files import atomic_path, exists

if TYPE_CHECKING:
    from napari_unet.core.bioimage_io.example import Example

__all__ = ["export_bioimage_io"]


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

    The package contains the weights as a PyTorch state dict (with the network's source) and as
    TorchScript, test tensors, a cover, documentation, and everything that
    `napari_unet.import_bioimage_io` needs to restore exactly this model. It computes in float32.

    Parameters
    ----------
    model
        Path of the model file. A model card beside it becomes the documentation.
    package
        Path of the ``.zip`` file to write.
    image
        Image to test the package on and to show on its cover: a plane, or a volume for a 3-D model;
        its centre is used. None: drawn nuclei.
    authors
        Names of the authors; empty: "the user of napari-unet-live".
    licence
        SPDX identifier such as ``"CC-BY-4.0"``; None: the model's own, if it is an SPDX identifier.
    citations
        Texts to cite besides the U-Net, each with its DOI or URL.
    overwrite
        Whether to replace an existing file.

    Returns
    -------
    Path
        Path of the package.

    Raises
    ------
    SettingsError
        If bioimageio.core is missing, or a name, licence or citation is not valid.
    ModelFileError
        If the model cannot be used, or the package does not pass bioimage.io's test.
    ImageError
        If the image is not suitable as a test; see
        `napari_unet.core.bioimage_io.example.example`.
    StorageError
        If the package already exists or cannot be written.

    Examples
    --------
    >>> from napari_unet import export_bioimage_io, find_model
    >>> export_bioimage_io(find_model("nuclei"), "nuclei.zip").name  # doctest: +SKIP
    'nuclei.zip'
    """
    from napari_unet.core.bioimage_io.example import example

    _require_bioimageio()
    target = Path(package)
    if target.suffix.lower() != ".zip":
        raise SettingsError(f"Package '{target}': expected a name that ends in .zip.")
    if exists(target) and not overwrite:
        raise StorageError(
            f"'{target}' already exists. Choose another name, or replace it (--overwrite)."
        )
    loaded = load_model(model)
    if licence is None:
        licence = loaded.info.licence if _is_spdx(loaded.info.licence) else None
    elif not _is_spdx(licence):
        raise SettingsError(
            f"The licence is '{licence}': expected an SPDX identifier, such as CC-BY-4.0 or "
            "BSD-3-Clause."
        )
    for text, source in (citations or {}).items():
        if not re.match(r"10\.\d+/|https?://", source):
            raise SettingsError(
                f"The citation '{text}' has the source '{source}': expected a DOI or a URL, such "
                "as 10.1038/s41592-019-0612-7."
            )
    shown = example(loaded, image)
    content = _description(loaded, authors, licence, citations or {})
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder), loaded, shown, read_card(Path(model)))
        with atomic_path(target) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the libraries warn about their own code
            _pack(content, Path(folder), temporary)
            _test(temporary, loaded.info.name)
    return target


def _require_bioimageio() -> None:
    try:
        import bioimageio.core  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "Exporting to bioimage.io needs the package bioimageio.core, which cannot be loaded "
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

    from napari_unet.core.bioimage_io.description import description

    return description(
        model.info,
        authors=authors,
        licence=licence,
        citations=citations,
        torch_version=torch.__version__.partition("+")[0],
    )


def _write_files(folder: Path, model: Model, shown: Example, card: str) -> None:
    """Write all files that the description refers to."""
    import numpy as np
    import torch

    from napari_unet.core.bioimage_io import description as text
    from napari_unet.core.bioimage_io.network import (
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
    """Zip the files together with their description, which includes the hash of each file."""
    import yaml

    text = yaml.safe_dump(_with_hashes(content, folder), sort_keys=False, allow_unicode=True)
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bioimageio.yaml", text)
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
    """Test a package with bioimageio.core: its format, and a prediction with both weight files."""
    from bioimageio.core import test_description

    summary = test_description(package, devices=["cpu"], expected_type="model")
    gc.collect()  # bioimageio.core leaves the file open, and Windows moves no open files
    if summary.status == "passed":
        return
    errors = [error for detail in summary.details for error in detail.errors]
    problems = [f"{'.'.join(map(str, error.loc))}: {error.msg}" for error in errors]
    raise ModelFileError(
        f"The package of the model '{name}' failed the test of bioimageio.core and was not kept: "
        f"{_one_line((problems or [summary.status])[0])}."
    )


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
