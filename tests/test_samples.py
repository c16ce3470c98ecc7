"""Samples under File > Open Sample: their layers, their origin and errors of the download."""

import csv
import errno
import hashlib
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager

from napari_unet import samples
from napari_unet.core.errors import Cancelled, StorageError
from napari_unet.samples import background, download, dsb2018
from napari_unet.samples.download import DownloadError, Transfer, fetch

PLUGIN = "napari-unet-live"
SHAPE = (24, 32)


def archive_of(ids: list[str]) -> bytes:
    """Build a small archive with the layout of the real one; incompressible to have some size."""
    rng = np.random.default_rng(0)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for part in ("train", "test"):
            for name in ids:
                image, labels = io.BytesIO(), io.BytesIO()
                tifffile.imwrite(image, rng.integers(0, 255, SHAPE, np.uint8))
                tifffile.imwrite(labels, rng.integers(0, 3, SHAPE).astype(np.uint16))
                archive.writestr(f"dsb2018/{part}/images/{name}.tif", image.getvalue())
                archive.writestr(f"dsb2018/{part}/masks/{name}.tif", labels.getvalue())
        archive.writestr("dsb2018/ballast.bin", rng.bytes(600_000))
    return packed.getvalue()


@dataclass
class Server:
    """A web server on this computer that can misbehave on request."""

    archive: bytes
    does: str = "serve"  # serve | wrong | cut | missing | crawl
    requests: int = 0
    url: str = ""
    proceed: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        if self.does == "missing":
            handler.send_error(404)
            return
        body = self.archive[::-1] if self.does == "wrong" else self.archive
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        half = len(body) // 2
        handler.wfile.write(body[:half])
        if self.does == "cut":
            return
        if self.does == "crawl":
            self.proceed.wait(10)
        handler.wfile.write(body[half:])


@pytest.fixture
def server() -> Iterator[Server]:
    ids = [dsb2018.source().field, dsb2018.source().tissue, *dsb2018.source().training]
    serving = Server(archive_of(ids))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):  # the client hung up
                serving.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        serving.url = f"http://127.0.0.1:{web.server_port}/dsb2018.zip"
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield serving
        serving.proceed.set()
        web.shutdown()
        thread.join()


@pytest.fixture
def origin(server: Server) -> dsb2018.Source:
    sha256 = hashlib.sha256(server.archive).hexdigest()
    return replace(dsb2018.source(), url=server.url, sha256=sha256)


