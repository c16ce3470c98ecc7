"""Download of a data set, complete or not at all."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from napari_unet.core.errors import Cancelled, StorageError, UNetError
from napari_unet.core.system.atomic_files import atomic_path, storage_error
from napari_unet.samples.dsb2018 import train_folder

if TYPE_CHECKING:
    from napari_unet.samples.dsb2018 import Source

__all__ = ["DownloadError", "Transfer", "discard_unfinished", "fetch"]

_DOWNLOADS = ".napari-unet-downloads"
_CHUNK_BYTES = 1 << 17
_TIMEOUT_S = (10.0, 30.0)  # to connect; between packets


class DownloadError(UNetError):
    """A data set could not be downloaded: no network, an interruption or unexpected content."""


@dataclass
class Transfer:
    """Progress of a download and a request to stop it.

    pooch updates it like a progress bar; another thread may read it.
    """

    total: int = 0
    done: int = 0
    received: int = 0
    stopped: bool = False

    def update(self, n_bytes: int) -> None:
        """Count received bytes; pooch reports a whole chunk even for the last, shorter one."""
        if self.stopped:
            raise Cancelled("The download was stopped; nothing was kept.")
        self.done = min(self.done + n_bytes, self.total or self.done + n_bytes)
        self.received = max(self.received, self.done)

    def reset(self) -> None:
        """Reset the counter, as pooch does at the end."""
        self.done = 0

    def close(self) -> None:
        """Leave the progress bar open: its owner closes it."""

    def __str__(self) -> str:
        megabytes = f"{self.received / 1e6:.0f}"
        return f"{megabytes} of {self.total / 1e6:.0f} MB" if self.total else f"{megabytes} MB"


def fetch(origin: Source, folder: Path, transfer: Transfer) -> Path:
    """Download and unpack a data set, unless it already exists.

    The archive is written to a temporary file and renamed after its sha256 was checked; it is
    unpacked into a temporary folder that is renamed when complete. An archive that could not be
    unpacked, for example because the disk is full, is kept for the next try.

    Parameters
    ----------
    origin
        Address and sha256.
    folder
        Folder of data sets; created if it does not exist.
    transfer
        Progress in bytes; set its `stopped` to end the download.

    Returns
    -------
    Path
        Folder of the labelled images.

    Raises
    ------
    DownloadError
        If there is no network, the download is interrupted, or the file is not the expected one.
    StorageError
        If the folder cannot be written.
    Cancelled
        If the download was stopped.
    """
    train = train_folder(folder)
    exist = [(train / name).is_dir() for name in ("images", "masks")]
    if any(exist) and not all(exist):
        raise StorageError(
            f"'{train}' contains only one of the folders images and masks. Delete it to download "
            "both again, or restore the other one."
        )
    if not any(exist):
        archive = _download(origin, folder / _DOWNLOADS, transfer)
        _unpack(archive, folder / "dsb2018")
        with suppress(OSError):
            archive.unlink()
            archive.parent.rmdir()  # fails if another napari is downloading
    return train


def _download(origin: Source, folder: Path, transfer: Transfer) -> Path:
    import pooch
    import requests

    # Uncompressed transfer, so that received bytes match Content-Length and the hash.
    web = pooch.HTTPDownloader(
        progressbar=transfer,
        chunk_size=_CHUNK_BYTES,
        timeout=_TIMEOUT_S,
        headers={"Accept-Encoding": "identity"},
    )
    try:
        path = pooch.retrieve(
            origin.url, f"sha256:{origin.sha256}", "dsb2018.zip", folder, downloader=web
        )
    except requests.HTTPError as error:
        raise DownloadError(_refused(origin, error)) from error
    except requests.RequestException as error:
        problem = _cut_off(transfer) if transfer.received else _unreachable(origin)
        raise DownloadError(problem) from error
    except OSError as error:
        raise _unwritable(error, folder) from error
    except ValueError as error:  # the sha256 differs
        cut_off = transfer.received < transfer.total
        problem = _cut_off(transfer) if cut_off else _not_the_file(origin)
        raise DownloadError(problem) from error
    return Path(path)


def discard_unfinished(folder: Path) -> None:
    """Remove the temporary file of an interrupted download."""
    for unfinished in (folder / _DOWNLOADS).glob("tmp*"):
        with suppress(OSError):
            unfinished.unlink()


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack the folder of the same name from the archive, completely or not at all."""
    try:
        with atomic_path(folder) as temporary, zipfile.ZipFile(archive) as packed:
            packed.extractall(temporary)
            inner = temporary / folder.name
            if not (inner / "train" / "images").is_dir():
                raise DownloadError(
                    f"'{archive}' does not contain {folder.name}/train/images, so it is not the "
                    "expected archive. Please report this."
                )
            _lift(inner, temporary)
    except zipfile.BadZipFile as error:
        archive.unlink(missing_ok=True)
        raise DownloadError(
            f"'{archive}' cannot be unpacked ({error}) and was removed. Try again."
        ) from error
    except StorageError:
        # Another napari may have been faster.
        if not (folder / "train" / "images").is_dir():
            raise


def _lift(inner: Path, outer: Path) -> None:
    for part in inner.iterdir():
        part.rename(outer / part.name)
    inner.rmdir()


def _unwritable(error: OSError, folder: Path) -> StorageError:
    # pooch raises a PermissionError without an error number from the original one.
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return StorageError(
        f"{storage_error(cause, folder)} Change the data folder in napari's preferences (U-Net "
        "live, Files) or, before napari 0.9, with the environment variable "
        "NAPARI_UNET_DATA_FOLDER."
    )


def _server(origin: Source) -> str:
    return urlsplit(origin.url).netloc


def _unreachable(origin: Source) -> str:
    return (
        f"{origin.name} could not be downloaded: there is no connection to {_server(origin)}. "
        "Check the network (and the proxy, if there is one), then try again."
    )


def _refused(origin: Source, error: Exception) -> str:
    return (
        f"{origin.name} could not be downloaded: {_server(origin)} answered '{error}'. Try again "
        "later."
    )


def _cut_off(transfer: Transfer) -> str:
    return f"The download was interrupted after {transfer}. Nothing was kept. Try again."


def _not_the_file(origin: Source) -> str:
    return (
        f"{_server(origin)} did not send {origin.name}: expected a file with the sha256 "
        f"{origin.sha256[:12]}…. Nothing was kept. Try again; if that does not help, a proxy or a "
        "virus scanner may be changing the file."
    )
