"""Matching of predictions with ground truth by name: two files, or the files of two folders."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_unet.core.datasets.annotated_areas import with_areas
from napari_unet.core.datasets.folder_layouts import LABEL_SUFFIXES, label_owner
from napari_unet.core.datasets.matched_files import MatchedFiles
from napari_unet.core.errors import LabelsError
from napari_unet.core.io.formats import bare_name, is_image_file
from napari_unet.core.io.raw_files import reading
from napari_unet.core.system.atomic_files import exists

if TYPE_CHECKING:
    from napari_unet.core.evaluation.report import Report

__all__ = ["ComparisonReader", "LabelMatches", "evaluate_files", "match_labels"]


Comparison = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]
"""Prediction, ground truth and annotated area."""


@dataclass(frozen=True)
class LabelMatches:
    """Matched files, and the names of files without a partner."""

    matches: tuple[MatchedFiles, ...]
    unmatched: tuple[str, ...] = ()


class ComparisonReader:
    """Reader of the labels to score, which caches as many as fit into memory for later figures.

    Parameters
    ----------
    axes
        Axes as for `napari_unet.core.io.image_files.read_labels`.
    most_bytes
        Size of the cache in bytes; labels beyond it are read again.
    """

    def __init__(self, axes: str | None = None, most_bytes: int = 2**28) -> None:
        self._axes = axes
        self._bytes_left = most_bytes
        self._kept: dict[MatchedFiles, Comparison] = {}

    def load(self, match: MatchedFiles) -> Comparison:
        """Return prediction, ground truth and annotated area; raise `LabelsError` on failure."""
        if match in self._kept:
            return self._kept[match]
        comparison = (*match.load_comparison(self._axes), match.load_area(self._axes))
        size = sum(array.nbytes for array in comparison if array is not None)
        if size <= self._bytes_left:
            self._bytes_left -= size
            self._kept[match] = comparison
        return comparison


def match_labels(
    prediction: Path,
    truth: Path,
    images: Path | None = None,
    annotated: Path | None = None,
) -> LabelMatches:
    """Match predictions with ground truth by name, ignoring suffixes such as ``_labels``.

    Parameters
    ----------
    prediction
        A file, or a folder of label files.
    truth
        A file, a folder of label files, or a folder of images and labels in any layout that
        `napari_unet.core.datasets.pairs.find_pairs` supports.
    images
        A file or folder with the images, for figures.
    annotated
        Masks of the annotated areas, as for `napari_unet.core.datasets.annotated_areas.with_areas`;
        None: those in the folder ``annotated`` inside `truth`, if it exists.

    Raises
    ------
    LabelsError
        If a file or folder is missing, one is a folder and the other a file, or nothing matches.
    SettingsError
        If the areas are missing, or belong to none of the labels.
    """
    with reading(truth):
        found = _match(prediction, truth, images)
    return replace(found, matches=tuple(with_areas(found.matches, truth, annotated)))


def _match(prediction: Path, truth: Path, images: Path | None) -> LabelMatches:
    for path in (prediction, truth, *([images] if images else [])):
        if not exists(path):
            raise LabelsError(f"There is no file or folder '{path}'. Check the name.")
    if _is_folder(prediction) != _is_folder(truth):
        raise LabelsError(
            f"One of '{prediction}' and '{truth}' is a folder and the other a file: expected two "
            "files or two folders. Choose two of the same kind."
        )
    if _is_folder(prediction) and prediction.resolve() == truth.resolve():
        raise LabelsError(
            f"Prediction and ground truth are the same folder '{truth}': expected two folders. "
            "Write predictions into a separate folder."
        )
    pictures = {} if images is None else _image_files(images)
    if not _is_folder(prediction):
        only = images if images is not None and not _is_folder(images) else None
        name = label_owner(truth)
        image = only or pictures.get(name)
        match = MatchedFiles(name, image, (truth,), prediction)
        return LabelMatches((match,))
    return _match_folders(prediction, truth, pictures)


def evaluate_files(
    prediction: str | os.PathLike[str], truth: str | os.PathLike[str], **settings: Any
) -> Report:
    """Score label files against the ground truth.

    Parameters
    ----------
    prediction, truth
        Two files or two folders; see `match_labels`.
    **settings
        Settings of `napari_unet.core.evaluation.evaluation.evaluate_many`.

    Returns
    -------
    Report
        Scores; files without a partner are listed in ``unmatched``.

    Raises
    ------
    LabelsError
        As for `match_labels`, and if a file cannot be read or the labels cannot be compared.

    Examples
    --------
    >>> from napari_unet import evaluate_files, synthetic_nuclei, write_labels
    >>> _, truth = synthetic_nuclei((128, 128), n=10)
    >>> write_labels("truth/a.tif", truth)
    >>> write_labels("results/a.tif", truth)
    >>> evaluate_files("results", "truth").summary()["ap50_pooled"]
    1.0
    """
    from napari_unet.core.evaluation.evaluation import evaluate_many

    found = match_labels(Path(prediction), Path(truth))
    samples = ((match.name, *match.load_comparison(), match.load_area()) for match in found.matches)
    return evaluate_many(samples, unmatched=found.unmatched, **settings)


def _match_folders(prediction: Path, truth: Path, pictures: dict[str, Path]) -> LabelMatches:
    predicted, true = _label_files(prediction), _truth_files(truth)
    matches = tuple(
        MatchedFiles(name, pictures.get(name, image), labels, predicted[name])
        for name, (labels, image) in true.items()
        if name in predicted
    )
    if not matches:
        raise LabelsError(
            f"No file in '{prediction}' ({_examples(predicted)}) has the same name as a file in "
            f"'{truth}' ({_examples(true)}): expected equal names, apart from suffixes such as "
            f"{', '.join(LABEL_SUFFIXES[:3])}. Rename the files, or choose other folders."
        )
    without_prediction = [f"{name} (ground truth)" for name in true if name not in predicted]
    without_truth = [f"{name} (prediction)" for name in predicted if name not in true]
    return LabelMatches(matches, (*without_prediction, *without_truth))


def _truth_files(folder: Path) -> dict[str, tuple[tuple[Path, ...], Path | None]]:
    """Find label files by name, each with its image if the folder contains it."""
    from napari_unet.core.datasets.pairs import find_pairs

    try:
        pairs = find_pairs(folder).pairs
    except LabelsError:  # no images beside the labels
        return {name: ((path,), None) for name, path in _label_files(folder).items()}
    return {bare_name(Path(pair.name)): (pair.labels, pair.image) for pair in pairs}


def _label_files(folder: Path) -> dict[str, Path]:
    """Find label files by the name of their image, preferring those with a suffix like _labels."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not is_image_file(path) or _is_no_label(path):
            continue
        name = label_owner(path)
        other = found.get(name)
        if other is not None and name not in (bare_name(other), bare_name(path)):
            raise LabelsError(
                f"'{other.name}' and '{path.name}' in '{folder}' both belong to '{name}': expected "
                "one label file. Move the other one to another folder."
            )
        if other is None or bare_name(path) != name:
            found[name] = path
    return found


def _image_files(images: Path) -> dict[str, Path]:
    if not _is_folder(images):
        return {bare_name(images): images}
    return {bare_name(p): p for p in sorted(images.iterdir()) if is_image_file(p)}


def _is_no_label(path: Path) -> bool:
    return bare_name(path).endswith("_probability") or path.name.lower().endswith("_seg.npy")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not is_image_file(path)


def _examples(names: dict[str, Any]) -> str:
    listed = [f"'{name}'" for name in list(names)[:2]]
    return ", ".join([*listed, "..."] if len(names) > 2 else listed) or "no label files"
