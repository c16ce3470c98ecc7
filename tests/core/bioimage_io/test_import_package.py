"""Import restores the model from a package of ours, and runs no code of any."""

import json
import os
import pickle
import shutil
import sys
import zipfile

import pytest
import torch
from packages import MARKS, member

from napari_unet.core.bioimage_io.import_package import import_bioimage_io
from napari_unet.core.errors import ModelFileError

pytestmark = MARKS


@pytest.mark.parametrize("kind", ["instances", "binary", "three classes", "rgb", "two channels"])
def test_import_gives_back_exactly_the_model(exported, kind):
    model, package = exported(kind)
    again = import_bioimage_io(package)
    assert again.info == model.info
    assert again.weights.keys() == model.weights.keys()
    assert all(torch.equal(again.weights[name], model.weights[name]) for name in model.weights)


def test_a_package_that_was_zipped_again_in_a_folder(exported, tmp_path):
    model, package = exported("binary")
    shutil.unpack_archive(package, tmp_path / "out" / "nuclei")
    shutil.make_archive(str(tmp_path / "again"), "zip", tmp_path / "out")
    assert import_bioimage_io(tmp_path / "again.zip").info == model.info


def test_import_needs_no_extra(exported, monkeypatch):
    model, package = exported("binary")
    monkeypatch.setitem(sys.modules, "bioimageio", None)
    assert import_bioimage_io(package).info == model.info


def change(package, target, **members):
    """Copy a package with some members replaced; None omits a member."""
    changed = {name.replace("__", "."): content for name, content in members.items()}
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = changed.get(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


class Trap:
    """An object that creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def refusal(path):
    with pytest.raises(ModelFileError) as error:
        import_bioimage_io(path)
    sentence = str(error.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_files_that_are_no_packages(tmp_path):
    path = tmp_path / "x.zip"
    assert "There is no package" in refusal(path)
    path.write_bytes(b"something else")
    assert "not a zip file" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.png", b"")
    assert "not a bioimage.io package" in refusal(path)


def test_a_package_of_others_is_not_run(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", "type: model")
        archive.writestr("weights.pt", pickle.dumps(Trap(tmp_path / "ran")))
    assert "would require running its authors' code" in refusal(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("eighths", range(1, 8))
def test_a_truncated_package(exported, tmp_path, eighths):
    content = exported("binary")[1].read_bytes()
    (tmp_path / "x.zip").write_bytes(content[: len(content) * eighths // 8])
    assert "is damaged or not a zip file" in refusal(tmp_path / "x.zip")


def test_damaged_members(exported, tmp_path):
    _, package = exported("binary")
    path = tmp_path / "x.zip"
    assert "lacks the file weights.pt" in refusal(change(package, path, weights__pt=None))
    assert "damaged" in refusal(change(package, path, weights__pt=b"nothing"))
    assert "damaged header" in refusal(change(package, path, napari_unet__json=b"{"))
    header = json.loads(member(package, "napari_unet.json"))
    header["unet"]["depth"] = 1
    changed = change(package, path, napari_unet__json=json.dumps(header))
    assert "does not match its own header" in refusal(changed)
    huge = bytes(10 << 20)
    sentence = refusal(change(package, path, weights__pt=huge))
    assert "has 10,485,760 bytes: expected at most" in sentence
    content = bytearray(package.read_bytes())
    content[content.index(b"weights.pt") + 2000] ^= 255
    path.write_bytes(content)
    assert "Get the file again." in refusal(path)


def test_a_trap_among_the_weights_is_not_sprung(exported, tmp_path):
    _, package = exported("binary")
    torch.save({"encoder.0.0.weight": Trap(tmp_path / "ran")}, tmp_path / "weights.pt")
    trapped = (tmp_path / "weights.pt").read_bytes()
    path = change(package, tmp_path / "x.zip", weights__pt=trapped)
    assert "more than tensors" in refusal(path)
    assert not (tmp_path / "ran").exists()
