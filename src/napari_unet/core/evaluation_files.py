"""Evaluate files: two label files, or two folders of them matched by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_unet.core.errors import LabelsError
from napari_unet.core.report import Report

__all__ = ["FileMatches", "FilePair", "evaluate_files", "match_files", "read_pairs"]

_EXTRA_SUFFIXES = ("_prediction", "_predictions", "_pred")
"""What a prediction's name may carry, beside the usual label suffixes."""


@dataclass(frozen=True)
class FilePair:
    """A predicted label file, the true one, and the image behind them where it was found."""

    name: str
    prediction: Path
    truth: Path
    image: Path | None = None


@dataclass(frozen=True)
class FileMatches:
    """What belongs together, and the files without a partner."""

    pairs: tuple[FilePair, ...]
    only_prediction: tuple[Path, ...] = ()
    only_truth: tuple[Path, ...] = ()

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Names of the files without a partner, with what is missing."""
        return (
            *(f"{path.name}: no truth of that name" for path in self.only_prediction),
            *(f"{path.name}: no prediction of that name" for path in self.only_truth),
        )


def match_files(
    prediction: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    images: str | os.PathLike[str] | None = None,
) -> FileMatches:
    """Match predicted with true label files.

    Parameters
    ----------
    prediction, truth
        Two files, or two folders, matched by file name without its suffix and without what label
        files append (``_mask``, ``_cp_masks``, ``_prediction``, ...). A folder with a folder
        ``masks`` or ``labels`` in it stands for that one.
    images
        File or folder of the images, for pictures. None: a folder ``images`` beside or in `truth`,
        if there is one.

    Raises
    ------
    LabelsError
        When a path is missing, nothing matches, or it is open what does.
    """
    prediction, truth = _existing(Path(prediction)), _existing(Path(truth))
    if _is_file(prediction) != _is_file(truth):
        raise LabelsError(
            f"'{prediction.name}' is a {_kind(prediction)} and '{truth.name}' a {_kind(truth)}: "
            "expected two files or two folders."
        )
    image_files = _find_images(truth, images)
    if _is_file(prediction):
        image = image_files.get(_owner(truth))
        if images is not None and len(image_files) == 1:
            (image,) = image_files.values()
        return FileMatches((FilePair(_owner(prediction), prediction, truth, image),))
    prediction, truth = _label_folder(prediction), _label_folder(truth)
    if prediction.resolve() == truth.resolve():
        raise LabelsError(
            f"Prediction and truth are the same folder '{truth}': expected two. Write predictions "
            "into a folder of their own."
        )
    predicted, true = _labels_by_name(prediction, image_files), _labels_by_name(truth, image_files)
    if not predicted.keys() & true.keys():
        raise LabelsError(
            f"No file of '{prediction}' ({_examples(predicted)}) has the name of one of '{truth}' "
            f"({_examples(true)}). Expected the same names, but for endings such as '_mask'."
        )
    return FileMatches(
        pairs=tuple(
            FilePair(name, path, true[name], image_files.get(name))
            for name, path in predicted.items()
            if name in true
        ),
        only_prediction=tuple(path for name, path in predicted.items() if name not in true),
        only_truth=tuple(path for name, path in true.items() if name not in predicted),
    )


def read_pairs(matches: FileMatches) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Read the matched files one after the other, as `evaluate_many` takes them.

    Yields
    ------
    name, prediction, truth

    Raises
    ------
    LabelsError
        When a file cannot be read or holds no labels.
    """
    from napari_unet.core.files import read_labels

    for pair in matches.pairs:
        yield pair.name, read_labels(pair.prediction), read_labels(pair.truth)


def evaluate_files(
    prediction: str | os.PathLike[str], truth: str | os.PathLike[str], **settings: Any
) -> Report:
    """Score label files against the truth.

    Parameters
    ----------
    prediction, truth
        Two files or two folders; see `match_files`.
    **settings
        As for `napari_unet.core.evaluation.evaluate_many`.

    Returns
    -------
    Report
        Files without a partner are listed in its ``unmatched``.
    """
    from napari_unet.core.evaluation import evaluate_many

    matches = match_files(prediction, truth)
    return evaluate_many(read_pairs(matches), unmatched=matches.unmatched, **settings)


def _labels_by_name(folder: Path, image_files: dict[str, Path]) -> dict[str, Path]:
    """Label files of a folder by the image they belong to; images lying beside them are not any."""
    found: dict[str, Path] = {}
    images = {path.resolve() for path in image_files.values()}
    for path in _image_files(folder):
        if path.resolve() in images:
            continue
        name = _owner(path)
        if name in found:
            raise LabelsError(
                f"'{folder}' has two label files for '{name}': {found[name].name} and {path.name}. "
                "Keep one of them there."
            )
        found[name] = path
    if not found:
        raise LabelsError(f"There is no label file in '{folder}': expected TIFF, PNG, NPY or Zarr.")
    return found


def _find_images(truth: Path, images: str | os.PathLike[str] | None) -> dict[str, Path]:
    """Image files by their name."""
    from napari_unet.core.files import bare_name

    if images is not None:
        folder = _existing(Path(images))
        return {bare_name(p): p for p in ([folder] if _is_file(folder) else _image_files(folder))}
    nearby = [truth.parent, truth.parent.parent] if _is_file(truth) else [truth, truth.parent]
    for folder in nearby:
        if (folder / "images").is_dir():
            return {bare_name(path): path for path in _image_files(folder / "images")}
    return _images_beside_labels(truth.parent if _is_file(truth) else truth)


def _images_beside_labels(folder: Path) -> dict[str, Path]:
    """Images of a folder that holds both ``x.tif`` and ``x_mask.tif``."""
    from napari_unet.core.files import bare_name

    files = _image_files(folder)
    owners = {_owner(path) for path in files if _owner(path) != bare_name(path)}
    return {bare_name(path): path for path in files if bare_name(path) in owners}


def _image_files(folder: Path) -> list[Path]:
    from napari_unet.core.files import is_image_file

    return [
        path
        for path in sorted(folder.iterdir(), key=lambda p: p.name)
        if is_image_file(path)
        and not path.name.startswith(".")
        and not path.name.lower().endswith("_seg.npy")
    ]


def _owner(path: Path) -> str:
    """Name of the image that a label file belongs to."""
    from napari_unet.core.files import bare_name
    from napari_unet.core.folder_layouts import LABEL_SUFFIXES

    name = bare_name(path)
    for suffix in (*_EXTRA_SUFFIXES, *LABEL_SUFFIXES):
        if name.lower().endswith(suffix.lower()) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _label_folder(folder: Path) -> Path:
    inside = [p for n in ("masks", "labels") if (p := folder / n).is_dir() and _image_files(p)]
    return inside[0] if inside else folder


def _existing(path: Path) -> Path:
    if not path.exists():
        raise LabelsError(f"There is no file or folder '{path}'. Check its name.")
    return path


def _is_file(path: Path) -> bool:
    """Whether this is one image; a Zarr folder is."""
    from napari_unet.core.files import is_image_file

    return path.is_file() or is_image_file(path)


def _kind(path: Path) -> str:
    return "file" if _is_file(path) else "folder"


def _examples(files: dict[str, Path]) -> str:
    names = ", ".join(path.name for path in list(files.values())[:2])
    return names + (", ..." if len(files) > 2 else "")
