"""Installed package: complete, without Qt and registered with napari."""

import ast
import re
import runpy
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import npe2
import pytest
from packaging.requirements import Requirement

import napari_unet

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "napari_unet"


def package_files() -> set[str]:
    return {
        path.relative_to(ROOT / "src").as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not re.search(r"/(__pycache__|\.)", path.as_posix()[len(str(ROOT)) :])
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, set[str]]:
    """The sdist, the wheel built from it, and the files to be packed."""
    out = tmp_path_factory.mktemp("dist")
    files = package_files()
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel, files


@pytest.fixture(scope="module")
def wheel_files(built: tuple[Path, Path, set[str]]) -> set[str]:
    with zipfile.ZipFile(built[1]) as archive:
        return set(archive.namelist())


def test_wheel_from_sdist_is_complete(
    built: tuple[Path, Path, set[str]], wheel_files: set[str]
) -> None:
    assert built[2] - wheel_files == set()


@pytest.mark.parametrize(
    "name", ["napari.yaml", "py.typed", "icon.svg", "sample_data/dsb2018.toml", "models/README.md"]
)
def test_wheel_has_the_data_inside_the_package(wheel_files: set[str], name: str) -> None:
    assert f"napari_unet/{name}" in wheel_files


def test_wheel_has_nothing_beside_the_package(wheel_files: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"napari_unet"}


def test_sdist_has_the_real_files_and_not_the_links(built: tuple[Path, Path, set[str]]) -> None:
    with tarfile.open(built[0]) as archive:
        names = {member.name.split("/", 1)[1] for member in archive.getmembers()}
    assert {"README.md", "LICENSE", "tests/test_package.py", "constraints.txt"} <= names
    assert not [n for n in names if n == "napari.yaml" or n.startswith("sample_data")]


def test_base_dependencies_bring_no_napari_and_no_qt(built: tuple[Path, Path, set[str]]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        text = message_from_bytes(archive.read(metadata))
    requirements = [Requirement(r) for r in text.get_all("Requires-Dist", [])]
    base = {
        r.name.lower() for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})
    }
    assert {"numpy", "torch"} <= base
    assert not base & {"napari", "qtpy", "superqt", "magicgui", "pyqt5", "pyqt6", "pyside6"}
    assert "Framework :: napari" in text.get_all("Classifier", [])


def test_readme_of_the_wheel_has_absolute_links_to_what_is_there(
    built: tuple[Path, Path, set[str]],
) -> None:
    """The napari hub and PyPI show this text without the repository's files."""
    with zipfile.ZipFile(built[1]) as archive:
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        text = message_from_bytes(archive.read(metadata))
    shown = str(text.get_payload())
    assert text["Description-Content-Type"].startswith("text/markdown")
    targets = re.findall(r'(?:\]\(|src=")([^)"\s]+)', shown)
    assert [t for t in targets if not t.startswith(("https://", "http://", "#"))] == []
    (repository,) = (u.split(", ")[1] for u in text.get_all("Project-URL", []) if "Reposit" in u)
    own = [t.removeprefix(f"{repository}/") for t in targets if t.startswith(repository)]
    assert "blob/main/CONTRIBUTING.md" in own
    for target in own:
        view, branch, path = target.split("/", 2)
        assert view == ("raw" if path.endswith((".png", ".svg", ".gif")) else "blob")
        assert branch == "main"
        assert (ROOT / path).exists(), f"README.md links to {path}, which does not exist"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("![x](docs/images/a.png)", "![x](https://h/o/r/raw/main/docs/images/a.png)"),
        ("[x](LICENSE)", "[x](https://h/o/r/blob/main/LICENSE)"),
        (
            "[![x](docs/a.png)](docs/a.md)",
            "[![x](https://h/o/r/raw/main/docs/a.png)](https://h/o/r/blob/main/docs/a.md)",
        ),
        (
            '<img width="3" src="docs/a.svg">',
            '<img width="3" src="https://h/o/r/raw/main/docs/a.svg">',
        ),
        ("[x](#here) [y](https://napari.org) [z](mailto:a@b.c)", None),
    ],
)
def test_relative_links_become_absolute(link: str, expected: str | None) -> None:
    hook = runpy.run_path(str(ROOT / "hatch_build.py"))
    assert hook["absolute"](link, "https://h/o/r/") == (link if expected is None else expected)


@pytest.mark.parametrize("name", ["napari.yaml", "sample_data"])
def test_top_level_names_are_links_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == PACKAGE / name
    assert link.exists()


def test_napari_finds_a_valid_manifest() -> None:
    manifest = npe2.PluginManifest.from_distribution("napari-unet-live")
    assert manifest.name == "napari-unet-live"
    assert manifest.package_version == napari_unet.__version__
    manifest.validate_imports()


def test_the_command_is_declared() -> None:
    (command,) = entry_points(group="console_scripts", name="napari-unet")
    assert command.value == "napari_unet.cli:app"


@pytest.mark.parametrize("name", napari_unet.__all__)
def test_public_names_exist(name: str) -> None:
    assert getattr(napari_unet, name) is not None
    assert name in dir(napari_unet)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match=r"napari_unet.*\bUnet\b"):
        _ = napari_unet.Unet


STUBS = sorted(PACKAGE.rglob("__init__.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.parent.name)
def test_type_checkers_see_the_public_names(stub: Path) -> None:
    tree = ast.parse(stub.read_text("utf-8"))
    imported = {
        alias.name: (node.module, node.level)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (listed,) = (ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign))
    assert sorted(listed) == sorted(imported)
    package = import_module(".".join(stub.parent.relative_to(PACKAGE.parent).parts))
    assert set(package.__all__) == imported.keys()
    for name, (module, level) in imported.items():
        assert level == 1
        assert getattr(package, name) is getattr(
            import_module(f"{package.__name__}.{module}"), name
        )
