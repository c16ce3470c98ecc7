"""Records of results: script and command reproduce them, and the methods text is complete."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_unet.cli import app
from napari_unet.core.errors import SettingsError
from napari_unet.core.images.image import Image
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.io.image_files import read_image, read_labels, write_image
from napari_unet.core.models.model import Model, ModelInfo
from napari_unet.core.models.model_file import load_model, model_hash, save_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.records.methods_text import methods_text
from napari_unet.core.records.prediction_record import (
    FileSource,
    PredictionRecord,
    as_command,
    as_python,
    find_file_source,
)
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

BINARY = Semantic(
    classes=(ClassInfo(id=0, name="background", background=True), ClassInfo(id=3, name="cell"))
)


def make_model(path: Path, task: Instances | Semantic, channels: int = 1) -> Path:
    outputs = sum(head.channels for head in task.heads)
    config = UNetConfig(depth=1, base_channels=2, in_channels=channels, out_channels=outputs)
    torch.manual_seed(1)
    from napari_unet.core.models.unet import UNet

    info = ModelInfo(unet=config, task=task, normalization=Normalization(), name="tiny")
    weights = UNet(config).state_dict()
    weights["head.weight"] *= 20  # outputs that differ in bfloat16, too
    save_model(path, Model(info, weights))
    return path


def make_record(
    model: Path, task: Instances | Semantic, image: Image, **kwargs
) -> PredictionRecord:
    return PredictionRecord(
        version="0.1.0",
        date="2026-11-21",
        model=str(model),
        model_name="tiny",
        model_sha256=model_hash(model),
        task=task,
        image=image.name,
        file=kwargs.pop("file", find_file_source(image, image.path)),
        **kwargs,
    )


def own_labels(record: PredictionRecord, image: Image) -> np.ndarray:
    """Predict with the record's settings, as the widget does."""
    model = load_model(record.model)
    model = replace(model, info=model.info.model_copy(update={"task": record.task}))
    labels = predict(
        model, image, PredictOptions(scale=record.scale, contrast=record.contrast)
    ).labels
    assert len(np.unique(labels)) > 1
    return labels


def run_script(script: str, folder: Path) -> None:
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def middle(model: Path, image: Image) -> float:
    """A threshold that random weights reach in half of the pixels."""
    probabilities = predict(load_model(model), image, probabilities=True).probabilities
    return round(float(np.median(probabilities)), 6)


@pytest.fixture
def image(tmp_path: Path, rng: np.random.Generator) -> Image:
    path = tmp_path / "my cells.tif"
    data = rng.integers(0, 999, (3, 48, 40)).astype(np.uint16)
    write_image(path, Image(data, "TYX"))
    return read_image(path)


def test_script_and_command_give_the_same_labels_again(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tmp_path / "a model.safetensors", Instances())
    decoder = Instances().decoder.model_copy(
        update={"threshold": middle(model, image), "min_votes": 2.5, "min_area_px": 2}
    )
    task = Instances(decoder=decoder)
    record = make_record(model, task, image, axes="TYX", scale=0.75, contrast="inverted")
    expected = own_labels(record, image)
    run_script(as_python(record), tmp_path)
    assert (read_labels(tmp_path / "my_cells_labels.tif") == expected).all()
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(as_command(record))
    assert program == "napari-unet"
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert (read_labels(tmp_path / "results" / "my cells_labels.tif") == expected).all()


def test_a_script_of_one_plane_and_one_channel_gives_that(tmp_path: Path, rng) -> None:
    path = tmp_path / "stack.tif"
    data = rng.integers(0, 999, (4, 2, 40, 48)).astype(np.uint16)
    write_image(path, Image(data, "TCYX"))
    whole = Image(data[:, 1], "TYX", name="stack", path=path)
    plane = Image(data[2, 1], "YX", name="stack")
    model = make_model(tmp_path / "m.safetensors", BINARY)
    task = BINARY.model_copy(update={"threshold": middle(model, plane)})
    record = make_record(model, task, whole, axes="TYX", position={"T": 2})
    assert record.file == FileSource(path=str(path), channels=(1,))
    run_script(as_python(record), tmp_path)
    assert (read_labels(tmp_path / "stack_labels.tif") == own_labels(record, plane)).all()
    with pytest.raises(SettingsError, match="T=2"):
        as_command(record)


