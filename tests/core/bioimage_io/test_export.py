"""Packages of bioimage.io: bioimageio.core checks each export."""

import builtins
import zipfile

import numpy as np
import pytest
from packages import MARKS, MODELS, array, cells, member, random_model

from napari_unet.core.bioimage_io.export import export_bioimage_io
from napari_unet.core.bioimage_io.import_package import import_bioimage_io
from napari_unet.core.datasets.synthetic import synthetic_nuclei
from napari_unet.core.errors import ImageError, ModelFileError, SettingsError, StorageError
from napari_unet.core.images.image import Image
from napari_unet.core.models.model_file import load_model, save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.prediction import predict

pytestmark = MARKS


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


def test_overwriting_on_request(exported, tmp_path):
    save_model(tmp_path / "m.safetensors", random_model())
    (tmp_path / "m.zip").write_text("mine")
    export_bioimage_io(tmp_path / "m.safetensors", tmp_path / "m.zip", overwrite=True)
    assert (
        import_bioimage_io(tmp_path / "m.zip").info == load_model(tmp_path / "m.safetensors").info
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "m.zip"]
