"""A live training under way: what is painted on, and how far the training is. No Qt."""

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
    """A live training under way.

    Parameters
    ----------
    form
        What it began with; its rows follow the table of pairs.
    task
        What labels mean now.
    planes
        The planes that it learns from, by name.
    described
        What finds the images and layers of each plane again, by the plane's name.
    known_scopes
        Names of the depth stacks that the training has.
    ready
        Whether it has learned enough for a preview.
    state
        The latest state that came back.
    lost
        How often the compute process was lost.
    stopping
        Whether it was asked to stop.
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
        """Take the first planes, and what is painted on them."""
        self.planes = {plane.name: plane for plane in planes}
        self.task = self.form.task(self.painted)
        self.described = dict(self.form.absent)
        self.describe()

    @property
    def painted(self) -> list[int]:
        """The ids that are painted, in order."""
        return painted_ids(self.planes.values())

    def request(self, *, resume: bool) -> LiveRequest:
        """Return the request that starts the training with all strokes so far.

        Parameters
        ----------
        resume
            Whether to go on with the session in the folder.

        Raises
        ------
        ImageError
            If an image cannot be read.
        """
        self.known_scopes.clear()
        images = {name: plane.told(self.known_scopes) for name, plane in self.planes.items()}
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
        """Take one more plane, under a name that no other one had."""
        first, count = plane.name, itertools.count(2)
        while plane.name in self.described:  # the strokes of a deleted layer are kept
            plane.name = f"{first} ({next(count)})"
        self.planes[plane.name] = plane

    def remove(self, plane: LivePlane) -> bool:
        """Take a plane away; False if it is gone already."""
        if self.planes.pop(plane.name, None) is None:
            return False
        if not plane.sent.any():
            self.described.pop(plane.name, None)
        return True

    def positions(self, key: object) -> list[dict[str, int]]:
        """Return the positions of the planes of an image and its labels."""
        return [plane.position for plane in self.planes.values() if plane.key == key]

    def describe(self) -> None:
        """Save what finds images and layers again; see `napari_unet.gui.live.resume`."""
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
