"""Packages of bioimage.io: bioimageio.core checks each export, and import restores the model."""

import ast
import builtins
import gc
import io
import json
import os
import pickle
import shutil
import sys
import zipfile

import numpy as np
import pytest
import torch

from napari_unet.core.bioimage_io.export import export_bioimage_io
from napari_unet.core.bioimage_io.import_package import import_bioimage_io
from napari_unet.core.bioimage_io.network import architecture_source
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import ImageError, ModelFileError, SettingsError, StorageError
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model, save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

pytestmark = [
    # The libraries' own warnings: TorchScript is deprecated, bioimageio.spec leaves files open.
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning",
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
    pytest.mark.timeout(
        300
    ),  # importing bioimageio.core alone takes half a minute on a busy machine
]

BINARY = Semantic(
    classes=(ClassInfo(id=0, name="background", background=True), ClassInfo(id=3, name="cell"))
)
THREE = Semantic(
    classes=(
        ClassInfo(id=1, name="background", background=True),
        ClassInfo(id=5, name="cell", color="#ff0000"),
        ClassInfo(id=9, name="border (thin)"),
    )
)
MODELS = {
    "instances": {"task": Instances(), "object_diameter_px": 22.0},
    "binary": {"task": BINARY, "pixel_size_um": (0.5, 0.25), "licence": "CC0-1.0"},
    "three classes": {"task": THREE, "upsampling": "resize", "norm": "none"},
    "rgb": {"task": Instances(), "in_channels": 3, "rgb": True},
    "two channels": {"task": THREE, "in_channels": 2, "channel_names": ("DAPI", "GFP/high")},
    "manual range": {
        "task": BINARY,
        "normalization": Normalization(mode="manual", manual=(5, 180)),
    },
    "as they are": {"task": BINARY, "normalization": Normalization(mode="none")},
    "volume": {"task": Instances(ndim=3), "ndim": 3},
}
ARCHITECTURE = {"in_channels", "ndim", "norm", "upsampling"}


def random_model(task=BINARY, **values):
    """Build a model with random weights whose outputs vary over the image."""
    channels = sum(head.channels for head in task.heads)
    architecture = {k: values.pop(k) for k in ARCHITECTURE & values.keys()}
    config = UNetConfig(depth=2, base_channels=4, out_channels=channels, **architecture)
    values = {"normalization": Normalization(), "name": "nuclei, 10x"} | values
    info = ModelInfo(unet=config, task=task, provenance={"steps": 3}, **values)
    torch.manual_seed(1)
    net = UNet(config)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.1, 0.3)  # statistics other than 0 and 1, as after training
            elif name.endswith("running_mean"):
                tensor.uniform_(-0.1, 0.1)
        net.head.weight.mul_(6)
    return Model(info, net.state_dict())


@pytest.fixture(scope="module", autouse=True)
def _quick_garbage_collection():
    """Exempt the objects of earlier tests from bioimageio.core's collection of garbage."""
    import bioimageio.core  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def exported(tmp_path_factory, adopting):
    """Return a function that exports a kind of model, once, and returns model and package."""
    made = {}

    def export(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("exported")
            model = random_model(**MODELS[kind])
            save_model(folder / "model.safetensors", model)
            with adopting():  # torch keeps a temporary folder
                package = export_bioimage_io(folder / "model.safetensors", folder / "package.zip")
            made[kind] = model, package
            gc.freeze()
        return made[kind]

    return export


def member(package, name):
    with zipfile.ZipFile(package) as archive:
        return archive.read(name)


def array(package, name):
    return np.load(io.BytesIO(member(package, name)))


def outputs(model, pixels):
    """Compute the outputs for an array C[Z]YX as in every prediction of this plugin."""
    volume = model.info.unet.ndim == 3
    image = Image(
        pixels.swapaxes(0, 1) if volume else pixels,
        "ZCYX" if volume else "CYX",
        rgb=model.info.rgb,
    )
    return predict(
        model, image, PredictOptions(device="cpu", precision="float32"), keep_outputs=True
    ).outputs


def bioimage_io_outputs(package, pixels, weight_format):
    from bioimageio.core import create_prediction_pipeline, load_model_description, predict

    description = load_model_description(package)
    pipeline = create_prediction_pipeline(description, weight_format=weight_format, devices=["cpu"])
    sample = predict(model=pipeline, inputs={"image": pixels[None]})
    return np.asarray(sample.members["outputs"].data)[0]


# -- export --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
def test_bioimage_io_passes_the_package_and_predicts_the_same(exported, kind):
    from bioimageio.core import test_model

    model, package = exported(kind)
    summary = test_model(package, devices=["cpu"])
    assert summary.status == "passed", summary.format()
    ran = {d.loc[1] for d in summary.details if d.loc[:1] == ("weights",)}
    assert {"pytorch_state_dict", "torchscript"} <= ran
    pixels = array(package, "test_input.npy")[0]
    ours = outputs(model, pixels)
    assert np.std(ours) > 0.01
    for weight_format in ("pytorch_state_dict", "torchscript"):
        theirs = bioimage_io_outputs(package, pixels, weight_format)
        assert theirs.dtype == ours.dtype == np.float32
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4)
    np.testing.assert_allclose(array(package, "test_output.npy")[0], ours, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(96, 80), (75, 67)])
