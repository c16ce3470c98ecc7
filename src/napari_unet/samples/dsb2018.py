"""Nuclei of the 2018 Data Science Bowl: their source, location and layers."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import StorageError

__all__ = ["ENVIRONMENT", "LayerData", "Source", "find", "layers", "source", "train_folder"]

ENVIRONMENT = "NAPARI_UNET_DATA"
"""Environment variable for a folder that contains ``dsb2018/train/{images,masks}``."""

LayerData = tuple[Any, ...]
"""Layer data as napari expects it: array, keyword arguments, type."""


@dataclass(frozen=True)
class Source:
    """Origin of the data set, its checksum and the images used as samples."""

    name: str
    url: str
    sha256: str
    licence: str
    homepage: str
    citation: str
    field: str
    tissue: str
    training: tuple[str, ...]

    @property
    def credit(self) -> str:
        """Name, licence and citation in one line."""
        return f"{self.name}. Licence: {self.licence}. Please cite: {self.citation}"


@cache
def source() -> Source:
    """Read the description of the data set from the package."""
    text = files("napari_unet").joinpath("sample_data/dsb2018.toml").read_text("utf-8")
    record = tomllib.loads(text)
    return Source(**record | {"training": tuple(record["training"])})


def train_folder(folder: Path) -> Path:
    """Return the folder of labelled images inside the folder of data sets."""
    return folder / "dsb2018" / "train"


def find(folder: Path) -> Path | None:
    """Find the labelled images on this computer.

    Parameters
    ----------
    folder
        Folder of downloaded data sets; the environment variable takes precedence.

    Returns
    -------
    Path or None
        Folder with ``images`` and ``masks``, or None if they have to be downloaded.

    Raises
    ------
    StorageError
        If the folder in the environment variable does not contain the images.
    """
    named = os.environ.get(ENVIRONMENT, "")
    train = train_folder(Path(named).expanduser() if named else folder)
    if (train / "images").is_dir() and (train / "masks").is_dir():
        return train
    if named:
        raise StorageError(
            f"The environment variable {ENVIRONMENT} is '{named}', which does not contain "
            "dsb2018/train/images and dsb2018/train/masks. Set it to the folder that contains "
            "dsb2018, or unset it to download the images."
        )
    return None


def layers(train: Path, ids: Sequence[str], name: str, origin: Source) -> list[LayerData]:
    """Read images and their labels for napari.

    Parameters
    ----------
    train
        Folder with ``images`` and ``masks``.
    ids
        Ids of the images. One id opens a field [Y, X]; several open a stack [N, Y, X] of fields of
        one size, which are independent: each is normalised separately.
    name
        Name of the image layer; that of the labels is derived from it.
    origin
        Source whose licence and citation are stored in the layers.

    Returns
    -------
    list
        Image (uint8) and labels (uint8 or uint16) as layer data.

    Raises
    ------
    StorageError
        If a file is missing or cannot be read.
    """
    from tifffile import imread

    image = _stack([_read(imread, train / "images" / f"{i}.tif") for i in ids])
    labels = _stack([_read(imread, train / "masks" / f"{i}.tif") for i in ids])
    about = {
        "name": origin.name,
        "ids": list(ids),
        "licence": origin.licence,
        "citation": origin.citation,
        "homepage": origin.homepage,
    }
    common = {"axis_labels": tuple("NYX"[-image.ndim :]), "metadata": {"sample": about}}
    # A few bright nuclei or fields would make all others look dark.
    brightest = np.percentile(image, 99.5, axis=(-2, -1))
    limits = (0, max(1, int(np.median(brightest))))
    return [
        (image, {"name": name, "contrast_limits": limits, **common}, "image"),
        (small(labels), {"name": f"{name} truth", **common}, "labels"),
    ]


def small(labels: NDArray[Any]) -> NDArray[Any]:
    """Convert labels to the smallest type that can hold them, which napari shows fastest."""
    return labels.astype(np.min_scalar_type(int(labels.max(initial=0))))


def _stack(planes: list[NDArray[Any]]) -> NDArray[Any]:
    return planes[0] if len(planes) == 1 else np.stack(planes)


def _read(imread: Callable[[Path], NDArray[Any]], path: Path) -> NDArray[Any]:
    try:
        return imread(path)
    except (OSError, ValueError) as error:
        advice = (
            f"Delete the folder '{path.parents[2]}' and open the sample again to download it again."
        )
        if os.environ.get(ENVIRONMENT):
            advice = (
                f"Correct or unset the environment variable {ENVIRONMENT}, which names this folder."
            )
        problem = f"The sample image '{path}' is missing or cannot be read. {advice}"
        raise StorageError(problem) from error
