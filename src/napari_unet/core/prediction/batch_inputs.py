"""Find the files of a batch from files, folders and patterns, and name their results."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_unet.core.datasets.folder_layouts import (
    LABEL_SUFFIXES,
    disambiguated_names,
    label_owner,
)
from napari_unet.core.datasets.matched_files import MatchedFiles
from napari_unet.core.errors import ImageError
from napari_unet.core.io.formats import (
    bare_name,
    image_suffixes,
    is_image_file,
    is_image_folder,
)
from napari_unet.core.io.raw_files import reading
from napari_unet.core.system.atomic_files import exists, file_key

__all__ = ["BatchInputs", "find_inputs"]

_NOT_IMAGES = (*LABEL_SUFFIXES, "_probability")
"""Endings of names of results and labels beside an image."""


@dataclass(frozen=True)
class BatchInputs:
    """The image files that were found, and the skipped paths with the reason for each.

    The names of the results of a file start with its name here.
    """

    files: tuple[MatchedFiles, ...]
    skipped: tuple[tuple[Path, str], ...] = ()


def find_inputs(sources: Sequence[str | os.PathLike[str]]) -> BatchInputs:
    """Find the image files in files, folders and patterns.

    Parameters
    ----------
    sources
        Files, folders and patterns such as ``"plate/*/*_dapi.tif"`` (``**`` matches all folders
        below). Of a folder, the images directly inside are used, without labels or results beside
        them.

    Returns
    -------
    BatchInputs
        Each file once, in the order of the sources and by name within each.

    Raises
    ------
    ImageError
        If a source does not exist, or there is no image at all.

    Examples
    --------
    >>> from napari_unet import Image, synthetic_nuclei, write_image
    >>> write_image("a.tif", Image(synthetic_nuclei((64, 64), n=3)[0], "YX"))
    >>> [file.name for file in find_inputs(["*.tif"]).files]
    ['a']
    """
    found: dict[str, Path] = {}
    skipped: list[tuple[Path, str]] = []
    for source in sources:
        with reading(Path(source)):
            for path in _expand(Path(source), skipped):
                found.setdefault(os.path.abspath(path), path)  # noqa: PTH100 -- links stay apart
    if not found:
        known = ", ".join(image_suffixes())
        seen = "; ".join(f"'{p.name}': {reason}" for p, reason in skipped[:3])
        raise ImageError(
            f"No image in {', '.join(repr(str(s)) for s in sources)}: expected {known}. "
            + (f"Skipped: {seen}." if seen else "For images in subfolders use 'FOLDER/**/*.tif'.")
        )
    paths = list(found.values())
    rows = zip(paths, _result_names(paths), disambiguated_names(paths), strict=True)
    files = tuple(MatchedFiles(name, path, row_name=row) for path, name, row in rows)
    return BatchInputs(files, tuple(skipped))


def _expand(source: Path, skipped: list[tuple[Path, str]]) -> list[Path]:
    if is_image_folder(source):
        return [source]
    if exists(source):
        return _keep_images(sorted(source.iterdir()), skipped) if source.is_dir() else [source]
    if not glob.has_magic(str(source)):
        raise ImageError(f"There is no file or folder '{source}'. Check the name.")
    matches = [Path(p) for p in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207
    if not matches:
        raise ImageError(f"No file matches the pattern '{source}'. Check it, and put it in quotes.")
    return _keep_images([p for p in matches if is_image_folder(p) or not p.is_dir()], skipped)


def _keep_images(paths: Sequence[Path], skipped: list[tuple[Path, str]]) -> list[Path]:
    """Keep the images, and record why the other paths are skipped."""
    known = ", ".join(image_suffixes())
    stems = {bare_name(path) for path in paths}
    kept = []
    for path in paths:
        owner = label_owner(path, _NOT_IMAGES)
        if path.name.startswith("."):
            continue
        if not is_image_file(path):
            reason = "a folder" if path.is_dir() else f"not a supported format ({known})"
            skipped.append((path, reason))
        elif owner != bare_name(path) and owner in stems:
            skipped.append((path, f"labels or a result of '{owner}'"))
        else:
            kept.append(path)
    return kept


def _result_names(paths: Sequence[Path]) -> list[str]:
    """Name results after their images; repeated names get their folders, suffix or a number."""
    bare = [bare_name(path) for path in paths]
    apart = disambiguated_names(
        [path.with_name(name) for path, name in zip(paths, bare, strict=True)]
    )
    names = [name.replace("/", "_") for name in apart]
    names = [
        name + path.name.removeprefix(stem).replace(".", "_") if twice else name
        for path, stem, name, twice in zip(paths, bare, names, _clashes(names), strict=True)
    ]
    numbered = enumerate(zip(names, _clashes(names), strict=True), start=1)
    return [f"{name}_{i}" if twice else name for i, (name, twice) in numbered]


def _clashes(names: Sequence[str]) -> list[bool]:
    """Return for each name whether it clashes with another one on some file system."""
    keys = [file_key(name) for name in names]
    counts = Counter(keys)
    return [counts[key] > 1 for key in keys]