def test_any_size_goes_through_both_kinds_of_weights(exported, shape):
    model, package = exported("as they are")
    pixels = synthetic_nuclei((96, 96), 8, dtype=np.float32)[0][None, : shape[0], : shape[1]]
    for weight_format in ("pytorch_state_dict", "torchscript"):
        theirs = bioimage_io_outputs(package, pixels, weight_format)
        np.testing.assert_allclose(theirs, outputs(model, pixels), rtol=0, atol=1e-4)


def test_the_package_says_how_to_use_it(exported):
    from bioimageio.core import load_model_description
    from PIL import Image as Picture

    _, package = exported("binary")
    description = load_model_description(package)
    assert description.name == "nuclei- 10x"
    assert description.license == "CC0-1.0"
    assert [a.name for a in description.authors] == ["the user of napari-unet-live"]
    y, x = description.inputs[0].axes[2:]
    assert (y.scale, y.unit, x.scale, x.unit) == (0.5, "micrometer", 0.25, "micrometer")
    assert [a.channel_names for a in description.outputs[0].axes if a.id == "channel"] == [["cell"]]
    document = member(package, "README.md").decode()
    assert "10 standard deviations of the image's noise" in document
    assert "## Validation" in document
    with zipfile.ZipFile(package) as archive, archive.open("cover.png") as file:
        cover = Picture.open(file)
        assert cover.size == (512, 256)
        left, right = np.hsplit(np.asarray(cover, np.int16), 2)
    assert np.abs(left - right).mean() > 1  # the result is not the image


def test_channels_are_named(exported):
    from bioimageio.core import load_model_description

    def names(kind):
        description = load_model_description(exported(kind)[1])
        tensors = (description.inputs[0], description.outputs[0])
        return [a.channel_names for t in tensors for a in t.axes if a.id == "channel"]

    assert names("two channels") == [
        ["DAPI", "GFP_high"],
        ["background", "cell", "border_thin"],
    ]
    assert names("rgb") == [
        ["red", "green", "blue"],
        ["foreground", "distance", "offset_y", "offset_x"],
    ]


def test_an_own_image_a_card_authors_and_citations(tmp_path):
    from bioimageio.core import load_model_description

    save_model(tmp_path / "m.safetensors", random_model())
    (tmp_path / "m.md").write_text("# Cells of my own\n\nSeen through a window.\n")
    drawn = synthetic_nuclei((150, 700), 60, dtype=np.uint16)[0]
    package = export_bioimage_io(
        tmp_path / "m.safetensors",
        tmp_path / "m.zip",
        image=Image(drawn, "YX", "field"),
        authors=["Ada Lovelace", "Grace Hopper"],
        licence="BSD-3-Clause",
        citations={"Caicedo et al., 2019": "10.1038/s41592-019-0612-7"},
    )
    description = load_model_description(package)
    assert [a.name for a in description.authors] == ["Ada Lovelace", "Grace Hopper"]
    assert description.license == "BSD-3-Clause"
    assert {str(c.doi) for c in description.cite} >= {"10.1038/s41592-019-0612-7"}
    assert member(package, "README.md").decode().startswith("# Cells of my own")
    tested = array(package, "test_input.npy")[0, 0]
    middle = drawn[:, 94:606]
    assert tested.shape == middle.shape
    assert (tested != middle).sum() <= 2  # one pixel for each percentile


