"""The nuclei of the 2018 Data Science Bowl: where they are, and how they become layers."""

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
"""Names a folder that already holds ``dsb2018/train/{images,masks}``: nothing is downloaded."""

LayerData = tuple[Any, ...]
"""What napari takes for a layer: data, keyword arguments, type."""


@dataclass(frozen=True)
class Source:
    """Where the data set comes from, how it is checked, and which of its images are samples."""

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
        """What to tell whoever opens it."""
        return f"{self.name}. Licence: {self.licence}. Please cite: {self.citation}"


@cache
def source() -> Source:
    """Read what the package says about the data set."""
    text = files("napari_unet").joinpath("sample_data/dsb2018.toml").read_text("utf-8")
    record = tomllib.loads(text)
    return Source(**record | {"training": tuple(record["training"])})


def train_folder(folder: Path) -> Path:
    """Folder of the labelled images below the folder that data sets are kept in."""
    return folder / "dsb2018" / "train"


def find(folder: Path) -> Path | None:
    """Find the labelled images on this computer.

    Parameters
    ----------
    folder
        Where downloaded data sets are kept; the environment variable has precedence.

    Returns
    -------
    Path or None
        The folder with ``images`` and ``masks``; None: they have to be downloaded.

    Raises
    ------
    StorageError
        When the folder that the environment variable names does not hold the images.
    """
    named = os.environ.get(ENVIRONMENT, "")
    train = train_folder(Path(named).expanduser() if named else folder)
    if (train / "images").is_dir() and (train / "masks").is_dir():
        return train
    if named:
        raise StorageError(
            f"The environment variable {ENVIRONMENT} names '{named}', which holds no "
            "dsb2018/train/images and dsb2018/train/masks. Name the folder that dsb2018 lies in, "
            "or unset the variable to have the images downloaded."
        )
    return None


def layers(train: Path, ids: Sequence[str], name: str, origin: Source) -> list[LayerData]:
    """Read images and their labels for napari.

    Parameters
    ----------
    train
        Folder with ``images`` and ``masks``.
    ids
        One id: a single field [Y, X]. Several: a stack [N, Y, X] of fields of one size. They
        share nothing, as points in time do for a 2-D network: each is normalised by itself.
    name
        Of the image layer; the labels are called after it.
    origin
        Whose licence and citation the layers carry.

    Returns
    -------
    list
        Image uint8 and labels uint8 or uint16, as napari takes them.

    Raises
    ------
    StorageError
        When a file is missing or cannot be read.
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
    # A few bright nuclei, or a few bright fields, would leave the others in the dark.
    brightest = np.percentile(image, 99.5, axis=(-2, -1))
    limits = (0, max(1, int(np.median(brightest))))
    return [
        (image, {"name": name, "contrast_limits": limits, **common}, "image"),
        (small(labels), {"name": f"{name} truth", **common}, "labels"),
    ]


def small(labels: NDArray[Any]) -> NDArray[Any]:
    """Give labels the smallest type that holds them: napari shows those quickest."""
    return labels.astype(np.min_scalar_type(int(labels.max(initial=0))))


def _stack(planes: list[NDArray[Any]]) -> NDArray[Any]:
    return planes[0] if len(planes) == 1 else np.stack(planes)


def _read(imread: Callable[[Path], NDArray[Any]], path: Path) -> NDArray[Any]:
    try:
        return imread(path)
    except (OSError, ValueError) as error:
        advice = (
            f"Delete the folder '{path.parents[2]}' and open the sample again to have it "
            "downloaded anew."
        )
        if os.environ.get(ENVIRONMENT):
            advice = f"It was looked for there because of the variable {ENVIRONMENT}: correct it."
        problem = f"The sample image '{path}' is missing or cannot be read. {advice}"
        raise StorageError(problem) from error
