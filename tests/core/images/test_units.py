"""Units: lengths in every spelling are converted to micrometres, and nothing else is."""

import pytest

from napari_unet.core.images.image import PixelSize
from napari_unet.core.images.units import to_um, um_per_px


@pytest.mark.parametrize(
    ("value", "unit", "um"),
    [
        (0.5, "µm", 0.5),
        (0.5, "\u03bcm", 0.5),
        (0.5, "\\u00B5m", 0.5),
        (0.5, " Microns ", 0.5),
        (250, "nanometers", 0.25),
        (0.001, "mm", 1),
        (1, "inch", 25_400),
        (5000, "Å", 0.5),
    ],
)
def test_spellings_of_files_are_understood(value: float, unit: str, um: float) -> None:
    assert to_um(value, unit) == pytest.approx(um)


@pytest.mark.parametrize(
    ("value", "unit"),
    [(1, "pixel"), (1, "s"), (1, ""), (1, None), (None, "µm"), (0, "µm"), (float("inf"), "µm")],
)
def test_what_is_no_length_is_none(value: float | None, unit: str | None) -> None:
    assert to_um(value, unit) is None


def test_a_pixel_size_is_converted_along_every_axis_or_not_at_all() -> None:
    assert um_per_px(PixelSize((2000, 250, 250), "nm")) == pytest.approx((2, 0.25, 0.25))
    assert um_per_px(PixelSize((1, 1), "pixel")) is None