def test_the_architecture_needs_nothing_of_ours():
    source = architecture_source()
    imports = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.ImportFrom) or len(node.names) == 1 for node in imports)
    modules = {getattr(node, "module", node.names[0].name).split(".")[0] for node in imports}
    assert modules == {"__future__", "torch", "types", "typing"}
    names = {"__name__": "unet"}
    exec(compile(source, "unet.py", "exec"), names)
    architecture = UNetConfig(depth=1, base_channels=2, out_channels=3, dropout=0.1).model_dump()
    heads = [{"channels": 3, "activation": "softmax"}]
    net = names["ActivatedUNet"](architecture, heads).eval()
    torch.testing.assert_close(net(torch.rand(1, 1, 5, 7)).sum(1), torch.ones(1, 5, 7))


# -- import --------------------------------------------------------------------------------------


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


# -- errors --------------------------------------------------------------------------------------


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


def test_without_the_extra_export_says_what_to_install(tmp_path, monkeypatch):
    save_model(tmp_path / "m.safetensors", random_model())
    found = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "bioimageio":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return found(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SettingsError, match=r'pip install "napari-unet-live\[bioimageio\]"'):
        export_bioimage_io(tmp_path / "m.safetensors", tmp_path / "m.zip")


def cells(shape, axes="YX", **options):
    return Image(synthetic_nuclei((256, 256), 30, **options)[0][shape], axes, "cells")


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"package": "m.bin"}, SettingsError, "ends in .zip"),
        ({"package": "file/m.zip"}, StorageError, "Cannot write"),
        ({"package": "there.zip"}, StorageError, "already exists"),
        ({"licence": "mine"}, SettingsError, "expected an SPDX identifier"),
        ({"citations": {"A paper": "nowhere"}}, SettingsError, "expected a DOI"),
        ({"image": cells(np.s_[:40])}, ImageError, "at least 64 x 64 px"),
        (
            {"image": Image(np.zeros((3, 70, 70), np.uint8), "ZYX", "cells")},
            ImageError,
            "a single plane",
        ),
        (
            {"image": Image(np.zeros((3, 70, 70), np.uint8), "CYX", "cells")},
            ModelFileError,
            "has 3 channel",
        ),
        (
            {"image": Image(np.random.default_rng(0).normal(100, 3, (96, 96)), "YX", "noise")},
            ImageError,
            "has no noise floor",
        ),
    ],
)
def test_exports_that_cannot_be(tmp_path, options, error, sentence):
    save_model(tmp_path / "m.safetensors", random_model())
    (tmp_path / "file").write_text("mine")
    (tmp_path / "there.zip").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    options = {"package": "m.zip"} | options
    target = tmp_path / options.pop("package")
    with pytest.raises(error) as raised:
        export_bioimage_io(tmp_path / "m.safetensors", target, **options)
    assert sentence in str(raised.value)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.zip").read_text() == "mine"


def test_a_model_that_finds_nothing_cannot_be_tested(tmp_path):
    model = random_model()
    model.weights["head.weight"].zero_()
    model.weights["head.bias"].fill_(-30)
    save_model(tmp_path / "m.safetensors", model)
    with pytest.raises(ImageError, match="finds nothing in 'drawn nuclei'"):
        export_bioimage_io(tmp_path / "m.safetensors", tmp_path / "m.zip")


def test_overwriting_on_request(exported, tmp_path):
    save_model(tmp_path / "m.safetensors", random_model())
    (tmp_path / "m.zip").write_text("mine")
    export_bioimage_io(tmp_path / "m.safetensors", tmp_path / "m.zip", overwrite=True)
    assert (
        import_bioimage_io(tmp_path / "m.zip").info == load_model(tmp_path / "m.safetensors").info
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "m.zip"]
