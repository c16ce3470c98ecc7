"""Atomic file writes: a reader sees either the old content or the new, never a part."""

from __future__ import annotations

import csv
import errno
import io
import os
import shutil
import unicodedata
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from napari_unet.core.errors import StorageError

__all__ = [
    "atomic_path",
    "atomic_write_bytes",
    "atomic_write_csv",
    "atomic_write_text",
    "checked_file",
    "csv_writer",
    "exists",
    "file_key",
    "remove",
    "remove_empty",
    "storage_error",
]

_REASONS = {
    errno.ENOSPC: "the disk is full. Free some space, or choose another folder",
    errno.EDQUOT: "your disk quota is used up. Free some space, or choose another folder",
    errno.EFBIG: "the file would be larger than this file system allows. Choose another disk",
    errno.EACCES: "you have no permission to write there. Choose another folder",
    errno.EPERM: "you have no permission to write there. Choose another folder",
    errno.EROFS: "the folder is read-only. Choose another folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder. Choose another folder",
    errno.EEXIST: "a part of the path is a file, not a folder. Choose another folder",
    errno.EISDIR: "a folder of that name exists. Choose another name",
    errno.ENOTEMPTY: "a folder of that name exists. Choose another name",
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one",
}

_OPEN_ELSEWHERE = (5, 32)
"""Windows errors if a table is open in Excel: access denied, sharing violation."""


@contextmanager
def atomic_path(
    path: str | os.PathLike[str], *, folder_markers: Collection[str] = ()
) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it if the block succeeds.

    The block may write a file or create a folder there. If it fails, its output is removed and
    `path` is left unchanged. Missing parent folders are created.

    Parameters
    ----------
    path
        Path of the result.
    folder_markers
        Names of files that mark folders which may be replaced: a folder without any of them is only
        replaced if it is empty.

    Yields
    ------
    Path
        Path with the same suffix in the same folder, which does not exist yet.

    Raises
    ------
    StorageError
        If the path cannot be written: the disk is full, permission is missing, a parent is not a
        folder, or a folder of that name has other contents.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem[:40]}.{uuid.uuid4().hex[:8]}.part{path.suffix}")
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _put_in_place(temporary, path, folder_markers)
    except OSError as error:
        raise storage_error(error, path) from error
    finally:
        remove(temporary)
        remove_empty(missing)


@contextmanager
def checked_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for NumPy and tifffile to write into.

    NumPy writes to a plain file through its own buffer, and silently loses the last kilobytes if
    the disk is full; so does tifffile when it closes a file. Here, every byte passes through
    Python, which raises an error.
    """
    with path.open("w+b", buffering=0) as raw, _FileWithoutNumber(raw) as file:
        yield file


class _FileWithoutNumber(io.BufferedRandom):
    def fileno(self) -> int:
        raise io.UnsupportedOperation


def atomic_write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write bytes to `path` atomically; raises `StorageError`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text to `path` atomically; raises `StorageError`."""
    atomic_write_bytes(path, text.encode("utf-8"))


def atomic_write_csv(
    path: str | os.PathLike[str],
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str] | None = None,
) -> None:
    """Write rows as CSV atomically.

    Characters that UTF-8 cannot encode (in old file names) become question marks.

    Parameters
    ----------
    path
        The CSV file.
    rows
        One mapping per row; missing values are left blank. With `columns`, rows are written one by
        one and need not all be in memory.
    columns
        Column names in order. None: every key of `rows`, in order of appearance. Specify them if
        `rows` may be empty: the file then has only a header.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    if columns is None:
        rows = list(rows)
        columns = list(dict.fromkeys(key for row in rows for key in row))
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="replace", newline="") as file,
    ):
        writer = csv_writer(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def csv_writer(file: TextIO, columns: Sequence[str]) -> csv.DictWriter[str]:
    """Return a writer of table rows, in the CSV dialect that all tables of this project use."""
    return csv.DictWriter(file, fieldnames=columns, restval="", lineterminator="\n")


def exists(path: Path) -> bool:
    """Return whether a path exists; one too long for the file system does not."""
    try:
        return path.exists()
    except OSError:
        return False


def file_key(name: str) -> str:
    """Return a key that is the same for names that macOS or Windows treat as equal."""
    return unicodedata.normalize("NFC", name).casefold()


def _put_in_place(temporary: Path, path: Path, folder_markers: Collection[str]) -> None:
    if not (temporary.is_dir() and path.is_dir()):
        temporary.replace(path)
        return
    # A folder cannot replace a folder in one step: move the old one aside for a moment.
    if any(path.iterdir()) and not any((path / m).exists() for m in folder_markers):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(path))
    old = path.with_name(f".{path.stem[:40]}.{uuid.uuid4().hex[:8]}.old")
    path.replace(old)
    try:
        temporary.replace(path)
    except OSError:
        old.replace(path)
        raise
    remove(old)


def remove(path: Path) -> None:
    """Remove a file, or a folder and everything in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists() or path.is_symlink():
        path.unlink(missing_ok=True)


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that are empty, the innermost first."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # not empty, or never created
            return


def storage_error(error: OSError, path: Path) -> StorageError:
    """Describe in a sentence why a path cannot be written."""
    # NumPy reports a full disk only by the number of bytes: "90000 requested and 9872 written".
    if getattr(error, "winerror", None) in _OPEN_ELSEWHERE:
        return StorageError(
            f"Cannot write '{path}': it is open in another program, or you have no permission. "
            "Close it there, or choose another folder."
        )
    number = errno.ENOSPC if "requested and" in str(error) else error.errno or 0
    reason = _REASONS.get(number, f"{error.strerror or error}. Choose another folder")
    return StorageError(f"Cannot write '{path}': {reason}.")
