"""Matching of label files to images by folder and name, without opening them."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_unet.core.datasets.matched_files import MatchedFiles
from napari_unet.core.errors import ImageError, LabelsError, SettingsError
from napari_unet.core.io.formats import bare_name, image_suffixes, is_image_file
from napari_unet.core.io.raw_files import reading

__all__ = [
    "LABEL_SUFFIXES",
    "Matches",
    "delimiter_of",
    "disambiguated_names",
    "label_owner",
    "match_files",
    "named_folders",
    "read_table",
]

LABEL_SUFFIXES = (
    "_Simple Segmentation",
    "_cp_masks",
    "_labels",
    "_label",
    "_masks",
    "_mask",
    "_seg",
)
"""Suffixes that programs and people append to an image's name for its labels; longer ones first."""

_IMAGE_FOLDERS = ("images", "image")
_LABEL_FOLDERS = ("masks", "mask", "labels", "label")
_LABEL_COLUMNS = ("labels", "label", "masks", "mask")
_GROUP_COLUMNS = ("group", "field")
_CLUTTER = ("thumbs.db", "desktop.ini")

_LOOKED_FOR = (
    "Expected folders 'images' and 'masks' (or 'labels'); or images with their labels beside them, "
    "named like 'x.tif' and 'x_mask.tif' (" + ", ".join(LABEL_SUFFIXES) + "); or folders "
    "'<id>/images' and '<id>/masks'"
)


@dataclass
class Matches:
    """Matched files, and skipped paths with the reason."""

    found: list[MatchedFiles] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)


def match_files(source: Path, images: Path | None = None, labels: Path | None = None) -> Matches:
    """Find images and their labels in a folder of any supported layout, or in a table.

    Parameters
    ----------
    source
        Path of a folder, or of a CSV table of paths.
    images, labels
        Folders to use instead of those that the layout suggests; relative to `source`.

    Raises
    ------
    ImageError
        If a folder is missing.
    LabelsError
        If no labels match an image, or several folders could hold the labels.
    SettingsError
        If a table assigns an image to two groups.
    """
    with reading(source):
        matches = _match(source, images, labels)
    if not matches.found:
        raise LabelsError(_nothing_found(source, matches))
    return matches


def _match(source: Path, images: Path | None, labels: Path | None) -> Matches:
    if source.is_file() and source.suffix.lower() == ".csv":
        return _match_table(source)
    if not source.is_dir():
        raise ImageError(
            f"There is no folder '{source}': expected a folder with images and labels, or a CSV "
            "table with the columns image and labels."
        )
    if images is not None or labels is not None:
        return _match_folders(
            _existing(source / (images or "")), _existing(source / (labels or ""))
        )
    return _match_layout(source)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV table (comma, semicolon or tab) with column names in lower case.

    Raises
    ------
    ImageError
        If the file cannot be read as text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ImageError(f"There is no table '{path}'. Check the name and the folder.") from error
    except UnicodeDecodeError as error:
        raise ImageError(
            f"The table '{path}' is not text in UTF-8: expected a CSV file. Save it from the "
            "spreadsheet program as 'CSV UTF-8'."
        ) from error
    except OSError as error:
        raise ImageError(
            f"The table '{path}' cannot be read ({error.strerror or error}): expected a CSV file."
        ) from error
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter_of(text))
    try:
        return [
            {key.strip().lower(): (value or "").strip() for key, value in row.items() if key}
            for row in rows
        ]
    except csv.Error as error:
        raise ImageError(
            f"The table '{path}' cannot be read ({error}): expected a CSV file. Check it in a "
            "text editor."
        ) from error


def delimiter_of(table: str) -> str:
    """Return the delimiter of a CSV table: the one that is most frequent in its first line."""
    header = table.split("\n", 1)[0]
    return max(",;\t", key=header.count)


def named_folders(source: Path) -> tuple[Path | None, Path | None]:
    """Find the folders of images and of labels in a folder by their names.

    Raises
    ------
    LabelsError
        If there is a folder of images, and two folders have names of label folders.
    """
    folders = {p.name.lower(): p for p in source.iterdir() if p.is_dir()}
    images = next((folders[name] for name in _IMAGE_FOLDERS if name in folders), None)
    labels = [folders[name] for name in _LABEL_FOLDERS if name in folders]
    if images and len(labels) > 1:
        names = " and ".join(f"'{p.name}'" for p in labels)
        raise LabelsError(
            f"'{source}' has {names}: expected one. Choose the folder that holds the labels, or "
            "move the other one elsewhere."
        )
    return images, labels[0] if labels else None


def _match_layout(source: Path) -> Matches:
    images, labels = named_folders(source)
    if images and labels:
        return _match_folders(images, labels)
    folders = [p for p in source.iterdir() if p.is_dir()]
    per_image = [p for p in folders if (p / "images").is_dir() and (p / "masks").is_dir()]
    if per_image:
        return _match_one_mask_per_object(source, sorted(per_image))
    return _match_folders(source, source)


def _match_folders(images: Path, labels: Path) -> Matches:
    """Match files by name, in two folders or in one that holds both."""
    matches = Matches()
    image_files = _image_files(images, matches)
    label_files = image_files if images == labels else _image_files(labels, matches)
    names = {bare_name(p) for p in image_files}
    if images == labels:
        label_files = [p for p in image_files if label_owner(p) != bare_name(p)]
        image_files = [p for p in image_files if label_owner(p) == bare_name(p)]
        names -= {bare_name(p) for p in label_files}
    owned = defaultdict(list)
    for path in label_files:
        owner = next((n for n in (bare_name(path), label_owner(path)) if n in names), None)
        if owner is None:
            matches.skipped.append((path, f"labels, but there is no image '{label_owner(path)}'"))
        else:
            owned[owner].append(path)
    same_name = defaultdict(list)
    for path in image_files:
        same_name[bare_name(path)].append(path)
    for name, paths in same_name.items():
        _add(matches, name, paths, owned[name])
    return matches


