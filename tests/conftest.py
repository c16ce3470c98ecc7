"""Fixtures for all tests: a seeded generator, real images and a shared engine."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from napari_unet.compute import Engine
from napari_unet.compute.engine import results_folder

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

pytest_plugins = ["leaks"]

# No deadline, so that a busy machine does not fail tests; in CI, the same examples every time.
hypothesis.settings.register_profile("here", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("here")


def _real_data(*parts: str) -> Path:
    folder = SHARED.joinpath(*parts)
    if folder.is_dir():
        return folder
    reason = f"needs real images in ../shared/{'/'.join(parts)} beside the repository"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random number generator with a fixed seed."""
    return np.random.default_rng(2018)


@pytest.fixture(scope="session")
def dsb2018() -> Path:
    """Folder of fluorescence images of nuclei: images/, masks/ and fields.csv."""
    return _real_data("dsb2018", "train")


@pytest.fixture(scope="session")
def dsb2018_brightfield() -> Path:
    """Folder of stained tissue in the Kaggle layout: <id>/images and <id>/masks."""
    return _real_data("dsb2018_brightfield", "stage1_train")


def wait_until_ready(engine: Engine) -> None:
    """Wait until the engine has started, so that no test is blamed for its threads."""
    end = time.monotonic() + 60
    while engine.state == "starting" and time.monotonic() < end:
        time.sleep(0.02)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One compute process for all tests, started on first use."""
    settings = {"OMP_NUM_THREADS": "2", "NAPARI_UNET_NICE": "0"}  # no need to spare napari here
    engine = Engine(environment={name: os.environ.get(name, v) for name, v in settings.items()})
    engine.start()
    wait_until_ready(engine)
    results_folder()  # exists until this process ends
    yield engine
    engine.close()
