"""Common mistakes: every bad input leads to its error message and leaves nothing behind.

The messages are listed in `bad_input.md`; `support/bad_input_cases.py` creates the inputs.
"""

import contextlib
import inspect
import re
from pathlib import Path

import bad_input_cases as cases
import numpy as np
import pytest
from typer.testing import CliRunner

from napari_unet.cli import app
from napari_unet.core import errors
from napari_unet.core.images.image import Image
from napari_unet.core.io.image_files import read_labels, write_labels
from napari_unet.core.models.model_file import load_model
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.prediction.batch import FileFailed, FilePredicted
from napari_unet.core.prediction.prediction import predict
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.training.events import Finished, FinishReason
from napari_unet.core.training.training import resume, train

ROW = re.compile(r"\| (?P<name>.+?) \| (?P<error>\w+Error) \| (?P<sentence>.+) \|$")
TABLE = [
    match.groups()
    for line in Path(__file__).with_name("bad_input.md").read_text(encoding="utf-8").splitlines()
    if (match := ROW.match(line))
]


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() if p.is_file() else None
        for p in folder.rglob("*")
    }


def assert_reads(text: str, sentence: str, here: Path) -> None:
    """Check that a text equals a sentence, in which … stands for anything."""
    text = text.replace(str(here), "{here}").replace("\\", "/")
    pattern = ".+".join(re.escape(part) for part in sentence.split("…"))
    assert re.fullmatch(pattern, text), f"\nexpected  {sentence}\ngot       {text}"