@pytest.fixture
def here(origin: dsb2018.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Data folder of the commands, which download from the server on this computer."""
    folder = tmp_path / "data"
    monkeypatch.delenv(dsb2018.ENVIRONMENT, raising=False)
    monkeypatch.setenv("NAPARI_UNET_DATA_FOLDER", str(folder))
    monkeypatch.setattr(dsb2018, "source", lambda: origin)
    notification_manager.records.clear()
    yield folder
    notification_manager.records.clear()


def files_below(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


# Layers.


def test_synthetic_nuclei_come_with_exact_labels_and_a_pixel_size() -> None:
    (image, options, kind), (labels, label_options, label_kind) = samples.synthetic()
    assert (kind, label_kind) == ("image", "labels")
    assert image.shape == labels.shape == (512, 512)
    assert len(np.unique(labels)) == labels.max() + 1 > 100
    assert image[labels > 0].mean() > 2 * image[labels == 0].mean()
    assert options["scale"] == label_options["scale"] == (0.5, 0.5)
    assert options["units"] == ("micrometer", "micrometer")


def test_offline_samples_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert len(samples.synthetic()) == 2
    ((image, options, kind),) = samples.immunohistochemistry()
    assert kind == "image"
    assert options["rgb"] is True
    assert (image.shape, image.dtype) == ((512, 512, 3), np.uint8)
    assert "CMMI" in options["metadata"]["sample"]["citation"]


@pytest.mark.parametrize(
    ("command", "shape", "objects"),
    [
        (samples.dsb2018_field, (520, 696), 130),
        (samples.dsb2018_tissue, (512, 640), 54),
        (samples.dsb2018_training, (16, 520, 696), 2433),
    ],
)
def test_real_nuclei_open_from_the_named_folder(
    dsb2018: Path, monkeypatch: pytest.MonkeyPatch, command: Any, shape: tuple, objects: int
) -> None:
    monkeypatch.setenv("NAPARI_UNET_DATA", str(dsb2018.parents[1]))
    (image, options, kind), (labels, label_options, label_kind) = command()
    assert (kind, label_kind) == ("image", "labels")
    assert image.shape == labels.shape == shape
    assert label_options["name"] == f"{options['name']} truth"
    assert options["axis_labels"] == tuple("NYX"[-len(shape) :])
    planes = labels.reshape(-1, *shape[-2:])
    assert sum(len(np.unique(plane)) - 1 for plane in planes) == objects
    about = options["metadata"]["sample"]
    assert about["licence"].startswith("CC0")
    assert "Caicedo" in about["citation"]
    assert len(about["ids"]) == len(planes)


def test_nothing_of_the_single_fields_is_in_the_training_stack(dsb2018: Path) -> None:
    with (dsb2018 / "fields.csv").open(encoding="utf-8", newline="") as file:
        field_of = {row["id"]: row["field"] for row in csv.DictReader(file)}
    origin = samples.dsb2018.source()
    trained = [field_of[i] for i in origin.training]
    assert len(set(trained)) == len(trained)
    assert not {field_of[origin.field], field_of[origin.tissue]} & set(trained)


def test_a_named_folder_without_the_images_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_UNET_DATA", str(tmp_path))
    with pytest.raises(
        StorageError, match=r"does not contain dsb2018/train/images.*unset it to download"
    ):
        samples.dsb2018_field()


# Download.


def test_download_is_complete_checked_and_done_once(
    server: Server, origin: dsb2018.Source, tmp_path: Path
) -> None:
    transfer = Transfer()
    train = fetch(origin, tmp_path / "data", transfer)
    assert transfer.total == transfer.received == len(server.archive)
    assert train == tmp_path / "data" / "dsb2018" / "train"
    assert len(list((train / "images").iterdir())) == 18
    assert fetch(origin, tmp_path / "data", Transfer()) == train
    assert server.requests == 1
    tops = {path.split("/")[0] for path in files_below(tmp_path / "data")}
    assert tops == {"dsb2018"}, "neither the archive nor a temporary file stays behind"


def test_an_incomplete_data_set_is_reported_and_not_downloaded_repeatedly(
    server: Server, origin: dsb2018.Source, tmp_path: Path
) -> None:
    (tmp_path / "dsb2018" / "train" / "images").mkdir(parents=True)
    with pytest.raises(StorageError, match=r"only one of the folders images and masks\. Delete it"):
        fetch(origin, tmp_path, Transfer())
    assert server.requests == 0


@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        (
            "wrong",
            r"did not send DSB2018 nuclei: expected a file with the sha256.*Nothing was kept",
        ),
        ("cut", r"The download was interrupted after 0 of 1 MB\. Nothing was kept\. Try again"),
        ("missing", r"127\.0\.0\.1:\d+ answered '404.*Try again later"),
    ],
)
def test_failed_download_names_the_reason_keeps_nothing_and_can_be_retried(
    server: Server, origin: dsb2018.Source, tmp_path: Path, does: str, sentence: str
) -> None:
    server.does = does
    with pytest.raises(DownloadError, match=sentence):
        fetch(origin, tmp_path, Transfer())
    assert files_below(tmp_path) == set()
    server.does = "serve"
    assert (fetch(origin, tmp_path, Transfer()) / "masks").is_dir()


def test_a_missing_network_is_reported_and_can_be_retried(
    origin: dsb2018.Source, tmp_path: Path
) -> None:
    with socket.socket() as unused:  # bound and not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        unreachable = replace(origin, url=f"http://127.0.0.1:{port}/dsb2018.zip")
        with pytest.raises(DownloadError, match=f"no connection to 127.0.0.1:{port}.*Check the"):
            fetch(unreachable, tmp_path, Transfer())
    assert files_below(tmp_path) == set()
    assert (fetch(origin, tmp_path, Transfer()) / "masks").is_dir()


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that cannot be written to, not even by root."""
    import requests  # noqa: F401  (import before the change of user, who cannot read it)

    # Not below pytest's folder, which other users cannot enter.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o555)
        was_root = hasattr(os, "geteuid") and os.geteuid() == 0
        if was_root:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            if was_root:
                os.seteuid(0)
            Path(name).chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="folder permissions differ on Windows")
@pytest.mark.parametrize("below", ["", "data"])
def test_a_read_only_folder_is_reported(
    server: Server, origin: dsb2018.Source, read_only: Path, below: str
) -> None:
    with pytest.raises(StorageError, match=r"Cannot write '.*no permission.*preferences"):
        fetch(origin, read_only / below, Transfer())
    assert server.requests == 0


