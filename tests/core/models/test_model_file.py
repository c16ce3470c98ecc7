import json
import pickle
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch
from random_models import TWO, random_model
from safetensors.torch import load_file, save_file

from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import ModelFileError, StorageError
from napari_unet.core.images.image import Image
from napari_unet.core.models.model import FORMAT_VERSION
from napari_unet.core.models.model_file import load_model, model_hash, read_info, save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic

KEY = "napari_unet"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, random_model())
    return path


def rewrite(path, header=None, tensors=lambda t: t, key=KEY, **changes):
    """Write a model file again with another header or other tensors."""
    if header is None:
        values = json.loads(read_info(path).model_dump_json())
        for name, value in changes.items():
            *parents, last = name.split("__")
            place = values
            for parent in parents:
                place = place[parent]
            place[last] = value
        header = json.dumps(values)
    save_file(tensors(load_file(path)), path, metadata={key: header})


def refusal(path):
    """Return the error message with which both ways of reading refuse a file."""
    with pytest.raises(ModelFileError) as error:
        load_model(path)
    sentence = str(error.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    "task", [TWO, Semantic.from_labels([np.array([1, 5, 9])]), Instances()], ids=lambda t: t.kind
)
def test_a_saved_model_predicts_the_same(tmp_path, task):
    model = random_model(task)
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.info == model.info == read_info(tmp_path / "model.safetensors")
    image = Image(synthetic_nuclei((50, 70), 5)[0], "YX")
    options = PredictOptions(device="cpu", precision="float32")
    before, after = (predict(m, image, options, probabilities=True) for m in (model, loaded))
    np.testing.assert_array_equal(after.labels, before.labels)
    np.testing.assert_array_equal(after.probabilities, before.probabilities)
    assert float(np.std(before.probabilities)) > 0


def test_saving_replaces_a_file_and_leaves_nothing_else(path):
    before = model_hash(path)
    save_model(path, random_model(Instances()))
    assert model_hash(path) != before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("eighths", range(1, 8))
def test_truncated(path, eighths):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * eighths // 8])
    assert "is truncated or not a .safetensors file" in refusal(path)
    with pytest.raises(ModelFileError, match="truncated"):
        read_info(path)


def test_one_byte_short(path):
    path.write_bytes(path.read_bytes()[:-1])
    assert "truncated" in refusal(path)


def test_empty(path):
    path.write_bytes(b"")
    assert "is empty" in refusal(path)


def test_missing_and_a_folder(tmp_path):
    assert "There is no model file" in refusal(tmp_path / "nothing.safetensors")
    assert "There is no model file" in refusal(tmp_path)


def test_hdf5(path):
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2000))
    assert "is an HDF5 (Keras) file" in refusal(path)


def test_text(path):
    path.write_text("<html>404: not found</html>" * 50)
    assert "not a .safetensors file" in refusal(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_torchs_own_format_in_disguise(path, zipped):
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=zipped)
    assert "is a pickled PyTorch file, which is refused because" in refusal(path)


