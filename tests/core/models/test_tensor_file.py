"""Files of tensors: reading returns what was saved, and errors describe files of other kinds."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_unet.core.errors import ModelFileError
from napari_unet.core.models.tensor_file import read_header, write_tensors


def test_tensors_and_header_come_back_whatever_their_layout(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    turned = torch.arange(6.0).reshape(2, 3).T
    layout = torch.rand(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    write_tensors(path, {"turned": turned, "layout": layout}, {"name": "µ"})
    assert read_header(path) == {"name": "µ"}
    back = load_file(path)
    assert torch.equal(back["turned"], turned)
    assert torch.equal(back["layout"], layout)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"PK\x03\x04", "pickled PyTorch file, which is refused because"),
        (b"\x80\x02}q", "pickled PyTorch file"),
        (b"\x89HDF\r\n", r"HDF5 \(Keras\) file"),
        (b"", "is empty"),
        (b"hello world", "truncated or not a .safetensors file"),
    ],
)
def test_other_files_are_called_what_they_are(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=sentence):
        read_header(path)


def test_a_missing_file_and_a_folder_are_no_model(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", tmp_path / ("x" * 300)):
        with pytest.raises(ModelFileError, match="There is no model file"):
            read_header(path)
