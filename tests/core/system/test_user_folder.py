"""The folder of a user's files."""

from pathlib import Path

import platformdirs
import pytest
from platformdirs import macos, unix, windows

from napari_unet.core.system.user_folder import user_folder


@pytest.mark.parametrize(
    ("system", "variable", "tail"),
    [
        (unix.Unix, "XDG_DATA_HOME", "napari-unet-live"),
        (windows.Windows, "LOCALAPPDATA", "napari-unet-live"),
        (macos.MacOS, "HOME", "Library/Application Support/napari-unet-live"),
    ],
)
def test_files_lie_where_the_system_keeps_data(
    system: type, variable: str, tail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system is windows.Windows:  # it caches the folder
        monkeypatch.setattr(windows, "get_win_folder", windows.get_win_folder_from_env_vars)
    if system is macos.MacOS:
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(platformdirs, "PlatformDirs", system)
    monkeypatch.setenv(variable, str(tmp_path))
    assert user_folder() == tmp_path / tail
    assert user_folder("models") == tmp_path / tail / "models"


def test_a_variable_names_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_UNET_PLACE", str(tmp_path))
    assert user_folder("models", variable="NAPARI_UNET_PLACE") == tmp_path
    monkeypatch.setenv("NAPARI_UNET_PLACE", "~/models")
    assert user_folder("models", variable="NAPARI_UNET_PLACE") == Path.home() / "models"
    monkeypatch.setenv("NAPARI_UNET_PLACE", " ")
    assert user_folder("models", variable="NAPARI_UNET_PLACE").parent == user_folder()
