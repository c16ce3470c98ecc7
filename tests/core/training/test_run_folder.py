"""Run folders: files are read back, errors name damaged ones, and no run is overwritten."""

from pathlib import Path

import pytest
import torch

from napari_unet.core.errors import ModelFileError, SettingsError
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.training.run_folder import RunFolder, SavedState, next_run_folder


def test_runs_are_numbered_and_none_is_taken_twice(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        folder = next_run_folder(tmp_path, "nuclei")
        assert folder.name == f"nuclei-{number}"
        folder.mkdir()
    assert next_run_folder(tmp_path, "cells").name == "cells-1"


def test_the_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    state = SavedState({"a": torch.rand(3, 2)}, {"step": 7, "best": 0.1})
    folder.save_state(state)
    back = folder.load_state()
    assert torch.equal(back.tensors["a"], state.tensors["a"])
    assert back.values == state.values


def test_the_history_comes_back_without_its_empty_cells(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_history() == []
    rows = [{"epoch": 1, "train_loss": 0.5, "validation_loss": None}]
    folder.write_history(rows, Instances().scores)
    assert folder.read_history() == [{"epoch": 1, "train_loss": 0.5}]
    assert folder.curves.is_file()
    (tmp_path / "history.csv").write_text("epoch,train_loss\none,0.5\n")
    with pytest.raises(SettingsError, match=r"history\.csv is damaged"):
        folder.read_history()


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_a_damaged_state_is_named(tmp_path: Path, content: bytes) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(SettingsError, match="no checkpoint to resume from"):
        folder.load_state()
    (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(ModelFileError, match="not the state of a run"):
        folder.load_state()


def test_a_folder_with_a_model_is_not_free_and_the_command_to_resume_is_shown(
    tmp_path: Path,
) -> None:
    folder = RunFolder(tmp_path / "my run")
    folder.check_free()
    folder.path.mkdir()
    folder.last_model.write_bytes(b"x")
    with pytest.raises(SettingsError, match=r"napari-unet train --resume '.*my run'"):
        folder.check_free()


def test_a_folder_without_settings_or_labels_says_what_is_missing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(SettingsError, match=r"file settings\.json is missing"):
        folder.settings()
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(SettingsError, match="damaged, or was written by another version"):
        folder.settings()
    for content in (None, b"PK\x03\x04 broken"):
        if content:
            (tmp_path / "labels.npz").write_bytes(content)
        with pytest.raises(SettingsError, match="missing or damaged"):
            folder.labels()