class Malicious:
    """An object that leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return exec, (f"open({str(self.trace)!r}, 'w').close()",)


@pytest.mark.parametrize("dump", [pickle.dump, torch.save])
def test_a_malicious_pickle_is_not_run(path, dump):
    trace = path.parent / "trace"
    with path.open("wb") as file:
        dump(Malicious(trace), file)
    assert "is a pickled PyTorch file" in refusal(path)
    assert not trace.exists()
    with path.open("rb") as file:
        pickle_loader = pickle.load if dump is pickle.dump else torch.load
        options = {} if dump is pickle.dump else {"weights_only": False}
        pickle_loader(file, **options)  # check that it does run code when it is unpickled
    assert trace.exists()


def test_a_file_of_somebody_else(path):
    save_file({"weight": torch.ones(3)}, path)
    assert "not the header that describes how to use them" in refusal(path)
    save_file({"weight": torch.ones(3)}, path, metadata={"format": "pt"})
    assert "not the header that describes how to use them" in refusal(path)


@pytest.mark.parametrize(
    "header", ["", "{", "[1]", "3", "null", '"text"', '{"format_version": "x"}']
)
def test_a_header_that_is_none(path, header):
    rewrite(path, header)
    assert "damaged header" in refusal(path)


def test_from_a_newer_version(path):
    rewrite(path, format_version=FORMAT_VERSION + 1, something_new=1)
    sentence = refusal(path)
    assert f"has format version {FORMAT_VERSION + 1}" in sentence
    assert "Update napari-unet-live" in sentence


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"unet": None}, "unet"),
        ({"unet__depth": 99}, "unet.depth"),
        ({"task__kind": "poetry"}, "task"),
        ({"task__classes": [{"id": 1, "name": "a", "background": True}]}, "at least two classes"),
        ({"normalization__low": 100}, "low < high"),
        ({"normalization__secret": 1}, "normalization.secret"),
        ({"format_version": 0}, "format_version"),
        ({"scores": {"a": None}}, "scores"),
    ],
)
def test_a_header_that_makes_no_sense(path, changes, where):
    rewrite(path, **changes)
    sentence = refusal(path)
    assert "header" in sentence
    assert where in sentence


@pytest.mark.parametrize(
    ("changes", "tensors"),
    [
        ({"unet__base_channels": 8}, lambda t: t),
        ({"unet__depth": 3}, lambda t: t),
        ({"unet__in_channels": 2}, lambda t: t),
        ({"unet__norm": "none"}, lambda t: t),
        ({"unet__ndim": 3}, lambda t: t),
        ({}, lambda t: t | {"extra": torch.ones(2)}),
        ({}, lambda t: {k: w for k, w in t.items() if k != "head.bias"}),
        ({}, lambda t: t | {"head.bias": torch.ones(2)}),
        ({}, lambda t: t | {"head.bias": torch.ones(1, dtype=torch.int8)}),
    ],
)
def test_weights_that_do_not_fit_the_header(path, changes, tensors):
    rewrite(path, tensors=tensors, **changes)
    assert "does not match its own header" in refusal(path)


def test_weights_of_a_training_that_diverged(path):
    rewrite(path, tensors=lambda t: t | {"head.bias": torch.full((1,), torch.nan)})
    assert "contains NaN or infinite weights in head.bias" in refusal(path)


def test_outputs_that_do_not_fit_the_task(path):
    rewrite(path, task=json.loads(Instances().model_dump_json()))
    assert "1 outputs, but the task needs 4" in refusal(path)


def test_half_precision_weights_are_used(path):
    rewrite(
        path, tensors=lambda t: {k: w.half() if w.is_floating_point() else w for k, w in t.items()}
    )
    image = Image(synthetic_nuclei((32, 32), 3)[0], "YX")
    result = predict(load_model(path), image, PredictOptions(device="cpu", precision="float32"))
    assert result.labels.shape == (32, 32)


def test_reading_the_header_does_not_import_torch(path):
    code = (
        "import sys; from napari_unet.core.models.model_file import read_info; "
        "print(read_info(sys.argv[1]).name, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["nuclei", "False"]


def test_a_full_disk_leaves_the_old_file(path):
    before = model_hash(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageError, match="Cannot write"):
            save_model(path, random_model(Instances()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert model_hash(path) == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_place_that_cannot_be_written(path):
    with pytest.raises(StorageError, match="Cannot write"):
        save_model(path / "below a file" / "model.safetensors", random_model())


@pytest.mark.parametrize("path", ["x" * 300, "/" + "x" * 300 + "/m.safetensors", "a\0b"])
def test_a_name_that_no_file_can_have_is_a_sentence(path):
    with pytest.raises(ModelFileError, match="There is no model file"):
        load_model(path)


def test_files_from_before_the_contrast_was_noted_are_read(tmp_path):
    path = tmp_path / "old.safetensors"
    model = random_model()
    header = json.loads(model.info.model_dump_json())
    del header["contrast"]
    save_file(model.weights, path, {KEY: json.dumps(header)})
    assert load_model(path).info == model.info
    assert read_info(path).contrast is None
