"""Tasks of every kind are written into a file and read back."""

import pytest

from napari_unet.core.tasks.any_task import parse_task
from napari_unet.core.tasks.decoders import VoteDecoder, WatershedDecoder
from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import ClassInfo, Semantic

THREE = (
    ClassInfo(id=0, name="background", background=True),
    ClassInfo(id=4, name="interior"),
    ClassInfo(id=9, name="border", color="#ff8800"),
)


@pytest.mark.parametrize(
    "task",
    [
        Semantic(classes=THREE, class_weights=(1, 2, 3)),
        Instances(sparse=True, object_name="cell", decoder=WatershedDecoder(smoothing_px=2)),
        Instances(decoder=VoteDecoder(steps=3)),
    ],
)
def test_a_task_survives_being_written_down(task):
    assert parse_task(task.model_dump(mode="json")) == task
