"""The description of a package names what a user needs to know of the model."""

import json
import keyword
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packages import MARKS, MODELS, random_model

from napari_unet.core.bioimage_io.description import (
    channel_names,
    description,
    documentation,
    output_names,
)

pytestmark = MARKS

BINARY_INFO = random_model().info
TWO_CHANNELS = random_model(in_channels=2).info


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


def described(info, **values):
    values = {"authors": (), "licence": None, "citations": {}, "torch_version": "2.9"} | values
    return description(info, **values)


@pytest.mark.parametrize("kind", MODELS)
def test_a_description_is_plain_values(kind):
    info = random_model(**MODELS[kind]).info
    found = described(info, citations={"A paper": "10.1/x", "A page": "https://example.org"})
    assert json.loads(json.dumps(found)) == found
    assert [c["text"] for c in found["cite"]][1:] == ["A paper", "A page"]
    assert found["cite"][1]["doi"] == "10.1/x"
    assert found["cite"][2]["url"] == "https://example.org"
    halo = found["config"]["napari_unet"]["halo_px"]
    assert halo >= info.unet.receptive_radius_px
    assert halo % info.unet.multiple == 0


@settings(max_examples=50)
@given(st.text(max_size=90))
def test_any_name_becomes_one_that_bioimage_io_allows(name):
    info = BINARY_INFO.model_copy(update={"name": name})
    found = described(info)["name"]
    assert 5 <= len(found) <= 64
    assert re.fullmatch(r"[A-Za-z0-9_+() -]+", found)


@settings(max_examples=50)
@given(st.lists(st.text(max_size=20), min_size=2, max_size=2))
@example(["Ca²", "৴"])
@example(["class", "3rd"])
def test_any_channel_name_becomes_an_identifier(names):
    info = TWO_CHANNELS.model_copy(update={"channel_names": tuple(names)})
    assert channel_names(info) == names
    (channel,) = (a for a in described(info)["inputs"][0]["axes"] if a["type"] == "channel")
    assert all(n.isidentifier() and not keyword.iskeyword(n) for n in channel["channel_names"])


def test_the_documentation_begins_with_the_model_card_and_lists_the_outputs():
    info = random_model(**MODELS["binary"]).info
    text = documentation(info, "# My cells\n")
    assert text.startswith("# My cells\n\n## Input")
    for part in ("0.5 x 0.25 µm", "| cell |", "CC0-1.0", "multiples of 4 pixels"):
        assert part in text
    assert documentation(info).startswith(f"# {info.name}\n")
    assert output_names(info) == ["cell"]


def test_a_manual_range_is_a_linear_map_to_0_and_1():
    info = random_model(**MODELS["manual range"]).info
    (step,) = (
        s for s in described(info)["inputs"][0]["preprocessing"] if s["id"] == "scale_linear"
    )
    gain, offset = step["kwargs"]["gain"], step["kwargs"]["offset"]
    assert [5 * gain + offset, 180 * gain + offset] == pytest.approx([0, 1])
    assert "5 and 180 are mapped to 0 and 1" in documentation(info)
