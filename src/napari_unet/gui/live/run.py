"""State of a running live training: its planes, task and progress. No Qt."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_unet.compute import LiveRequest
from napari_unet.core.live.session import LiveSession
from napari_unet.gui.live.form import LiveForm
from napari_unet.gui.live.planes import LivePlane
from napari_unet.gui.live.session_layers import mark_session

if TYPE_CHECKING:
    from napari_unet.core.live.events import LiveState
    from napari_unet.core.tasks.base import Task

__all__ = ["LiveRun", "painted_ids"]


@dataclass
class LiveRun:
    """State of a running live training.

    Parameters
    ----------
    form
        Settings at the start; its rows follow the table of pairs.
    task
        Current meaning of the labels.
    planes
        Planes that are trained on, by name.
    described
        Description of the images and layers of each plane, by the plane's name.
    known_scopes
        Names of the depth stacks that were sent to the training.
    ready
        Whether the training is far enough for a preview.
    state
        Latest state of the training.
    lost
        How often the compute process ended unexpectedly.
    stopping
        Whether the user pressed Stop.
    """

    form: LiveForm
    task: Task
    planes: dict[str, LivePlane] = field(default_factory=dict)
    described: dict[str, Any] = field(default_factory=dict)
    known_scopes: set[str] = field(default_factory=set)
    ready: bool = False
    state: LiveState | None = None
    lost: int = 0
    stopping: bool = False

    def begin(self, planes: Iterable[LivePlane]) -> None:
        """Start with these planes and their strokes."""
        self.planes = {plane.name: plane for plane in planes}
        self.task = self.form.task(self.painted)
        self.described = dict(self.form.absent)
        self.describe()

    @property
    def painted(self) -> list[int]:
        """The painted ids, in order."""
        return painted_ids(self.planes.values())

    def request(self, *, resume: bool) -> LiveRequest:
        """Return the request that starts the training with all strokes so far.

        Parameters
        ----------
        resume
            Whether to continue the session in the folder.

        Raises
        ------
        ImageError
            If an image cannot be read.
        """
        self.known_scopes.clear()
        images = {name: plane.live_image(self.known_scopes) for name, plane in self.planes.items()}
        form = self.form
        return LiveRequest(
            self.task,
            images,
            form.folder,
            start=form.start,
            resume=resume,
            device=form.device,
            name=form.name,
        )

    def add(self, plane: LivePlane) -> None:
        """Add a plane, under a name that no other plane had."""
        first, count = plane.name, itertools.count(2)
        while plane.name in self.described:  # the strokes of a deleted layer are kept
            plane.name = f"{first} ({next(count)})"
        self.planes[plane.name] = plane

    def remove(self, plane: LivePlane) -> bool:
        """Remove a plane; return False if it is already removed."""
        if self.planes.pop(plane.name, None) is None:
            return False
        if not plane.sent.any():
            self.described.pop(plane.name, None)
        return True

    def positions(self, key: object) -> list[dict[str, int]]:
        """Return the positions of the planes of an image and its labels."""
        return [plane.position for plane in self.planes.values() if plane.key == key]

    def describe(self) -> None:
        """Save the descriptions that `napari_unet.gui.live.resume` needs to find the layers."""
        form = self.form
        for plane in self.planes.values():
            self.described[plane.name] = {
                "images": [str(layer.name) for layer in plane.images],
                "labels": str(plane.layer.name),
                "axes": plane.axes,
                "position": plane.position,
            }
            mark_session(plane.layer, form.folder)
        LiveSession(form.folder).describe(
            {
                "name": form.name,
                "start": None if form.start is None else str(form.start),
                "objects": form.objects,
                "axes": form.axes,
                "channels": None if form.channels is None else list(form.channels),
                "planes": self.described,
            }
        )


def painted_ids(planes: Iterable[LivePlane]) -> list[int]:
    """Return the ids above 0 that are painted on any of the planes, in order."""
    found: set[int] = set()
    for plane in planes:
        found.update(int(i) for i in np.unique(plane.sent) if i > 0)
    return sorted(found)
