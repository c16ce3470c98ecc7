"""Prediction options are declared once and reach the command line, the form and records."""

import inspect
from typing import Annotated

import numpy as np
import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from napari_unet.cli.settings_options import (
    adjustment_options,
    given_settings,
    settings_command,
    settings_options,
)
from napari_unet.core.errors import SettingsError
from napari_unet.core.models.predict_options import PredictOptions, check_scale
from napari_unet.core.records.prediction_record import PredictionRecord, as_command, as_python
from napari_unet.core.settings import Shown, fields_to_show
from napari_unet.core.tasks.any_task import possible_adjustments
from napari_unet.core.tasks.instances import Instances


class MoreOptions(PredictOptions):
    """Options with an additional field."""

    overlap_px: Annotated[
        int,
        Field(ge=2, le=9, title="Overlap (px)", description="How far blocks reach."),
        Shown(panel="Computing"),
    ] = 4


def test_an_option_that_is_added_appears_on_the_command_line() -> None:
    app = typer.Typer()

    def run(context: typer.Context) -> None:
        """Print the given options."""
        print(given_settings(context, MoreOptions.model_fields))

    app.command(cls=settings_command(lambda: settings_options(MoreOptions)))(run)
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).output
    assert "--overlap" in shown
    assert "How far blocks reach." in shown
    assert "[default: 4]" in shown
    line = ["--overlap", "7", "--tta", "--contrast", "inverted", "--scale", "1"]
    given = {"overlap_px": 7, "test_time_augmentation": True, "contrast": "inverted", "scale": 1.0}
    assert eval(CliRunner().invoke(app, line).output) == given
    assert eval(CliRunner().invoke(app, []).output) == {}


def test_every_command_has_the_flags_that_people_know() -> None:
    flags = {field.flag for field in fields_to_show(PredictOptions)}
    assert flags == {"--scale", "--contrast", "--tta", "--block", "--device", "--precision"}
    adjusted = [option.details["flag"] for option in adjustment_options(possible_adjustments())]
    assert {"--threshold", "--min-area", "--min-votes"} <= set(adjusted)


def test_bounds_and_choices_are_those_of_the_fields() -> None:
    fields = {field.name: field for field in fields_to_show(MoreOptions)}
    assert (fields["overlap_px"].minimum, fields["overlap_px"].maximum) == (2, 9)
    assert (fields["scale"].minimum, fields["scale"].maximum) == (0.05, 20)
    assert fields["scale"].auto
    assert fields["contrast"].choices == ("auto", "as-is", "inverted")
    assert "adjustments" not in fields


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"scale": 0.0}, "Scale 0: expected a number from 0.05 to 20"),
        ({"scale": "large"}, "Scale 'large': expected a number"),
        ({"contrast": "negative"}, "Contrast 'negative': expected auto"),
        ({"block_px": 0}, "block_px: input should be greater than or equal to 1, got 0"),
        ({"precision": "int8"}, "precision: input should be 'auto'"),
        ({"blok_px": 64}, "blok_px: there is no such setting, expected one of scale"),
    ],
)
def test_what_is_not_allowed_is_a_sentence(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        PredictOptions(**values)


def record_of(**values: object) -> PredictionRecord:
    facts = {"version": "0.1.0", "date": "2026-01-01", "model": "m", "model_name": "m"}
    return PredictionRecord.model_validate(
        facts | {"model_sha256": "", "task": Instances(), "image": "a", "folder": "in"} | values
    )


def test_a_record_predicts_with_its_options_again() -> None:
    record = record_of(scale=0.5, test_time_augmentation=True, device="cpu", block_px=64)
    decoding = {"threshold": 0.5, "min_area_px": 24, "min_votes": 20.0}
    expected = PredictOptions(scale=0.5, test_time_augmentation=True, adjustments=decoding)
    assert record.options == expected
    assert "--scale 0.5 --tta" in as_command(record)
    assert "scale=0.5, test_time_augmentation=True, adjustments=" in as_python(record)


def test_a_record_from_before_is_read() -> None:
    """Records in the metadata of existing layers lack some options."""
    given = {"scale": 0.25, "contrast": "inverted", "test_time_augmentation": True}
    values = record_of(**given).model_dump(mode="json")
    for name in ("block_px", "device", "precision", "adjustments"):
        del values[name]
    record = PredictionRecord.model_validate(values)
    assert record == record_of(**given)
    assert record.options.scale == 0.25
    assert "--scale 0.25 --contrast inverted --tta" in as_command(record)


def test_predict_takes_each_option_in_one_place_only() -> None:
    from napari_unet import predict, predict_files

    own = PredictOptions.model_fields.keys()
    for function in (predict, predict_files):
        assert not own & inspect.signature(function).parameters.keys()


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf, 0.01, 400])
def test_a_scale_that_makes_no_sense_is_a_sentence(scale):
    with pytest.raises(SettingsError, match=r"Scale .*: expected a number from 0.05 to 20"):
        check_scale(scale)