def test_full_disk_while_unpacking_keeps_the_archive_for_the_next_try(
    server: Server, origin: dsb2018.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_self: zipfile.ZipFile, path: Path) -> None:
        Path(path).mkdir()
        (Path(path) / "half.tif").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(zipfile.ZipFile, "extractall", fill)
        with pytest.raises(StorageError, match="the disk is full"):
            fetch(origin, tmp_path, Transfer())
    assert files_below(tmp_path) == {".napari-unet-downloads/dsb2018.zip"}
    assert (fetch(origin, tmp_path, Transfer()) / "masks").is_dir()
    assert server.requests == 1


def test_other_files_in_the_data_folder_stay(
    server: Server, origin: dsb2018.Source, tmp_path: Path
) -> None:
    before = {"downloads/thesis.txt", "Downloads/tmp.txt", ".napari-unet-downloads/tmp_other"}
    for name in before:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    fetch(origin, tmp_path, Transfer())
    assert {f for f in files_below(tmp_path) if not f.startswith("dsb2018/")} == before


def test_stopped_download_keeps_nothing(
    server: Server, origin: dsb2018.Source, tmp_path: Path
) -> None:
    class Impatient(Transfer):
        def update(self, n_bytes: int) -> None:
            super().update(n_bytes)
            self.stopped = self.received > 200_000

    with pytest.raises(Cancelled, match="nothing was kept"):
        fetch(origin, tmp_path, Impatient())
    assert files_below(tmp_path) == set()


def test_a_script_waits_for_the_download_and_gets_the_layers(server: Server, here: Path) -> None:
    (image, options, _), _ = samples.dsb2018_training()
    assert image.shape == (16, *SHAPE)
    assert options["metadata"]["sample"]["licence"].startswith("CC0")
    assert (here / "dsb2018" / "test" / "images").is_dir()


def test_a_script_gets_an_exception_that_offers_the_synthetic_sample(
    server: Server, here: Path
) -> None:
    server.does = "missing"
    with pytest.raises(DownloadError, match=r"answered '404.*Synthetic nuclei needs no download"):
        samples.dsb2018_field()


# In napari, from the menu.


@pytest.fixture
def viewer(make_napari_viewer: Any, here: Path) -> Any:
    return make_napari_viewer(show=False)


def open_from_menu(qtbot: Any, viewer: Any, *keys: str) -> None:
    """Open samples from inside Qt's event loop, as a menu entry does."""
    from qtpy.QtCore import QTimer

    done: list[str] = []

    def trigger() -> None:
        for key in keys:
            try:
                viewer.open_sample(PLUGIN, key)
            except Exception as error:  # as napari's excepthook does
                notification_manager.receive_error(type(error), error)
            done.append(key)

    QTimer.singleShot(0, trigger)
    qtbot.waitUntil(lambda: len(done) == len(keys))


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def messages() -> list[str]:
    return [record.message for record in notification_manager.records]


def errors() -> list[Any]:
    return [r for r in notification_manager.records if str(r.severity) == "error"]


def test_napari_is_usable_while_a_sample_is_downloaded(
    server: Server, here: Path, viewer: Any, qtbot: Any
) -> None:
    from qtpy.QtCore import QTimer

    server.does = "crawl"
    open_from_menu(qtbot, viewer, "dsb2018_field", "dsb2018_training", "dsb2018_field")
    assert names(viewer) == [
        "DSB2018 field: downloading",
        "DSB2018 training: downloading",
        "DSB2018 field: downloading [1]",
    ]
    beats = []
    heart = QTimer(interval=10, timeout=lambda: beats.append(time.perf_counter()))
    heart.start()
    qtbot.wait(600)
    heart.stop()
    assert max(np.diff(beats)) < 1, "the window froze"
    assert any("Downloading DSB2018 nuclei once, to" in message for message in messages())
    server.proceed.set()
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=10_000)
    assert names(viewer) == [
        "DSB2018 field",
        "DSB2018 field truth",
        "DSB2018 training",
        "DSB2018 training truth",
    ]
    assert viewer.layers[0].source.sample == (PLUGIN, "dsb2018_field")
    assert server.requests == 1
    assert any("CC0" in message and "Caicedo" in message for message in messages())