@pytest.fixture
def here(tmp_path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(("name", "error", "sentence"), TABLE, ids=[row[0] for row in TABLE])
def test_a_bad_input_leads_to_its_message_and_leaves_nothing_behind(name, error, sentence, here):
    with pytest.MonkeyPatch.context() as patch:
        call = getattr(cases, name.replace(" ", "_"))(here, patch)
        before = contents(here)
        with pytest.raises(errors.UNetError) as caught:
            call()
    assert type(caught.value) is getattr(errors, error)
    assert_reads(str(caught.value), sentence, here)
    assert contents(here) == before


def test_the_table_has_every_case():
    builders = {
        name.replace("_", " ")
        for name, value in vars(cases).items()
        if inspect.isfunction(value) and [*inspect.signature(value).parameters] == ["here", "patch"]
    }
    assert {row[0] for row in TABLE} == builders
    assert len(TABLE) == len(builders) > 100


@pytest.mark.parametrize("sentence", [row[2] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_message_names_what_was_expected_or_what_to_do(sentence):
    assert sentence.endswith(".")
    assert re.search(r"[Ee]xpected|should be|[.:] ([A-Z]|for example)", sentence)
    assert not re.search(r"Traceback|Error\b|Errno|<class|object at 0x|NoneType", sentence)


# -- the command line ---------------------------------------------------------------------------


def nothing_to_train_on(here):
    (here / "nuclei").mkdir()
    sentence = "No image with labels in '…nuclei'. Expected folders…"
    return ["train", "nuclei", "--out", "run"], sentence


def missing_data(here):
    return ["train", "nuclei", "--out", "run"], "There is no folder '…nuclei': expected a folder …"


def two_budgets(here):
    cases.folder_of_pairs(here)
    options = ["--minutes", "5", "--epochs", "10"]
    return ["train", "data", "--out", "run", *options], (
        "Budget names epochs and minutes: expected exactly one of steps, epochs and minutes."
    )


def unfit_patch(here):
    cases.folder_of_pairs(here)
    return ["train", "data", "--out", "run", "--patch", "100"], (
        "The patch size is 100 px and the depth 4: expected a multiple of 16. Use 96."
    )


def unknown_device(here):
    cases.folder_of_pairs(here)
    return ["train", "data", "--out", "run", "--device", "gpu"], (
        "Device 'gpu' is not available: this computer has ….",
    )[0]


def group_table_without_an_image(here):
    cases.table(here, "id,field\na,1\n")
    return ["train", "data", "--out", "run", "--groups", "table.csv"], (
        "1 of 2 images have no group, for example 'b': expected one for each. Complete the table "
        "or change the pattern."
    )


def nan_to_train_on(here):
    source = cases.folder_of_pairs(here)
    cases.save(source / "images" / "a.tif", np.full(cases.SIZE, np.nan, np.float32))
    return ["train", "data", "--out", "run", "--device", "cpu"], (
        "'a' holds 1920 values that are NaN or infinite (or beyond 1e+30): expected finite "
        "numbers. Replace them, for example with numpy.nan_to_num."
    )


def folder_without_a_run(here):
    return ["train", "--resume", "run"], (
        "run contains no run: the file settings.json is missing. Choose the folder of another "
        "run, or start a new one."
    )


def pickled_model(here):
    cases.pickled_model(here, None)
    cases.save(here / "cells.tif", cases.pixels())
    return ["predict", "model.safetensors", "cells.tif"], (
        "model.safetensors is a pickled PyTorch file, which is refused because opening it could "
        "run code. Export it as .safetensors with napari-unet."
    )


def no_images_to_predict(here):
    cases.model_file(here)
    return ["predict", "model.safetensors", "*.tif"], (
        "No file matches the pattern '*.tif'. Check it, and put it in quotes."
    )


def results_already_there(here):
    cases.model_file(here)
    cases.save(here / "cells.tif", cases.pixels())
    cases.save(here / "results" / "cells_labels.tif", cases.objects())
    return ["predict", "model.safetensors", "cells.tif"], (
        "'results' already holds 1 result(s), for example 'cells_labels.tif'. Choose another "
        "folder, or replace the results (--overwrite)."
    )


def evaluation_of_another_size(here):
    cases.save(here / "a.tif", cases.objects())
    cases.save(here / "b.tif", cases.objects((41, 48)))
    return ["evaluate", "a.tif", "b.tif", "--out", "scores"], (
        "'b': The prediction has shape (40, 48) and the ground truth (41, 48): expected the same. "
        "Choose labels of the same image, at the same scale and crop."
    )


def evaluation_of_probabilities(here):
    cases.save(here / "a.tif", cases.pixels(dtype="float32") / 200)
    cases.save(here / "b.tif", cases.objects())
    return ["evaluate", "a.tif", "b.tif", "--out", "scores"], (
        "'a.tif': the labels are float32 with values that are not whole numbers. Expected integers "
        "(0 background, 1, 2, ...): threshold a probability map, or save the labels as integers."
    )


COMMANDS = (
    nothing_to_train_on,
    missing_data,
    two_budgets,
    unfit_patch,
    unknown_device,
    group_table_without_an_image,
    nan_to_train_on,
    folder_without_a_run,
    pickled_model,
    no_images_to_predict,
    results_already_there,
    evaluation_of_another_size,
    evaluation_of_probabilities,
)


@pytest.mark.parametrize("make", COMMANDS, ids=[make.__name__ for make in COMMANDS])
def test_a_command_ends_with_the_sentence_and_code_1(make, here, monkeypatch):
    monkeypatch.chdir(here)
    arguments, sentence = make(here)
    before = contents(here)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert_reads(result.stderr.strip().splitlines()[-1], sentence, here)
    assert "Traceback" not in result.output
    assert contents(here) == before


def test_a_damaged_file_among_others_is_named_and_does_not_end_the_batch(here):
    for name in ("a", "c"):
        cases.save(here / f"{name}.tif", cases.pixels())
    (here / "b.tif").write_bytes(b"II*\0")
    one, bad, other = cases.predict_into(here, [here])()
    assert isinstance(one, FilePredicted)
    assert isinstance(other, FilePredicted)
    assert isinstance(bad, FileFailed)
    assert bad.problem.startswith("'b.tif' cannot be read: it is damaged")
    assert "b.tif" not in (here / "results" / "summary.csv").read_text()


# -- unusual, but valid -------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".zarr"])
def test_65536_objects_are_written_and_read(here, suffix):
    labels = np.arange(65_537).reshape(1, -1)
    write_labels(here / f"a{suffix}", labels)
    found = read_labels(here / f"a{suffix}")
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found, labels)


ODD = {
    "constant": np.full(cases.SIZE, 7, np.uint16),
    "black": np.zeros(cases.SIZE, np.uint8),
    "black and white": cases.objects() > 0,
    "whole range of int64": np.where(cases.objects() > 0, 2**63 - 1, -(2**63)),
    "half precision": cases.pixels(dtype="float16") * 300,
    "smaller than a patch": cases.pixels((7, 5)),
    "one pixel wide": cases.pixels((40, 1)),
}


@pytest.mark.parametrize("image", ODD.values(), ids=ODD.keys())
def test_an_odd_image_trains_and_predicts(here, image):
    labels = np.ones(image.shape, np.uint8) if image.size < 50 else cases.objects(image.shape)
    data = cases.pairs_from_arrays([image], [labels])
    *_, last = train(data, Instances(), here / "run", cases.tiny())
    assert isinstance(last, Finished)
    found = predict(load_model(last.last_model), Image(image, "YX"), PredictOptions(device="cpu"))
    assert found.labels.shape == image.shape
    assert all(w.isfinite().all() for w in load_model(last.last_model).weights.values())


# -- a full disk --------------------------------------------------------------------------------

WRITTEN = {
    "TIFF": lambda here, image: cases.write_image(here / "a.tif", image),
    "OME-TIFF": lambda here, image: cases.write_image(
        here / "a.tif", Image(image.data.astype(np.uint32), "YX")
    ),
    "NPY": lambda here, image: cases.write_image(here / "a.npy", image),
    "PNG": lambda here, image: cases.write_image(here / "a.png", image),
    "model": lambda here, image: cases.save_model(here / "a.safetensors", cases.tiny_model()),
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_no_partial_file_is_left_when_the_disk_is_full(here, write):
    """Includes the last bytes, which NumPy and tifffile buffer."""
    image = Image(cases.pixels(), "YX")
    write(here, image)
    ((name, whole),) = contents(here).items()
    for size in sorted({0, 1, 100, *(len(whole) - n for n in (2000, 1000, 100, 10, 1))} - {-1}):
        if not 0 <= size < len(whole):
            continue
        with cases.full_disk(size), pytest.raises(errors.StorageError, match="Cannot write"):
            write(here, image)
        assert contents(here) == {name: whole}


def test_a_run_stopped_by_a_full_disk_can_be_resumed(here):
    with pytest.MonkeyPatch.context() as patch:
        call = cases.disk_full_at_a_checkpoint(here, patch)
        with contextlib.suppress(errors.StorageError):
            call()
    *_, last = resume(here / "run", cases.pairs())
    assert last.reason == FinishReason.COMPLETED
