"""Groups of images that a split keeps together, from a table, a folder or a name."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_unet.core.datasets.folder_layouts import delimiter_of, read_table
from napari_unet.core.datasets.matched_files import MatchedFiles
from napari_unet.core.errors import SettingsError
from napari_unet.core.io.formats import bare_name
from napari_unet.core.system.atomic_files import atomic_write_text

__all__ = ["note_group", "read_column", "read_groups", "with_groups"]

_NAMES = ("id", "name", "image")
_GROUPS = ("field", "group")


def with_groups(
    matches: list[MatchedFiles], groups: Path | str | None = None, pattern: str | None = None
) -> list[MatchedFiles]:
    """Add its group to each image.

    Parameters
    ----------
    matches
        Images with their labels.
    groups
        Path of a CSV table with the columns id (or name, or image) and group (or field); or
        ``"folder"`` to group images by their folder.
    pattern
        Regular expression that matches the group in a name: its first capture group, or the whole
        match.

    Raises
    ------
    SettingsError
        If an image has no group, or both `groups` and `pattern` are set.
    """
    if groups is not None and pattern is not None:
        raise SettingsError("Groups come from a table or from a pattern: choose one of the two.")
    if pattern is not None:
        found = [_group_in_name(pattern, m.name) for m in matches]
    elif groups == "folder":
        found = _folders(matches)
    elif groups is not None:
        table = read_groups(Path(groups))
        found = [table.get(m.name) or table.get(bare_name(m.path)) for m in matches]
    else:
        return matches
    without = [m.name for m, group in zip(matches, found, strict=True) if not group]
    if without:
        raise SettingsError(
            f"{len(without)} of {len(matches)} images have no group, for example "
            f"'{without[0]}': expected one for each. Complete the table or change the pattern."
        )
    return [replace(m, group=group) for m, group in zip(matches, found, strict=True)]


def read_groups(path: Path) -> dict[str, str]:
    """Read the group of each image from a CSV table, keyed by image name; see `with_groups`.

    Raises
    ------
    SettingsError
        As for `read_column`.
    """
    return read_column(path, _GROUPS, "group (or field)", "to the groups")


def note_group(path: Path, name: str, group: str) -> None:
    """Write the group of an image into a table for `read_groups`, which is created if missing.

    Its other rows and columns stay unchanged.
    """
    text = path.read_text(encoding="utf-8-sig") if path.is_file() else "name,group\n"
    delimiter = delimiter_of(text)
    header, *rows = csv.reader(text.splitlines(), delimiter=delimiter)
    columns = [column.strip().lower() for column in header]
    at, to = (columns.index(next(c for c in known if c in columns)) for known in (_NAMES, _GROUPS))
    rows = [row + [""] * (len(header) - len(row)) for row in rows if row]
    own = next((row for row in rows if bare_name(Path(row[at].strip())) == name), None)
    if own is None:
        own = [""] * len(header)
        rows.append(own)
        own[at] = name
    own[to] = group
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    atomic_write_text(path, written.getvalue())


def read_column(path: Path, columns: Sequence[str], expected: str, places: str) -> dict[str, str]:
    """Read one column of a CSV table, keyed by image name.

    Parameters
    ----------
    path
        Path of the table; its column id (or name, or image) names the image.
    columns
        Possible names of the column; the first that exists is used.
    expected, places
        Phrases for messages: the name of the column, and where it assigns images to.

    Raises
    ------
    SettingsError
        If a column is missing, or an image has two values.
    """
    rows = read_table(path)
    there = list(rows[0]) if rows else []
    name = next((c for c in _NAMES if c in there), None)
    column = next((c for c in columns if c in there), None)
    if name is None or column is None:
        raise SettingsError(
            f"The table '{path.name}' has the columns {', '.join(there) or 'none'}: expected id "
            f"(or name, image) and {expected}."
        )
    found: dict[str, str] = {}
    for row in rows:
        image = bare_name(Path(row[name]))
        if found.setdefault(image, row[column]) != row[column]:
            raise SettingsError(
                f"The table '{path.name}' assigns '{image}' {places} {found[image]!r} and "
                f"{row[column]!r}: expected one. Correct the table."
            )
    return found


def _folders(matches: list[MatchedFiles]) -> list[str | None]:
    """Return the folder of each image as its group; for ``<id>/images``, the folder above."""
    folders = [m.path.parent for m in matches]
    if all(f.name in ("images", "image") for f in folders):
        folders = [f.parent for f in folders]
    if len(matches) > 1 and len(set(folders)) == 1:
        raise SettingsError(
            f"All {len(matches)} images are in the folder '{folders[0]}', which would be their "
            "only group. Use a table or a pattern instead (--groups TABLE, --group-pattern)."
        )
    return [str(f) for f in folders]


def _group_in_name(pattern: str, name: str) -> str | None:
    try:
        match = re.search(pattern, name)
    except re.error as error:
        raise SettingsError(
            f"The group pattern {pattern!r} is not a regular expression ({error}): for example, "
            "'^(.+)_tile' matches the part before '_tile'."
        ) from error
    return match and (match.group(1) if match.re.groups else match.group())