def test_a_failed_download_is_reported_with_alternatives(
    server: Server, here: Path, viewer: Any, qtbot: Any
) -> None:
    server.does = "missing"
    open_from_menu(qtbot, viewer, "dsb2018_field")
    qtbot.waitUntil(lambda: any("answered '404" in message for message in messages()))
    assert names(viewer) == []
    (failure,) = errors()
    assert "Synthetic nuclei needs no download" in failure.message
    ways = dict(failure.actions)
    ways["Synthetic"](None)
    assert names(viewer) == ["synthetic nuclei", "synthetic nuclei truth"]
    server.does = "serve"
    ways["Try again"](None)
    assert "DSB2018 field" in viewer.layers


def test_a_wrong_folder_is_reported_with_alternatives(
    server: Server, here: Path, viewer: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_UNET_DATA", str(here))
    open_from_menu(qtbot, viewer, "dsb2018_tissue")
    (failure,) = errors()
    assert "does not contain dsb2018/train/images" in failure.message
    assert [way for way, _ in failure.actions] == ["Try again", "Synthetic"]
    assert len(viewer.layers) == 0


def test_a_sample_is_not_opened_after_its_placeholder_was_removed(
    server: Server, here: Path, viewer: Any, qtbot: Any
) -> None:
    server.does = "crawl"
    open_from_menu(qtbot, viewer, "dsb2018_field", "dsb2018_tissue")
    del viewer.layers["DSB2018 field: downloading"]
    server.proceed.set()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=10_000)
    assert names(viewer) == ["DSB2018 tissue", "DSB2018 tissue truth"]


def test_cancel_in_the_activity_dialog_stops_the_download(
    server: Server, here: Path, viewer: Any, qtbot: Any
) -> None:
    server.does = "crawl"
    open_from_menu(qtbot, viewer, "dsb2018_field")
    (running,) = background._Download.running.values()
    qtbot.waitUntil(lambda: running._transfer.received > 0)
    running._bar.cancel()
    qtbot.waitUntil(lambda: running._transfer.stopped)
    server.proceed.set()
    qtbot.waitUntil(lambda: not background._Download.running, timeout=10_000)
    assert any("was stopped; nothing was kept" in message for message in messages())
    assert files_below(here) == set()
    assert len(viewer.layers) == 0


def test_closing_the_viewer_during_a_download_leaves_no_trace(
    server: Server, here: Path, viewer: Any, qtbot: Any
) -> None:
    server.does = "crawl"
    open_from_menu(qtbot, viewer, "dsb2018_field")
    viewer.close()
    qtbot.wait(300)
    server.proceed.set()
    qtbot.waitUntil(lambda: not background._Download.running, timeout=10_000)
    assert errors() == []
    assert not [t for t in threading.enumerate() if t.name == "napari-unet download"]
    assert all(path.startswith("dsb2018/") for path in files_below(here))


QUIT_DURING_DOWNLOAD = """
import dataclasses, sys, napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_unet.samples import background, dsb2018
origin = dataclasses.replace(dsb2018.source(), url=sys.argv[1])
dsb2018.source = lambda: origin
viewer = napari.Viewer(show=False)
QTimer.singleShot(0, lambda: viewer.open_sample("napari-unet-live", "dsb2018_field"))

def quit_during_download():
    if any(download._transfer.received for download in background._Download.running.values()):
        QApplication.quit()

timer = QTimer(interval=50, timeout=quit_during_download)
timer.start()
napari.run(force=True)
print("ended")
"""


def test_napari_quits_at_once_though_the_server_is_silent(server: Server, here: Path) -> None:
    server.does = "crawl"
    command = [sys.executable, "-c", QUIT_DURING_DOWNLOAD, server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.endswith("ended\n")
    assert "Traceback" not in done.stderr
    assert server.requests == 1
    assert files_below(here) == set()


@pytest.mark.parametrize("key", ["synthetic", "immunohistochemistry"])
def test_offline_samples_open_in_napari(viewer: Any, key: str) -> None:
    layers = viewer.open_sample(PLUGIN, key)
    assert layers[0].source.sample == (PLUGIN, key)
    assert layers[0].metadata["sample"]["licence"]


def test_the_download_has_the_expected_address_and_checksum() -> None:
    origin = dsb2018.source()
    assert origin.url.endswith("/stardist/releases/download/0.1.0/dsb2018.zip")
    assert len(bytes.fromhex(origin.sha256)) == 32
    assert download.train_folder(Path("x")) == Path("x/dsb2018/train")
