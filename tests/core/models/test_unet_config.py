"""Settings of the network's architecture."""

import pytest
from pydantic import ValidationError

from napari_unet.core.models.unet_config import UNetConfig


@pytest.mark.parametrize(("depth", "multiple"), [(1, 2), (4, 16), (7, 128)])
def test_sizes_are_multiples_of_two_to_the_depth(depth: int, multiple: int) -> None:
    assert UNetConfig(depth=depth).multiple == multiple


def test_deeper_networks_see_further() -> None:
    radii = [UNetConfig(depth=depth).receptive_radius_px for depth in range(1, 8)]
    assert radii == sorted(set(radii))


@pytest.mark.parametrize(
    "values",
    [{"depth": 0}, {"depth": 8}, {"ndim": 4}, {"norm": "group"}, {"dropout": 1}, {"width": 3}],
)
def test_networks_that_cannot_be_built_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        UNetConfig.model_validate(values)
