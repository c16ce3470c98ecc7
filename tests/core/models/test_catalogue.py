"""Finding models by name, file or run, and the problems of models that cannot be used."""

from pathlib import Path

import pytest
import torch

from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models import catalogue
from napari_unet.core.models.catalogue import add_model, find_model, list_models, own_folder
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import read_info, save_model
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.system.user_folder import user_folder
from napari_unet.core.tasks.instances import Instances


def write_model(path: Path, name: str = "model") -> Path:
    torch.manual_seed(0)
    unet = UNetConfig(depth=1, base_channels=1, out_channels=4)
    info = ModelInfo(unet=unet, task=Instances(), normalization=Normalization(), name=name)
    save_model(path, Model(info, UNet(unet).state_dict()))
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAPARI_UNET_MODELS", str(tmp_path / "own"))
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: tmp_path / "shipped")
    return tmp_path / "own"


def test_own_models_hide_shipped_ones_of_their_name(own: Path) -> None:
    write_model(own / "nuclei.safetensors", "mine")
    write_model(own.parent / "shipped" / "nuclei.safetensors", "theirs")
    write_model(own.parent / "shipped" / "tissue.safetensors")
    entries = {entry.name: entry for entry in list_models()}
    assert {name: entry.origin for name, entry in entries.items()} == {
        "nuclei": "own",
        "tissue": "shipped",
    }
    assert entries["nuclei"].info is not None
    assert entries["nuclei"].info.name == "mine"
    assert find_model("nuclei") == own / "nuclei.safetensors"


def test_a_damaged_model_is_listed_with_its_trouble(own: Path) -> None:
    own.mkdir()
    (own / "bad.safetensors").write_bytes(b"PK\x03\x04 pickled")
    (entry,) = list_models()
    assert entry.info is None
    assert "pickled" in entry.problem


def test_a_model_card_lies_beside_its_model(own: Path) -> None:
    write_model(own / "nuclei.safetensors")
    (entry,) = list_models()
    assert entry.card() == ""
    (own / "nuclei.md").write_text("# Nuclei µm", encoding="utf-8")
    assert entry.card() == "# Nuclei µm"


def test_without_any_model_the_list_is_empty(own: Path) -> None:
    assert list_models() == []
    with pytest.raises(ModelFileError, match="none yet"):
        find_model("nuclei")


def test_a_run_gives_its_best_model_or_else_its_last(tmp_path: Path) -> None:
    last = write_model(tmp_path / "run" / "last.safetensors")
    assert find_model(tmp_path / "run") == last
    best = write_model(tmp_path / "run" / "best.safetensors")
    assert find_model(tmp_path / "run") == best
    with pytest.raises(ModelFileError, match=r"no best\.safetensors"):
        find_model(tmp_path)


def test_what_lies_in_the_folder_at_hand_hides_no_model(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuclei").mkdir()
    with pytest.raises(ModelFileError, match=r"no best\.safetensors"):
        find_model("nuclei")
    shipped = write_model(own / "nuclei.safetensors")
    assert find_model("nuclei") == shipped
    run = write_model(tmp_path / "nuclei" / "last.safetensors")
    assert find_model("nuclei").samefile(run)


def test_a_name_that_is_not_there_lists_those_that_are(own: Path) -> None:
    write_model(own / "nuclei.safetensors")
    with pytest.raises(ModelFileError, match=r"'nucleus'.*nuclei"):
        find_model("nucleus")


def test_own_models_lie_in_the_user_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAPARI_UNET_MODELS", raising=False)
    assert own_folder() == user_folder() / "models"


def test_a_model_is_added_under_a_name_and_replaces_nothing(own: Path, tmp_path: Path) -> None:
    first = write_model(tmp_path / "run" / "best.safetensors", "first run")
    assert add_model(first, "nuclei") == own / "nuclei.safetensors"
    second = write_model(tmp_path / "run2" / "best.safetensors", "second run")
    assert add_model(second, "nuclei").stem == "nuclei-2"
    entries = {e.name: e.info.name for e in list_models() if e.info}
    assert entries == {"nuclei": "first run", "nuclei-2": "second run"}
    assert add_model(second, "nuclei", replace=True).stem == "nuclei"
    assert read_info(own / "nuclei.safetensors").name == "second run"


def test_the_name_of_a_shipped_model_is_taken(own: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "shipped" / "nuclei.safetensors", "theirs")
    assert add_model(write_model(tmp_path / "mine.safetensors"), "nuclei").stem == "nuclei-2"


@pytest.mark.parametrize("name", ["", "  ", "a/b", "a\\b", ".hidden", "a:b", "x" * 101])
def test_names_that_are_no_file_names_are_refused(own: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be called"):
        add_model(write_model(tmp_path / "mine.safetensors"), name)
    assert not own.exists()


def test_what_is_no_model_is_not_added(own: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"PK\x03\x04 pickled")
    with pytest.raises(ModelFileError, match="pickled"):
        add_model(tmp_path / "bad.safetensors", "nuclei")
    assert not own.exists()


def test_a_name_in_other_letters_is_taken_too(own: Path, tmp_path: Path) -> None:
    """Both names are the same file on macOS and Windows."""
    model = write_model(tmp_path / "m.safetensors")
    add_model(model, "Zellen")
    assert add_model(model, "zellen").name == "zellen-2.safetensors"


def test_a_card_in_an_old_encoding_can_be_read(own: Path) -> None:
    (write_model(own / "m.safetensors").with_suffix(".md")).write_bytes(
        "für Zellen".encode("cp1252")
    )
    (entry,) = list_models()
    assert "Zellen" in entry.card()
