"""Form fields made from settings."""

from typing import Annotated, Any, Literal

from pydantic import Field

from napari_unet.core.models.predict_options import PredictOptions
from napari_unet.core.settings import Settings, Shown
from napari_unet.core.tasks.instances import Instances
from napari_unet.gui.forms.settings_fields import SettingsFields, adjustment_slider


class Choices(Settings):
    """One setting of each kind."""

    overlap_px: Annotated[
        int, Field(ge=2, le=9, title="Overlap", description="How far blocks reach."), Shown()
    ] = 4
    average: Annotated[bool, Field(title="Average", description="Over turns."), Shown()] = True
    side: Annotated[
        Literal["left", "right"], Field(title="Side"), Shown(choices={"left": "on the left"})
    ] = "right"


def test_a_setting_becomes_a_field_with_its_title_bounds_and_default(qtbot: Any) -> None:
    fields = SettingsFields(Choices, ("side", "overlap_px", "average"))
    assert fields.values == {"overlap_px": 4, "average": True, "side": "right"}
    overlap = fields.widgets["overlap_px"]
    assert (overlap.min, overlap.max) == (2, 9)
    (row,) = fields.rows("overlap_px")
    assert row[0].value == "Overlap"
    assert "How far blocks reach." in (row.tooltip, overlap.tooltip, row[0].tooltip)
    assert fields.widgets["average"].text == "Average"
    assert "on the left" in fields.widgets["side"].native.itemText(0)
    overlap.value = 7
    assert Choices(**fields.values).overlap_px == 7


def test_a_number_can_be_left_to_the_program(qtbot: Any) -> None:
    fields = SettingsFields(PredictOptions, ("scale",))
    assert fields.values == {"scale": 1.0}
    fields.automatic["scale"].value = True
    assert PredictOptions(**fields.values).scale == "auto"


def test_an_adjustment_becomes_a_slider(qtbot: Any) -> None:
    sliders = {a.name: adjustment_slider(a) for a in Instances().adjustments}
    assert sliders["min_area_px"].value == 24
    assert isinstance(sliders["min_area_px"].value, int)
    assert (sliders["threshold"].min, sliders["threshold"].max) == (0.02, 0.98)
