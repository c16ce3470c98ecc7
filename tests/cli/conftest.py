"""A run on synthetic nuclei and its predictions, made once for all commands."""

from pathlib import Path

import pytest
from commands import SMALL, Cli, draw


@pytest.fixture(scope="session")
def cli() -> Cli:
    return Cli()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("data"), 5)


@pytest.fixture(scope="session")
def run(cli: Cli, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a model that finds nuclei."""
    folder = tmp_path_factory.mktemp("runs") / "nuclei"
    cli(f"train {{}} --out {{}} --steps 100 --epoch-steps 50 --lr 0.01 {SMALL}", data, folder)
    return folder


@pytest.fixture(scope="session")
def results(cli: Cli, run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "out"
    cli("predict {} {} --out {} --probability", run, data / "images", folder)
    return folder
