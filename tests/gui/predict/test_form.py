"""The Predict form without a window: its requests and its problems."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.errors import SettingsError
from napari_unet.core.images.image import Image, PixelSize
from napari_unet.core.images.normalization import Normalization
from napari_unet.core.models.model import ModelInfo
from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.models.unet_config import UNetConfig
from napari_unet.core.records.prediction_record import as_command
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic
from napari_unet.gui.predict.form import (
    PredictForm,
    channel_layers,
    rescale_offer,
    summary,
)

CLASSES = (
    ClassInfo(id=0, name="background", background=True),
    ClassInfo(id=1, name="cell"),
    ClassInfo(id=2, name="border"),
)
IMAGE = Image(np.zeros((4, 32, 32), np.uint16), "TYX", name="movie")


def info_of(task: Instances | Semantic | None = None, channels: int = 1, **kwargs) -> ModelInfo:
    return ModelInfo(
        unet=UNetConfig(in_channels=channels),
        task=task or Instances(),
        normalization=Normalization(),
        **kwargs,
    )


def form_of(info: ModelInfo | None = None, **kwargs) -> PredictForm:
    return PredictForm(model=Path("m.safetensors"), info=info or info_of(), **kwargs)


def test_the_request_has_what_the_form_is_set_to() -> None:
    options = PredictOptions(
        adjustments={"threshold": 0.3, "min_area_px": 5, "min_votes": 7},
        test_time_augmentation=True,
        scale=0.5,
        device="cpu",
        block_px=512,
    )
    form = form_of(options=options, probabilities=True)
    request = form.request(IMAGE)
    assert (request.model, request.image) == (Path("m.safetensors"), IMAGE)
    assert request.options == options
    assert (request.probabilities, request.keep_outputs) == (True, True)
    assert form.task is not None
    decoder = form.task.decoder
    assert (decoder.threshold, decoder.min_area_px, decoder.min_votes) == (0.3, 5, 7)


def test_only_settings_that_the_task_knows_are_changed() -> None:
    binary = Semantic(classes=CLASSES[:2])
    lower = PredictOptions(adjustments={"threshold": 0.2})
    assert form_of(info_of(binary), options=lower).task == Semantic(
        classes=CLASSES[:2], threshold=0.2
    )
    several = Semantic(classes=CLASSES)
    assert form_of(info_of(several)).task == several
    with pytest.raises(SettingsError, match="most probable"):
        _ = form_of(info_of(several), options=lower).task
    assert several.adjustments == ()
    assert [a.name for a in binary.adjustments] == ["threshold"]
    names = [a.name for a in Instances().adjustments]
    assert names == ["threshold", "min_area_px", "min_votes"]


def test_files_are_asked_for_as_the_command_line_would(tmp_path: Path) -> None:
    form = form_of(
        scope="folder", source=str(tmp_path), out=str(tmp_path / "out"), channels=(1,), axes="TCYX"
    )
    request = form.files_request()
    assert request.sources == (str(tmp_path),)
    assert (request.options.folder, request.options.channels) == (tmp_path / "out", (1,))
    assert request.options.prediction == form.options
    command = as_command(form.record("folder", "abc"))
    assert f"{tmp_path} --out {tmp_path / 'out'} --axes TCYX --channels 1" in command


@pytest.mark.parametrize(
    ("form", "images", "said"),
    [
        (PredictForm(), [IMAGE], "No model is chosen"),
        (form_of(), [], "No image is open"),
        (form_of(scope="selected"), [], "selected in the layer list"),
        (form_of(info_of(channels=2)), [IMAGE], "1 channel(s)"),
        (form_of(scope="folder"), [], "folder with the images"),
        (form_of(scope="folder", source="/nowhere"), [], "for the results"),
        (form_of(scope="folder", source="/nowhere", out="x"), [], "no folder '/nowhere'"),
        (form_of(scope="folder", source=".", out="."), [], "same folder"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    form: PredictForm, images: list[Image], said: str
) -> None:
    assert said in form.problem(images)
    assert form.problem(images).endswith(".")


def test_a_form_that_fits_has_no_problem(tmp_path: Path) -> None:
    assert form_of().problem([IMAGE]) == ""
    folder = form_of(scope="folder", source=str(tmp_path), out=str(tmp_path / "out"))
    assert folder.problem() == ""
    pattern = replace(folder, source=f"{tmp_path}/*.tif")
    assert pattern.problem() == ""


@pytest.mark.parametrize(
    ("pixel_um", "model_um", "scale"),
    [
        (0.325, 0.65, 0.5),
        (1.3, 0.65, 2.0),
        (0.6, 0.65, None),
        (None, 0.65, None),
        (0.5, None, None),
    ],
)
def test_another_pixel_size_is_said_with_the_factor_that_mends_it(
    pixel_um: float | None, model_um: float | None, scale: float | None
) -> None:
    size = PixelSize((pixel_um * 1000,) * 2, "nm") if pixel_um else None
    info = info_of(pixel_size_um=(model_um, model_um) if model_um else None)
    offer = rescale_offer(info, replace(IMAGE, pixel_size=size))
    assert (offer and offer.scale) == (pytest.approx(scale) if scale else None)
    if offer:
        assert f"{pixel_um} µm" in offer.why
        assert rescale_offer(info, replace(IMAGE, pixel_size=size), scale=offer.scale) is None


def test_objects_of_another_size_are_said_too() -> None:
    offer = rescale_offer(info_of(object_diameter_px=21.0), IMAGE, diameter_px=42)
    assert offer is not None
    assert offer.scale == 0.5
    assert "42 px" in offer.why
    assert rescale_offer(info_of(object_diameter_px=21.0), IMAGE, diameter_px=20) is None


def test_channels_come_from_what_is_written_or_called_like_the_models() -> None:
    names = ["GFP", "DAPI", "cells"]
    info = info_of(channels=2, channel_names=("DAPI", "GFP"))
    assert channel_layers("cells", names, info, None) == ("DAPI", "GFP")
    assert channel_layers("cells", names, info, ("GFP", "cells")) == ("GFP", "cells")
    assert channel_layers("cells", names, info_of(), None) == ("cells",)
    assert channel_layers("cells", names, info_of(channel_names=("DAPI",)), None) == ("cells",)


def test_the_line_before_the_run_says_what_will_happen() -> None:
    assert "4 planes, one by one" in summary(form_of(), [IMAGE])
    assert "movie: TYX 4 x 32 x 32 uint16" in summary(form_of(), [IMAGE])
    assert "T = 3" in summary(form_of(), [IMAGE], {"T": 3})
    assert "resized by 0.5" in summary(form_of(options=PredictOptions(scale=0.5)), [IMAGE])
    assert "results go to 'out'" in summary(form_of(scope="folder", source="in", out="out"), [])


def test_an_estimated_diameter_and_the_contrast_are_asked_for(tmp_path: Path) -> None:
    form = form_of(options=PredictOptions(scale="auto", contrast="inverted"))
    options = form.request(IMAGE).options
    assert options is not None
    assert (options.scale, options.contrast) == ("auto", "inverted")
    assert "estimated diameter" in summary(form, [IMAGE])
    folder = replace(form, scope="folder", source=str(tmp_path), out=str(tmp_path / "out"))
    options = folder.files_request().options.prediction
    assert (options.scale, options.contrast) == ("auto", "inverted")
    command = as_command(folder.record("plates", ""))
    assert "--diameter auto" in command
    assert "--contrast inverted" in command


def test_the_diameter_of_classes_cannot_be_estimated() -> None:
    form = form_of(info_of(Semantic(classes=CLASSES)), options=PredictOptions(scale="auto"))
    assert "predicts classes" in form.problem([IMAGE])