def _add(matches: Matches, name: str, images: list[Path], labels: list[Path]) -> None:
    reason = None
    if not labels:
        reason = "no labels of that name"
    elif len(labels) > 1:
        reason = f"{len(labels)} label files match: {_listed(labels)}; keep one"
    elif len(images) > 1:
        reason = f"{len(images)} images have that name: {_listed(images)}; keep one"
    if reason is None:
        matches.found.append(MatchedFiles(name, images[0], tuple(labels)))
    else:
        matches.skipped.extend((path, reason) for path in images)


def _match_one_mask_per_object(source: Path, folders: Iterable[Path]) -> Matches:
    """Match the layout of the Data Science Bowl 2018: one mask file per nucleus."""
    matches = Matches()
    folders = list(folders)
    for path in sorted(source.iterdir()):
        if path not in folders and not _is_clutter(path):
            matches.skipped.append((path, "not a folder with 'images' and 'masks' in it"))
    for folder in folders:
        images = _image_files(folder / "images", matches)
        labels = _image_files(folder / "masks", matches)
        if len(images) != 1:
            matches.skipped.append((folder, f"{len(images)} images in it, expected one"))
        elif not labels:
            matches.skipped.append((images[0], "no masks"))
        else:
            matches.found.append(MatchedFiles(folder.name, images[0], tuple(labels)))
    return matches


def _match_table(table: Path) -> Matches:
    """Match files by the rows of a table; several rows of one image are one object each."""
    matches = Matches()
    rows = read_table(table)
    columns = list(rows[0]) if rows else []
    label_column = next((c for c in _LABEL_COLUMNS if c in columns), None)
    if "image" not in columns or label_column is None:
        raise LabelsError(
            f"The table '{table.name}' has {_columns(columns)}: expected "
            "image and labels (and optionally group), with paths relative to the table."
        )
    group_column = next((c for c in _GROUP_COLUMNS if c in columns), "")
    labels: dict[Path, list[Path]] = {}
    groups: dict[Path, str | None] = {}
    for number, row in enumerate(rows, start=2):
        image = table.parent / row["image"]
        if not row["image"] or not row[label_column]:
            matches.skipped.append((image, f"line {number} of the table lacks image or labels"))
            continue
        mask = table.parent / row[label_column]
        for path in (image, mask):
            if not path.exists():
                raise ImageError(
                    f"Line {number} of '{table.name}': there is no file '{path}'. Paths are "
                    "relative to the table's folder: correct the line."
                )
        labels.setdefault(image, []).append(mask)
        group = row.get(group_column) or None
        if groups.setdefault(image, group) != group:
            raise SettingsError(
                f"The table '{table.name}' assigns '{row['image']}' to the groups "
                f"{groups[image]!r} and {group!r}: expected one. Correct line {number}."
            )
    names = disambiguated_names([image.with_name(bare_name(image)) for image in labels])
    for image, name in zip(labels, names, strict=True):
        matches.found.append(MatchedFiles(name, image, tuple(labels[image]), group=groups[image]))
    return matches


def disambiguated_names(paths: Sequence[Path]) -> list[str]:
    """Return the name of each file, with as many folders as it takes to be unique: ``a/images/x``.

    Equal paths have equal names.
    """
    names = [path.name for path in paths]
    parts = [path.absolute().parts for path in paths]
    for depth in range(2, max(map(len, parts), default=0)):
        counts = Counter(name for name, _ in set(zip(names, parts, strict=True)))
        names = [
            "/".join(own[-depth:]) if counts[name] > 1 else name
            for own, name in zip(parts, names, strict=True)
        ]
    return names


def _image_files(folder: Path, matches: Matches) -> list[Path]:
    """Return the images of a folder, sorted by name; add everything else to `skipped`."""
    files = []
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if _is_clutter(path):
            continue
        if path.name.lower().endswith("_seg.npy"):
            matches.skipped.append(
                (path, "Cellpose's pickled file, never loaded; save its masks as PNG or TIFF")
            )
        elif is_image_file(path):
            files.append(path)
        elif path.is_dir():
            matches.skipped.append((path, "a folder"))
        else:
            known = ", ".join(image_suffixes())
            matches.skipped.append((path, f"not a supported format ({known})"))
    return files


def label_owner(path: Path, suffixes: Sequence[str] = LABEL_SUFFIXES) -> str:
    """Return the name of a label file's image: its own name without a label suffix."""
    name = bare_name(path)
    for suffix in suffixes:
        if name.lower().endswith(suffix.lower()) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def _is_clutter(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _CLUTTER


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise ImageError(f"There is no folder '{folder}'. Check its name.")
    return folder


def _columns(names: list[str]) -> str:
    return f"the columns {', '.join(names)}" if names else "no rows"


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(p.name for p in paths)


def _nothing_found(source: Path, matches: Matches) -> str:
    if source.is_file():
        return f"The table '{source.name}' has no image with labels. Fill in both columns."
    text = f"No image with labels in '{source}'. {_LOOKED_FOR}."
    if matches.skipped:
        seen = "; ".join(f"'{p.name}': {reason}" for p, reason in matches.skipped[:3])
        text += f" Found: {seen}" + (" ..." if len(matches.skipped) > 3 else ".")
    for folder in sorted(p for p in source.iterdir() if p.is_dir()):
        if (folder / "images").is_dir() and any((folder / n).is_dir() for n in _LABEL_FOLDERS):
            return f"{text} '{folder}' has such folders: choose it."
    return text
