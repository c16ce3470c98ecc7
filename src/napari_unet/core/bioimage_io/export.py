"""Packages of bioimage.io: export a model of ours as one.

Needs the optional package bioimageio.core, whose own test a package must pass before it is kept.
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

    The package holds the weights as a PyTorch state dict (with the network's source) and as
    TorchScript, test tensors, a cover, documentation, and what `napari_unet.import_bioimage_io`
    needs to give exactly this model back. It computes in float32.

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
        When the image cannot serve as a test; see `napari_unet.core.bioimage_io.example.example`.
    StorageError
        When the package is there already or cannot be written.

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

    from napari_unet.core.bioimage_io.description import description

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
    """Zip the files with their description, which names the hash of each of them."""
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
