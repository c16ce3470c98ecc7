"""Tasks: what labels mean. Sampling, network, training, tiling and model file know nothing else.

A task turns labels into what the network must predict (`encode`) and the network's outputs back
into labels (`decode`). No torch here: sliders in a window decode too.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from napari_unet.core.tasks.instances import Instances
from napari_unet.core.tasks.semantic import Semantic

__all__ = ["AnyTask", "parse_task"]

AnyTask = Annotated[Semantic | Instances, Field(discriminator="kind")]


def parse_task(values: dict[str, Any]) -> Semantic | Instances:
    """Rebuild a task from what `model_dump` gave."""
    task: Semantic | Instances = TypeAdapter(AnyTask).validate_python(values)
    return task