def test_a_script_of_a_folder_writes_what_the_command_writes(tmp_path: Path, image: Image) -> None:
    model = make_model(tmp_path / "m.safetensors", BINARY)
    task = BINARY.model_copy(update={"threshold": middle(model, image)})
    folder, out = tmp_path / "in", tmp_path / "out"
    write_image(folder / "a.tif", image)
    record = make_record(model, task, image, folder=str(folder), out=str(out), file=None)
    run_script(as_python(record), tmp_path)
    assert (read_labels(out / "a_labels.tif") == own_labels(record, image)).all()
    assert as_command(record).startswith(f"napari-unet predict {model} {folder} --out {out}")


def test_a_file_that_differs_from_the_layer_is_not_named(image: Image) -> None:
    assert find_file_source(image, image.path) == FileSource(path=str(image.path))
    changed = np.array(image.data)
    changed[-1] += 1
    assert find_file_source(Image(changed, "TYX"), image.path) is None
    assert find_file_source(Image(image.data[0], "YX"), image.path) is None
    assert find_file_source(image, None) is None


def test_axes_are_given_where_the_file_does_not_name_them(tmp_path: Path, rng) -> None:
    data = rng.random((4, 16, 16)).astype(np.float32)
    np.save(tmp_path / "a.npy", data)
    source = find_file_source(Image(data, "ZYX"), tmp_path / "a.npy", "ZYX")
    assert source == FileSource(path=str(tmp_path / "a.npy"), axes="ZYX")


def test_without_a_file_the_script_takes_the_layer_and_the_command_says_why_not(
    tmp_path: Path,
) -> None:
    model = make_model(tmp_path / "m.safetensors", Instances(), channels=2)
    image = Image(np.zeros((2, 8, 8)), "CYX", name="DAPI")
    record = make_record(model, Instances(), image, layers=("DAPI", "it's GFP"))
    script = as_python(record)
    compile(script, "script", "exec")
    assert '["DAPI", "it\'s GFP"]' in script.replace("'DAPI'", '"DAPI"')
    assert "'CYX'" in script
    with pytest.raises(SettingsError, match="is not saved in a file"):
        as_command(record)


def test_a_record_survives_as_plain_values(tmp_path: Path, image: Image) -> None:
    model = make_model(tmp_path / "m.safetensors", BINARY)
    record = make_record(model, BINARY, image, scale=0.3, position={"T": 1})
    assert PredictionRecord.model_validate(record.model_dump(mode="json")) == record


def test_an_estimated_diameter_is_kept_as_the_number_it_led_to(tmp_path: Path, rng) -> None:
    image = Image(rng.integers(0, 9, (16, 16)).astype(np.uint8), "YX", name="cells")
    model = make_model(tmp_path / "m.safetensors", Instances())
    file = FileSource(path="cells.tif")
    record = make_record(
        model, Instances(), image, scale=0.25, diameter_px=84.4, contrast="inverted", file=file
    )
    assert "--scale 0.25 --contrast inverted" in as_command(record)
    assert "scale=0.25, contrast='inverted'" in as_python(record)
    text = methods_text(record, load_model(model).info)
    assert "inverted for the network" in text
    assert "factor of 0.25 for the network (estimated diameter of the objects: 84.4 pixels)" in text


def test_files_are_each_resized_by_a_scale_of_their_own(tmp_path: Path, rng) -> None:
    image = Image(rng.integers(0, 9, (16, 16)).astype(np.uint8), "YX", name="plates")
    model = make_model(tmp_path / "m.safetensors", Instances())
    record = make_record(
        model, Instances(), image, scale="auto", folder="plates", out="found", file=None
    )
    assert as_command(record).endswith("--diameter auto")
    assert "scale='auto'" in as_python(record)
    assert "estimated" in methods_text(record, load_model(model).info)
