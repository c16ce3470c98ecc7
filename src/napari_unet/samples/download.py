"""Downloading a data set: all of it or nothing, and every failure in a sentence."""

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
_TIMEOUT_S = (10.0, 30.0)  # to connect; of silence


class DownloadError(UNetError):
    """A data set could not be downloaded: no network, cut off, or not what was expected."""


@dataclass
class Transfer:
    """How far a download is, and whether it should stop.

    pooch drives it as a progress bar; another thread reads it.
    """

    total: int = 0
    done: int = 0
    received: int = 0
    stopped: bool = False

    def update(self, n_bytes: int) -> None:
        """Count a piece that arrived; pooch gives the size of a whole chunk even for the last."""
        if self.stopped:
            raise Cancelled("The download was stopped; nothing of it was kept.")
        self.done = min(self.done + n_bytes, self.total or self.done + n_bytes)
        self.received = max(self.received, self.done)

    def reset(self) -> None:
        """Begin to count anew, as pooch does once everything has arrived."""
        self.done = 0

    def close(self) -> None:
        """Do nothing: whoever shows the progress closes what shows it."""

    def __str__(self) -> str:
        megabytes = f"{self.received / 1e6:.0f}"
        return f"{megabytes} of {self.total / 1e6:.0f} MB" if self.total else f"{megabytes} MB"


def fetch(origin: Source, folder: Path, transfer: Transfer) -> Path:
    """Download and unpack a data set, unless it is there.

    The archive is written beside its place, its sha256 compared, and only then given its name;
    it is unpacked beside the place of the data set, which gets its name when complete. An archive
    that was downloaded and could not be unpacked (a full disk) is kept for the next try.

    Parameters
    ----------
    origin
        Address and sha256.
    folder
        Where data sets are kept; made where it is missing.
    transfer
        Progress in bytes; setting `stopped` ends the download.

    Returns
    -------
    Path
        Folder of the labelled images.

    Raises
    ------
    DownloadError
        No network, an answer that is not the file, cut off, or a wrong sha256.
    StorageError
        When the folder cannot be written.
    Cancelled
        When it was stopped.
    """
    train = train_folder(folder)
    there = [(train / name).is_dir() for name in ("images", "masks")]
    if any(there) and not all(there):
        raise StorageError(
            f"'{train}' holds only one of the folders images and masks. Delete it to have both "
            "downloaded again, or put the other one back."
        )
    if not any(there):
        archive = _download(origin, folder / _DOWNLOADS, transfer)
        _unpack(archive, folder / "dsb2018")
        with suppress(OSError):
            archive.unlink()
            archive.parent.rmdir()  # not while another napari downloads
    return train


def _download(origin: Source, folder: Path, transfer: Transfer) -> Path:
    import pooch
    import requests

    # The bytes as they are: counted against Content-Length, hashed as they come.
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
    """Remove what an interrupted download left: pooch's temporary file."""
    for unfinished in (folder / _DOWNLOADS).glob("tmp*"):
        with suppress(OSError):
            unfinished.unlink()


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack what the archive holds below the name of `folder`, all or nothing."""
    try:
        with atomic_path(folder) as temporary, zipfile.ZipFile(archive) as packed:
            packed.extractall(temporary)
            inner = temporary / folder.name
            if not (inner / "train" / "images").is_dir():
                raise DownloadError(
                    f"'{archive}' holds no {folder.name}/train/images: it is another archive than "
                    "expected. Please report it."
                )
            _lift(inner, temporary)
    except zipfile.BadZipFile as error:
        archive.unlink(missing_ok=True)
        raise DownloadError(
            f"'{archive}' cannot be unpacked ({error}) and was removed. Try again."
        ) from error
    except StorageError:
        # Another napari may have been quicker.
        if not (folder / "train" / "images").is_dir():
            raise


def _lift(inner: Path, outer: Path) -> None:
    for part in inner.iterdir():
        part.rename(outer / part.name)
    inner.rmdir()


def _unwritable(error: OSError, folder: Path) -> StorageError:
    # pooch raises a PermissionError of its own, which has no number, from the real one.
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    return StorageError(
        f"{storage_error(cause, folder)} The folder for sample data is set in napari's preferences "
        "(U-Net live, Files) or, where napari is older, by the variable NAPARI_UNET_DATA_FOLDER."
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
    return f"The download was cut off after {transfer}. Nothing of it was kept. Try again."


def _not_the_file(origin: Source) -> str:
    return (
        f"What {_server(origin)} sent is not {origin.name}: its sha256 is not the expected one "
        f"({origin.sha256[:12]}...). Nothing of it was kept. If trying again does not help, "
        "something between that server and this computer changes the file."
    )
